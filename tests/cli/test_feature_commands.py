"""Files of vectors on the command line: written by `extract`, and in the place of a model."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from resight.cli.main import main
from resight.models.encoder import Encoder, EncoderSettings
from resight.numerics.clustering import ClusterSettings, cluster
from resight.records import Features, ImageTable
from resight.retrieval.feature_files import load_features, save_features
from resight.retrieval.statistics import center_cameras

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("encoder") / "small.safetensors"
    torch.manual_seed(0)
    Encoder(EncoderSettings("test_efficientnet", "none", 64, 32)).eval().save(path)
    return str(path)


@pytest.fixture(scope="module")
def files(encoder: str, tiny_market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of the made-up set in two formats, and of its mirrored images too."""
    folder = tmp_path_factory.mktemp("vectors")
    for name, flags in (("a.npz", []), ("a.npy", []), ("flip.npz", ["--flip"])):
        assert main(["extract", encoder, *flags, f"--data=market1501={tiny_market}", f"--out={folder / name}"]) == 0
    return folder


def printed(words: list[str], capsys: Capture, status: int = 0) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == status
    return json.loads(capsys.readouterr().out)


def mistake(words: list[str], capsys: Capture) -> str:
    """The line that a command ends with; what it noted before is not part of it."""
    capsys.readouterr()
    assert main(words) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("resight: ")]
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("flags", [[], ["--rerank"], ["--rank_by=joint"], ["--thresholds"], ["--center_cameras"]])
@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_an_extracted_file_scores_as_the_model_does(
    name: str, flags: list[str], files: Path, encoder: str, tiny_market: Path, capsys: Capture
) -> None:
    data = f"--data=market1501={tiny_market}"
    expected = printed(["evaluate", encoder, data, *flags], capsys)
    for found in (
        printed(["evaluate", str(files / name), *flags], capsys),
        printed(["evaluate", str(files / name), data, *flags], capsys),
    ):
        assert found["scores"] == expected["scores"]
        assert found["per_query"] == expected["per_query"]
        assert found["provenance"]["features"] == str(files / name)


def test_one_split_alone_can_be_extracted(encoder: str, tiny_market: Path, tmp_path: Path) -> None:
    out = tmp_path / "query.npz"
    assert main(["extract", encoder, "--split=query", f"--data=market1501={tiny_market}", f"--out={out}"]) == 0
    stored = load_features(out)
    assert set(stored.splits) == {"query"}
    assert len(stored.features) == len(list((tiny_market / "query").iterdir()))
    np.testing.assert_array_equal(np.linalg.norm(stored.features.embeddings, axis=1).round(4), 1)


def test_a_file_without_splits_scores_everyone_who_can_be_found_again(
    files: Path, encoder: str, tiny_market: Path, tmp_path: Path, capsys: Capture
) -> None:
    crops, lines = tmp_path / "crops", ["path,person,camera"]
    for path in sorted((tiny_market / "bounding_box_train").iterdir()):
        crops.mkdir(exist_ok=True)
        shutil.copy(path, crops)
        lines.append(f"{path.name},{path.name[:4]},{path.name[6]}")
    (crops / "labels.csv").write_text("\n".join(lines))
    data = f"--data=folder={crops}"
    expected = printed(["evaluate", encoder, data, "--validation_people=all"], capsys)
    stored = load_features(files / "a.npz")
    rows = stored.splits == "train"
    save_features(tmp_path / "unsplit.npz", stored.features[rows])
    found = printed(["evaluate", str(tmp_path / "unsplit.npz")], capsys)
    assert found["scores"] == pytest.approx(expected["scores"], abs=1e-3)
    again = printed(["evaluate", str(tmp_path / "unsplit.npz"), data, "--validation_people=all"], capsys)
    assert again["scores"] == found["scores"]


def test_a_page_needs_no_images(files: Path, tmp_path: Path) -> None:
    stored = load_features(files / "a.npz")
    table = stored.features.table
    moved = np.array([f"/nowhere/{Path(path).name}" for path in table.paths])
    features = type(stored.features)(type(table)(moved, table.person_ids, table.camera_ids), stored.features.embeddings)
    save_features(tmp_path / "moved.npz", features, splits=stored.splits)
    page = tmp_path / "page.html"
    assert main(["evaluate", str(tmp_path / "moved.npz"), f"--page={page}"]) == 0
    assert "Ranked lists" in page.read_text()


def test_lengths_of_vectors_count_unless_they_are_normalized(files: Path, tmp_path: Path, capsys: Capture) -> None:
    stored = load_features(files / "a.npz")
    scales = np.random.default_rng(0).uniform(0.1, 9, (len(stored.features), 1)).astype(np.float32)
    longer = type(stored.features)(stored.features.table, stored.features.embeddings * scales)
    save_features(tmp_path / "long.npz", longer, splits=stored.splits)
    expected = printed(["evaluate", str(files / "a.npz")], capsys)["scores"]["mAP"]
    assert printed(["evaluate", str(tmp_path / "long.npz")], capsys)["scores"]["mAP"] != pytest.approx(
        expected, abs=0.01
    )
    found = printed(["evaluate", str(tmp_path / "long.npz"), "--normalize"], capsys)
    assert found["scores"]["mAP"] == pytest.approx(expected, abs=1e-3)


def test_files_and_models_are_compared(files: Path, encoder: str, tiny_market: Path, capsys: Capture) -> None:
    first, second, data = str(files / "a.npz"), str(files / "flip.npz"), f"--data=market1501={tiny_market}"
    alone = printed(["compare", first, second, "--samples=50"], capsys)
    with_data = printed(["compare", first, second, data, "--samples=50"], capsys)
    assert alone["gains"] == with_data["gains"]
    assert any(alone["gains"])
    beside = printed(["compare", encoder, first, data, "--samples=50"], capsys)
    assert beside["differences"]["mAP"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    centered = printed(["compare", encoder, first, data, "--center_cameras", "--samples=50"], capsys)
    assert centered["differences"]["mAP"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    expected = printed(["evaluate", first, "--center_cameras"], capsys)["scores"]
    assert [report["scores"] for report in centered["reports"].values()] == [expected, expected]


def test_a_search_in_a_file(files: Path, tiny_market: Path, tmp_path: Path, capsys: Capture) -> None:
    stored = load_features(files / "a.npz")
    file, table = str(files / "a.npz"), stored.features.table
    query = str(table.paths[stored.splits == "query"][0])
    (answer,) = printed(["search", file, query, "-k", "4", f"--ranked_list={tmp_path / 'found.png'}"], capsys)
    gallery = np.flatnonzero(stored.splits == "gallery")
    vectors = stored.features.embeddings
    similarities = vectors[gallery] @ vectors[table.paths == query][0]
    best = gallery[np.argsort(-similarities, kind="stable")[:4]]
    assert [result["path"] for result in answer["results"]] == table.paths[best].tolist()
    assert [result["person_id"] for result in answer["results"]] == table.person_ids[best].tolist()
    assert Image.open(tmp_path / "found.png").width > 100
    (by_end,) = printed(["search", file, f"query/{Path(query).name}", "-k", "4"], capsys)
    assert by_end == answer
    own = str(table.paths[gallery[0]])
    (of_gallery,) = printed(["search", file, own, "-k", "3"], capsys)
    assert own not in [result["path"] for result in of_gallery["results"]]
    queries = stored.splits == "query"
    save_features(tmp_path / "queries.npz", stored.features[queries])
    answers = printed(["search", file, str(tmp_path / "queries.npz"), "-k", "4"], capsys)
    assert answers[0] == answer
    assert len(answers) == queries.sum()
    (tmp_path / "list.txt").write_text(f"{query}\nnone.jpg\n")
    listed = printed(["search", file, f"--queries={tmp_path / 'list.txt'}", "-k", "4"], capsys, status=1)
    assert listed[0] == answer
    assert "is not in" in listed[1]["error"]
    assert main(["search", file, query]) == 0
    assert "never proof" in capsys.readouterr().out


def test_a_search_without_the_shifts_of_cameras(
    files: Path, encoder: str, tiny_market: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A row of the file has its camera, and a file of the data set its own; that of a copy elsewhere is unknown."""
    stored = load_features(files / "a.npz")
    gallery = stored.features[stored.splits == "gallery"]
    query = stored.features[np.flatnonzero(stored.splits == "query")[:1]]
    path = str(query.table.paths[0])
    copied = shutil.copy(path, tmp_path / "copy.png")
    picture = Features(ImageTable(np.array([path])), query.embeddings)
    centered = center_cameras(gallery, gallery)
    found = []
    data = f"--data={tiny_market}"
    for source, row in (
        ([str(files / "a.npz"), path], query),
        ([encoder, path, data], query),
        ([encoder, str(copied), data], picture),
    ):
        (answer,) = printed(["search", *source, "-k", "4", "--center_cameras"], capsys)
        similarities = centered.embeddings @ center_cameras(row, gallery).embeddings[0]
        best = np.argsort(-similarities, kind="stable")[:4]
        found.append([result["similarity"] for result in answer["results"]])
        assert [result["path"] for result in answer["results"]] == gallery.table.paths[best].tolist()
        assert found[-1] == pytest.approx(similarities[best].tolist(), abs=1e-3)
    assert found[0] == pytest.approx(found[1], abs=1e-3)
    assert found[0] != pytest.approx(found[2], abs=1e-2)


def test_clusters_of_a_file_and_of_a_model(
    files: Path, encoder: str, tiny_market: Path, tmp_path: Path, capsys: Capture
) -> None:
    stored, out, flags = load_features(files / "a.npz"), tmp_path / "c.csv", ["--k1=8", "--eps=0.6"]
    found = printed(["cluster", str(files / "a.npz"), *flags, f"--out={out}"], capsys)
    expected = cluster(stored.features.embeddings, ClusterSettings(k1=8, eps=0.6))
    assert found["labels"] == expected.labels.tolist()
    assert found["quality"]["true_people"] == 12
    rows = list(csv.DictReader(out.open()))
    assert [row["path"] for row in rows] == stored.features.table.paths.tolist()
    assert [int(row["cluster"]) for row in rows] == expected.labels.tolist()
    data = f"--data=market1501={tiny_market}"
    assert printed(["cluster", encoder, data, *flags], capsys) == found
    assert printed(["cluster", str(files / "a.npz"), data, *flags], capsys) == found
    assert main(["cluster", str(files / "a.npz"), *flags]) == 0
    shown = capsys.readouterr().out
    assert "images in no cluster" in shown
    assert "adjusted Rand index" in shown


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["extract", "--data=x"], "needs images and a file"),
        (["extract", "--data=x", "--out=y.h5"], "must end in .npz, .npy, .parquet"),
        (["extract", "--data=market1501={market}", "--out={market}/y.npz"], "would be read as one of its images"),
        (["extract", "--data=market1501={market}", "--out=y.npz", "--tracklet.num_frames=2"], "--tracklet.*"),
        (["evaluate", "none.npz"], "there is no file none.npz"),
        (["evaluate", "{file}", "--flip"], "leave out --flip"),
        (["evaluate", "{file}", "--encoder.height=64"], "leave out --encoder.height"),
        (["evaluate", "{file}", "--cache=x"], "leave out --cache"),
        (["evaluate", "{file}", "--adapt-statistics"], "leave out --adapt_statistics"),
        (["evaluate", "{file}", "--trials=2"], "name it by --data"),
        (["cluster", "{file}", "--data=folder={images}"], "has no vector of an image of folder"),
        (["compare", "{file}", "synthetic"], "two models and images"),
        (["search", "{file}"], "needs a path in it"),
        (["search", "{file}", "none.jpg"], "'none.jpg' is not in"),
        (["search", "none.jpg", "{file}"], "comes first"),
        (["search", "{file}", "{file}", "x.jpg"], "found several words"),
        (["search", "{file}", "x.jpg", "--data=x"], "leave out --data"),
        (["cluster"], "needs a file of vectors, or a model and images"),
        (["cluster", "synthetic"], "needs a file of vectors, or a model and images"),
        (["cluster", "{file}", "--k1=900"], "k1"),
        (["cluster", "{file}", "--source_weight=0.1"], "source_weight"),
        (["cluster", "{file}", "--out=x.txt"], "x.csv"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    text: str,
    files: Path,
    tiny_market: Path,
    draw: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"file": files / "a.npz", "market": tiny_market, "images": draw(tmp_path / "images", "other.png")}
    assert text in mistake([word.format(**places) for word in words], capsys)
    assert {path.name for path in tmp_path.iterdir()} == {"images"}
