"""A corpus: many sites, the same however often its drawing was interrupted, and read as one set."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resight.data.catalog import load_dataset, open_dataset
from resight.errors import ConfigError, DataError, RunError
from resight.synthetic import SyntheticSettings, synthesize
from resight.synthetic.corpus import draw_sites
from resight.synthetic.dataset import VERSION

SMALL = SyntheticSettings(
    people_train=2, people_test=2, sites=3, cameras=2, crops=2, seed=5, height=32, width=16, silhouettes=False
)


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "set"
    counts = synthesize(root, settings=SMALL)
    names = [path.parts[-2] for path in root.rglob("*.jpg")]
    found = tuple(names.count(f) for f in ("bounding_box_train", "query", "bounding_box_test"))
    assert (counts.train, counts.query, counts.gallery) == found
    return root


def test_each_site_has_its_own_people_cameras_and_clothes(corpus: Path) -> None:
    assert {path.name for path in corpus.iterdir()} == {"corpus.json", "site-0001", "site-0002", "site-0003"}
    for file in ("people.json", "cameras.json"):
        assert len({(site / file).read_text() for site in corpus.glob("site-*")}) == 3
    images = [path.read_bytes() for path in corpus.rglob("*.jpg")]
    assert len(set(images)) == len(images)


def test_an_interrupted_corpus_is_continued_to_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(corpus, part)
    shutil.rmtree(part / "site-0002")
    kept = (part / "site-0001" / "people.json").stat().st_mtime_ns
    synthesize(part, settings=SMALL)
    assert files(part) == files(corpus)
    assert (part / "site-0001" / "people.json").stat().st_mtime_ns == kept


def test_a_corpus_of_other_settings_stays_as_it_is(corpus: Path) -> None:
    before = files(corpus)
    with pytest.raises(DataError, match="holds a corpus of other settings"):
        synthesize(corpus, settings=replace(SMALL, seed=6))
    with pytest.raises(DataError, match="is not an empty folder"):
        synthesize(corpus, settings=replace(SMALL, sites=1))
    assert files(corpus) == before


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not an empty folder"):
        synthesize(tmp_path, settings=SMALL)
    with pytest.raises(ConfigError, match="sites"):
        replace(SMALL, sites=0)


def test_a_corpus_is_read_as_one_set(corpus: Path) -> None:
    dataset = load_dataset("synthetic", corpus)
    sites = [load_dataset("synthetic", site) for site in sorted(corpus.glob("site-*"))]
    for split, table in dataset.tables.items():
        assert table.paths.tolist() == [path for site in sites for path in site.tables[split].paths.tolist()]
    train = dataset.train
    site_of = np.array([int(Path(path).parts[-3][-4:]) for path in train.paths.tolist()])
    own_people = np.concatenate([site.train.person_ids for site in sites])
    own_cameras = np.concatenate([site.train.camera_ids for site in sites])
    np.testing.assert_array_equal(train.person_ids, site_of * 10_000 + own_people)
    np.testing.assert_array_equal(train.camera_ids, site_of * 10_000 + own_cameras)
    assert set(dataset.gallery.person_ids[dataset.gallery.person_ids < 10_000].tolist()) <= {0, -1}
    tracklets = train.tracklet_ids
    assert len(np.unique(tracklets)) == sum(len(np.unique(site.train.tracklet_ids)) for site in sites)


def test_a_path_alone_is_recognized_and_missing_sites_are_said(corpus: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(corpus, part)
    assert open_dataset(str(part)).name == "synthetic"
    whole = open_dataset(str(part)).train
    shutil.rmtree(part / "site-0002")
    left = open_dataset(str(part)).train
    kept = ["site-0002" not in path for path in whole.paths.tolist()]
    assert left.person_ids.tolist() == whole.person_ids[np.array(kept)].tolist(), "a site keeps its numbers"
    assert any("2 of 3 sites are there" in note for note in open_dataset(str(part)).notes)
    for site in ("site-0001", "site-0003"):
        shutil.rmtree(part / site)
    with pytest.raises(DataError, match="holds no site yet"):
        open_dataset(str(part))


def test_a_damaged_claim_is_one_line(corpus: Path, tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(corpus, part)
    for content in ("", "[]", '{"settings": 3}', json.dumps({"settings": {"sites": "x"}})):
        (part / "corpus.json").write_text(content)
        with pytest.raises(DataError, match=r"corpus\.json"):
            open_dataset(str(part))


def _die(folder: Path, settings: SyntheticSettings) -> None:
    os._exit(9)


def test_a_killed_process_is_one_line_and_leaves_what_continues(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the same command continues") as error:
        draw_sites(tmp_path, SMALL, version=VERSION, draw=_die)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.json"]
    synthesize(tmp_path, settings=SMALL)
    assert len(list(tmp_path.glob("site-*"))) == 3
