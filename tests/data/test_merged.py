"""Several sets as one: nobody and nothing of two sets is taken for the same, and clusters stay within their set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resight.cli.main import main
from resight.data.catalog import load_dataset, open_dataset
from resight.data.merged import MERGED, merge
from resight.data.samplers import identity_batches
from resight.errors import DataError, RunError
from resight.numerics.clustering import ClusterSettings, cluster
from resight.records import ImageTable


@pytest.fixture
def crops(tiny_market: Path, tmp_path: Path) -> Path:
    """A folder of two cameras with the images of three people."""
    folder = tmp_path / "crops"
    for number, image in enumerate(sorted((tiny_market / "bounding_box_train").iterdir())[:6]):
        place = folder / f"gate {number % 2}" / f"{number // 2}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(image.read_bytes())
    return folder


def test_sets_are_merged_and_read_as_one(
    tiny_market: Path, crops: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = tmp_path / "both"
    assert main(["data", "merge", str(both), f"market1501={tiny_market}", f"folder={crops}", "--layout=camera"]) == 0
    market = load_dataset("market1501", tiny_market).train
    assert f"{len(market) + 6} images to train on" in capsys.readouterr().out
    merged = open_dataset(str(both))
    table = merged.train
    assert len(table) == len(market) + 6
    assert not len(merged.query)
    first, second = table[: len(market)], table[len(market) :]
    assert not np.intersect1d(first.camera_ids, second.camera_ids).size
    assert set(second.person_ids) == {-1}
    assert [set(part.domain_ids) for part in (first, second)] == [{0}, {1}]
    for ids, own in ((first.person_ids, market.person_ids), (first.camera_ids, market.camera_ids)):
        pairs = set(zip(ids.tolist(), own.tolist(), strict=True))
        assert len(pairs) == len(set(ids.tolist())) == len(set(own.tolist())), "renumbered one to one"
    assert merged.names["cameras"][-2:] == ("folder/gate 0", "folder/gate 1")
    assert set(merged.names["cameras"][:-2]) == {f"market1501/{camera}" for camera in np.unique(market.camera_ids)}
    assert main(["data", "info", str(both)]) == 0


def test_a_set_merged_with_itself_counts_twice(crops: Path) -> None:
    one = load_dataset("folder", crops)
    merged = merge([one, one], crops)
    assert merged.names["cameras"] == ("folder-1/gate 0", "folder-1/gate 1", "folder-2/gate 0", "folder-2/gate 1")
    assert merged.train.domain_ids.tolist() == [0] * 6 + [1] * 6


def test_domains_of_a_corpus_stay(crops: Path) -> None:
    one = load_dataset("folder", crops)
    sites = ImageTable(one.train.paths, camera_ids=np.arange(6), domain_ids=np.array([4, 4, 7, 7, 7, 9]))
    from dataclasses import replace

    merged = merge([one, replace(one, train=sites, names={})], crops)
    assert merged.train.domain_ids.tolist() == [0] * 6 + [1, 1, 2, 2, 2, 3]


@pytest.mark.parametrize(
    "content", ["", "{}", '{"sets": []}', '{"sets": [1]}', '{"sets": [{"layout": "camera"}]}', "[" * 10**5]
)
def test_a_damaged_list_of_sets_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / MERGED).write_text(content)
    with pytest.raises(DataError, match=r"names no sets.*resight data merge"):
        load_dataset("merged", tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["both"], "needs a folder for the merged set and two or more sets"),
        (["both", "folder=a"], "two or more sets"),
        (["both", "folder=nowhere", "folder=elsewhere"], "nowhere"),
    ],
)
def test_a_wrong_call_writes_nothing(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "merge", *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_not_taken(crops: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(crops.rglob("*"))
    assert main(["data", "merge", str(crops), f"folder={crops}", f"folder={crops}"]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert sorted(crops.rglob("*")) == before


# -- domains in training -------------------------------------------------------------------------------------------


def test_the_same_vectors_in_two_domains_are_two_clusters() -> None:
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(6), 8)
    vectors = np.eye(6, 16)[people] + 0.05 * random.normal(size=(48, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    settings = ClusterSettings(k1=8, k2=2, eps=0.95, min_samples=2)
    twice, domains = np.concatenate([vectors, vectors]), np.repeat([3, 5], 48)
    found = cluster(twice, settings, domains=domains, people=np.concatenate([people, people + 6]))
    together = cluster(twice, settings).labels
    assert np.any(np.isin(together[:48], together[48:])), "otherwise there is nothing to keep apart"
    assert found.num_clusters == 12
    assert found.quality["ari"] == pytest.approx(1)
    alone = cluster(vectors, settings)
    np.testing.assert_array_equal(found.labels[:48], alone.labels)
    np.testing.assert_array_equal(found.labels[48:], alone.labels + 6)
    np.testing.assert_array_equal(cluster(vectors, settings, domains=np.full(48, -1)).labels, alone.labels)


def of_domains(counts: list[int]) -> tuple[np.ndarray, ImageTable]:
    """As many identities of two images in each domain."""
    labels = np.repeat(np.arange(sum(counts)), 2)
    domains = np.repeat(np.arange(len(counts)), 2 * np.array(counts))
    names = np.array([f"{row}.jpg" for row in range(len(labels))])
    return labels, ImageTable(names, camera_ids=np.tile([0, 1], sum(counts)), domain_ids=domains)


def test_a_batch_is_of_one_domain_and_large_domains_give_more() -> None:
    labels, table = of_domains([4, 12, 1])
    stream = identity_batches(labels, table.camera_ids, (4, 2), np.random.default_rng(0), domains=table.domain_ids)
    drawn = [set(table.domain_ids[next(stream)]) for _ in range(400)]
    assert all(len(domains) == 1 for domains in drawn)
    assert {2} not in drawn, "a domain with a single identity has nothing to compare it with"
    assert 0.68 < np.mean([domains == {1} for domains in drawn]) < 0.82


def test_a_single_domain_gives_the_batches_it_always_gave() -> None:
    labels, table = of_domains([9])
    ours = identity_batches(labels, table.camera_ids, (4, 2), np.random.default_rng(5), domains=table.domain_ids)
    theirs = identity_batches(labels, table.camera_ids, (4, 2), np.random.default_rng(5))
    for _ in range(5):
        np.testing.assert_array_equal(next(ours), next(theirs))
    with pytest.raises(RunError):
        next(identity_batches(np.full_like(labels, -1), table.camera_ids, (4, 2), np.random.default_rng(0)))
