"""Ranking by appearance and time: it finds who could have walked there, and says what it lacks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import reference
import tiny
from resight import api
from resight.cli.main import main
from resight.data.catalog import load_dataset
from resight.errors import ConfigError, DataError
from resight.numerics.spatiotemporal import Sightings, travel_times
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.joint import check_sightings, estimate_travel_times, sightings_of
from resight.retrieval.ranking import rank


def walkers(people: int, seed: int, noise: float) -> Features:
    """Everyone passes camera 1, 2,000 frames later camera 2 and 5,000 later camera 3; three images by each."""
    rng = np.random.default_rng(seed)
    person, camera = (ids.ravel().repeat(3) for ids in np.indices((people, 3)))
    frames = rng.integers(0, 400_000, people)[person] + np.array([0, 2000, 5000])[camera] + np.arange(len(person)) % 3
    looks = rng.normal(size=(people, 16))[person] + noise * rng.normal(size=(len(person), 16))
    vectors = (looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32)
    paths = np.array([f"{seed}-{row}.jpg" for row in range(len(person))])
    return Features(ImageTable(paths, person, camera + 1, frame_ids=frames), vectors, "encoder")


def test_time_between_cameras_finds_more_people_and_needs_no_label() -> None:
    train, test = walkers(40, 0, 0.4), walkers(30, 1, 1.2)
    unlabeled = dataclasses.replace(train, table=dataclasses.replace(train.table, person_ids=np.full(len(train), -1)))
    times = estimate_travel_times(unlabeled)
    np.testing.assert_array_equal(estimate_travel_times(train).shares, times.shares)
    queries, gallery = test[test.table.camera_ids == 1], test[test.table.camera_ids > 1]
    alone, joint = evaluate(queries, gallery), evaluate(queries, gallery, rerank=times)
    assert joint.scores["mAP"] > alone.scores["mAP"] + 0.1
    assert (alone.provenance["rerank"], joint.provenance["rerank"]) == (False, "joint")


def test_results_are_those_of_each_pair() -> None:
    train, test = walkers(20, 2, 0.4), walkers(6, 3, 0.8)
    seen = Sightings(train.table.camera_ids, train.table.frame_ids)
    times = travel_times(train.table.person_ids, seen, smoothing=3)
    shares = reference.travel_times(train.table.person_ids, seen.cameras, seen.frames, 100, 3)
    queries, gallery = test[:9], test[9:]
    ranking = rank(queries, gallery, k=5, rerank=times)
    for q in range(len(queries)):
        distances = []
        for g in range(len(gallery)):
            one, other = (
                (int(x.table.frame_ids[i]), int(x.table.camera_ids[i])) for x, i in ((queries, q), (gallery, g))
            )
            later, earlier = max(one, other), min(one, other)
            curve, place = shares[later[1], earlier[1]], (later[0] - earlier[0]) // 100
            share = curve[place] if place < len(curve) else 0
            distances.append(reference.joint_distance(queries.embeddings[q] @ gallery.embeddings[g], share))
        np.testing.assert_allclose(ranking.distances[q], np.sort(distances)[:5], atol=1e-5)
        np.testing.assert_allclose(np.array(distances)[ranking.indices[q]], ranking.distances[q], atol=1e-5)
    cosines = np.einsum("qd,qkd->qk", queries.embeddings, gallery.embeddings[ranking.indices])
    np.testing.assert_allclose(ranking.similarities, cosines, atol=1e-6)


def test_what_is_missing_is_named() -> None:
    features = walkers(5, 4, 0.5)
    times = travel_times(features.table.person_ids, sightings_of(features.table, "the training part"))
    for column, name in (("camera_ids", "camera"), ("frame_ids", "frame number")):
        known = getattr(features.table, column).copy()
        known[2] = -1
        lacking = dataclasses.replace(features, table=dataclasses.replace(features.table, **{column: known}))
        message = rf"1 of 45 images of the gallery have no {name}, first '4-2.jpg'; give them in labels.csv"
        for function in (rank, evaluate):
            with pytest.raises(DataError, match=message):
                function(features, lacking, rerank=times)
    with pytest.raises(DataError, match=r"found 3 image\(s\)"):
        estimate_travel_times(features[:3])
    with pytest.raises(ConfigError, match="leave out distance_fn or rerank"):
        rank(features, features, rerank=times, distance_fn=lambda asked, held: asked @ held.T)


def test_a_set_without_a_training_part_or_frames_is_told_before_anything_is_embedded(tiny_market: Path) -> None:
    dataset = load_dataset("market1501", tiny_market)
    check_sightings(dataset)
    with pytest.raises(DataError, match="has none"):
        check_sightings(dataclasses.replace(dataset, train=dataset.train[:0]))
    query = dataclasses.replace(dataset.query, frame_ids=np.full(len(dataset.query), -1))
    with pytest.raises(DataError, match="of the query part have no frame number"):
        check_sightings(dataclasses.replace(dataset, query=query))


def test_a_call_ranks_so_too_and_one_order_excludes_the_other(
    tiny_market: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, encoder = load_dataset("market1501", tiny_market), tiny.encoder()
    joint, alone = (api.score(encoder, dataset, rerank=how, device=tiny.DEVICE) for how in ("joint", False))
    assert (joint.provenance["rerank"], alone.provenance["rerank"]) == ("joint", False)
    assert joint.scores != alone.scores
    with pytest.raises(ConfigError, match="rerank must be True or False"):
        api.score(encoder, dataset, rerank="time", device=tiny.DEVICE)  # type: ignore[arg-type]
    assert main(["evaluate", f"--data=market1501={tiny_market}", "--rank_by=joint", "--rerank"]) == 2
    assert "leave out one of them" in capsys.readouterr().err
