"""Scores of an encoder on images and on tracklets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from mars_files import write_mars
from resight.compute.devices import Devices
from resight.data.catalog import load_dataset
from resight.data.crops import Crops, load_crops
from resight.data.dataset import Dataset
from resight.data.tracklets import TrackletSettings
from resight.errors import DataError
from resight.numerics.distances import squared_distances, sum_of_part_distances
from resight.records import Features, ImageTable, Report
from resight.retrieval import extraction
from resight.retrieval import protocol as scoring
from resight.retrieval.evaluation import evaluate
from resight.retrieval.extraction import extract, extract_tracklets
from resight.retrieval.protocol import Score, distance_fn, embed, make_evaluator

DRAWN = TrackletSettings(num_frames=2, sampling="random", pooling="tpp", seed=3)


@pytest.fixture
def mars(draw: Callable[..., Path], tmp_path: Path) -> Dataset:
    return load_dataset("mars-with-queries", write_mars(tmp_path, draw=draw))


def score_of(dataset: Dataset, tracklet: TrackletSettings = DRAWN) -> Score:
    found = make_evaluator(dataset, tiny.ENCODER.size, devices=Devices(tiny.DEVICE), flip=True, tracklet=tracklet)
    assert found is not None
    return found


def test_tracklets_are_scored_as_asked_and_the_report_says_how(mars: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny.encoder()
    used = []

    def recording(*given: Features, **how: Any) -> Report:
        used.append(how["distance_fn"])
        return evaluate(*given, **how)

    monkeypatch.setattr(scoring, "evaluate", recording)
    report, queries, gallery = score_of(mars)(encoder)
    sides = [
        extract_tracklets(encoder, side, tracklet=DRAWN, flip=True, devices=Devices(tiny.DEVICE))
        for side in (mars.query, mars.gallery)
    ]
    np.testing.assert_allclose(gallery.embeddings, sides[1].embeddings, atol=1e-6)
    assert (len(queries), len(gallery), queries.embeddings.shape[1]) == (3, 6, 3 * 32)
    expected = evaluate(*sides, distractor_id=0, distance_fn=sum_of_part_distances)
    assert report.scores == expected.scores
    assert used == [sum_of_part_distances]
    known = report.provenance
    assert known["data"] == "mars-with-queries"
    assert "with the queries' own tracklets" in known["notes"]
    assert known["tracklet"] == {
        "num_frames": 2, "sampling": "random", "pooling": "tpp", "distance": "sum", "seed": 3
    }  # fmt: skip


def test_what_does_not_fit_into_memory_is_decoded_at_each_scoring(
    mars: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []

    def counting(table: object, size: tuple[int, int]) -> Crops:
        decoded.append(1)
        return load_crops(table, size)  # type: ignore[arg-type]

    for module in (scoring, extraction):
        monkeypatch.setattr(module, "load_crops", counting)
    kept = score_of(mars)
    once, again = (kept(tiny.encoder())[0].scores for _ in range(2))
    assert once == again
    assert len(decoded) == 2
    monkeypatch.setattr(scoring, "fits_memory", lambda *_: False)
    anew = score_of(mars)
    assert len(decoded) == 2
    assert [anew(tiny.encoder())[0].scores for _ in range(2)] == [once, once]
    assert len(decoded) == 2 + 4


def test_images_are_decoded_once_for_all_scorings(tiny_market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    for module in (scoring, extraction):
        monkeypatch.setattr(module, "load_crops", lambda *given: decoded.append(1) or load_crops(*given))
    score = score_of(load_dataset("market1501", tiny_market))
    assert score(tiny.encoder())[0].scores == score(tiny.encoder())[0].scores
    assert len(decoded) == 2, "the queries and the gallery"


def test_a_gallery_with_images_of_unknown_tracklet_holds_each_once(mars: Dataset) -> None:
    gallery = dataclasses.replace(
        mars.gallery, tracklet_ids=np.where(mars.gallery.person_ids > 0, mars.gallery.tracklet_ids, -1)
    )
    _, _, found = score_of(dataclasses.replace(mars, gallery=gallery), TrackletSettings())(tiny.encoder())
    assert sorted(found.table.person_ids.tolist()) == [-1, 0, 0, 2, 2, 2, 4]


def test_images_take_no_notice_of_tracklet_settings(tiny_market: Path) -> None:
    images = load_dataset("market1501", tiny_market)
    one, other = (score_of(images, tracklet)(tiny.encoder())[0] for tracklet in (DRAWN, TrackletSettings()))
    assert one.scores == other.scores
    assert "tracklet" not in one.provenance
    assert distance_fn(images, DRAWN) is squared_distances


@pytest.mark.parametrize(("distractor", "without"), [(0, 1), (None, 0)])
def test_a_query_of_the_person_who_is_nobody_finds_nobody(
    tiny_market: Path, distractor: int | None, without: int
) -> None:
    dataset = load_dataset("market1501", tiny_market)
    person = dataset.query.person_ids[0]
    query, gallery = (
        dataclasses.replace(side, person_ids=np.where(side.person_ids == person, 0, side.person_ids))
        for side in (dataset.query[[0, -1]], dataset.gallery)
    )
    changed = dataclasses.replace(dataset, query=query, gallery=gallery, distractor_id=distractor)
    assert score_of(changed)(tiny.encoder())[0].scores["queries_without_match"] == without


def test_images_of_the_querys_camera_count_where_the_data_sets_rule_says_so(tiny_market: Path) -> None:
    dataset = load_dataset("market1501", tiny_market)
    asked, held = dataset.query, dataset.gallery
    mine = asked.person_ids[:, None] == held.person_ids
    elsewhere = mine & (asked.camera_ids[:, None] != held.camera_ids)
    for rule, matches in (("none", mine), ("same-camera", elsewhere)):
        report = score_of(dataclasses.replace(dataset, exclude=rule))(tiny.encoder())[0]
        assert report.per_query["matches"].tolist() == matches.sum(1).tolist()
    assert not np.array_equal(mine, elsewhere)


def test_images_are_scored_as_asked_and_the_report_says_how(tiny_market: Path) -> None:
    dataset, encoder, devices = load_dataset("market1501", tiny_market), tiny.encoder(), Devices(tiny.DEVICE)
    for flip in (True, False):
        score = make_evaluator(dataset, tiny.ENCODER.size, devices=devices, flip=flip, tracklet=DRAWN)
        assert score is not None
        report, queries, gallery = score(encoder)
        sides = [extract(encoder, side, devices=devices, flip=flip) for side in (dataset.query, dataset.gallery)]
        for found, expected in zip((queries, gallery), sides, strict=True):
            np.testing.assert_array_equal(found.embeddings, expected.embeddings)
        assert report.scores == evaluate(*sides, distractor_id=0).scores
        assert report.provenance.items() >= {"flip": flip, "data": dataset.name, "unit": "images"}.items()


@pytest.mark.parametrize(("unit", "verb"), [("images", "extract"), ("tracklets", "extract_tracklets")])
def test_what_is_asked_of_embed_reaches_extraction(unit: Any, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, verb, lambda *given, **how: (given, how))
    how: dict[str, Any] = {"devices": Devices(tiny.DEVICE), "flip": True, "cache": Path("kept")}
    encoder, side = tiny.encoder(), load_crops(ImageTable(np.array([], str)), tiny.ENCODER.size)
    given, reached = embed(encoder, side, unit, tracklet=DRAWN, **how)  # type: ignore[misc]
    assert given == (encoder, side)
    assert reached == how | ({"tracklet": DRAWN} if unit == "tracklets" else {})


def test_without_queries_there_is_nothing_to_score(mars: Dataset) -> None:
    bare = dataclasses.replace(mars, query=mars.query[:0])
    assert make_evaluator(bare, (64, 32), devices=Devices(tiny.DEVICE), flip=False, tracklet=DRAWN) is None


def test_queries_of_which_none_can_be_read_are_one_clear_line(mars: Dataset) -> None:
    for path in mars.query.paths.tolist():
        Path(path).write_bytes(b"broken")
    with pytest.raises(DataError, match="none of the 6 images can be read"):
        score_of(mars)
