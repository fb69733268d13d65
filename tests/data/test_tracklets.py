"""Frames of tracklets by hand, what holds of every sampling, and pooled rows beside their plain text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resight.data.tracklets import (
    SAMPLINGS,
    Sampling,
    TrackletSettings,
    group_tracklets,
    pool_tracklets,
    sample_frames,
    sample_tracklets,
    tracklet_codes,
)
from resight.errors import ConfigError, DataError
from resight.numerics.distances import normalize, squared_distances, sum_of_part_distances
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.ranking import rank


def table(*rows: tuple[int, int, int, int]) -> ImageTable:
    """Images from person, camera, tracklet and frame."""
    people, cameras, tracklets, frames = (np.array(column) for column in zip(*rows, strict=True))
    return ImageTable(np.array([f"{i}.jpg" for i in range(len(rows))]), people, cameras, tracklets, frames)


def walks(*sizes: int, seed: int = 0, width: int = 6) -> Features:
    """Unit vectors of tracklets of so many frames, each of its own person, in a shuffled order."""
    random = np.random.default_rng(seed)
    rows = [(t, t % 2, t, frame) for t, size in enumerate(sizes) for frame in range(size)]
    images = table(*rows)[random.permutation(len(rows))]
    return Features(images, normalize(random.normal(size=(len(rows), width))), "e")


def test_images_are_grouped_by_tracklet_in_the_order_of_frames() -> None:
    images = table((5, 1, 8, 30), (6, 2, 3, 10), (5, 1, 8, 20), (7, 1, -1, 1), (5, 1, 8, 20), (7, 2, -1, 1))
    assert [rows.tolist() for rows in group_tracklets(images)] == [[2, 4, 0], [1], [3], [5]]
    ids, places = tracklet_codes(images)
    assert ids.tolist() == [8, 3, -1, -1]
    assert places.tolist() == [0, 1, 0, 2, 0, 3]
    assert group_tracklets(images[:0]) == []


@pytest.mark.parametrize(("person", "camera", "what"), [(2, 1, "people, 1 and 2"), (1, 3, "cameras, 1 and 3")])
def test_a_tracklet_is_of_one_person_by_one_camera(person: int, camera: int, what: str) -> None:
    with pytest.raises(DataError, match=f"tracklet 4 has images of two {what}"):
        group_tracklets(table((9, 9, 2, 1), (1, 1, 4, 1), (person, camera, 4, 2)))


def test_frames_are_sampled_as_by_hand() -> None:
    # 37 = 2 * 15 + 7: the last 7 are dropped, and each segment of 2 gives its first.
    assert sample_frames(37, 15).tolist() == list(range(0, 30, 2))
    assert sample_frames(15, 15).tolist() == list(range(15))
    assert sample_frames(4, 6).tolist() == [0, 1, 2, 3, 3, 3]
    assert sample_frames(1, 3).tolist() == [0, 0, 0]
    random = np.random.default_rng(3)
    for _ in range(20):
        chosen = sample_frames(10, 4, "restricted", random=random)
        assert [low <= frame < high for frame, low, high in zip(chosen, (0, 2, 5, 7), (2, 5, 7, 10), strict=True)] == [
            True
        ] * 4
        assert set(np.diff(sample_frames(20, 4, "consecutive", random=random, stride=3)).tolist()) == {3}
    # Four frames 8 apart span 25; of 20 frames every sixth can be had.
    assert sample_frames(20, 4, "consecutive", random=random, stride=8).tolist() in ([0, 6, 12, 18], [1, 7, 13, 19])
    starts = {int(sample_frames(6, 4, "consecutive", random=random)[0]) for _ in range(60)}
    assert starts == {0, 1, 2}
    assert {int(sample_frames(3, 1, "consecutive", random=random, stride=9)[0]) for _ in range(60)} == {0, 1, 2}


@given(
    size=st.integers(1, 60),
    count=st.integers(1, 20),
    how=st.sampled_from(SAMPLINGS),
    stride=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_always_so_many_frames_in_order_all_of_the_tracklet(
    size: int, count: int, how: Sampling, stride: int, seed: int
) -> None:
    chosen = sample_frames(size, count, how, random=np.random.default_rng(seed), stride=stride)
    again = sample_frames(size, count, how, random=np.random.default_rng(seed), stride=stride)
    np.testing.assert_array_equal(chosen, again)
    assert chosen.shape == (count,)
    assert chosen.dtype == np.int64
    assert chosen.min() >= 0
    assert chosen.max() < size
    assert (np.diff(chosen) >= 0).all()
    assert len(set(chosen.tolist())) == min(size, count)


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), count=st.integers(1, 7), how=st.sampled_from(SAMPLINGS)
)
def test_every_tracklet_gives_its_own_frames(sizes: list[int], count: int, how: Sampling) -> None:
    images = walks(*sizes).table
    rows = sample_tracklets(images, count, how, random=np.random.default_rng(1))
    assert rows.shape == (len(sizes), count)
    for own in rows:
        assert len(set(images.tracklet_ids[own].tolist())) == 1
        assert (np.diff(images.frame_ids[own]) >= 0).all()
    assert sorted(images.tracklet_ids[rows[:, 0]].tolist()) == list(range(len(sizes)))
    assert sample_tracklets(images[:0], count).shape == (0, count)


def test_what_cannot_be_sampled_is_one_clear_line() -> None:
    with pytest.raises(DataError, match="the tracklet is empty"):
        sample_frames(0, 3)
    with pytest.raises(ConfigError, match="did you mean 'restricted'"):
        sample_frames(9, 3, "restrict")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs a generator"):
        sample_frames(9, 3, "random")
    with pytest.raises(ConfigError, match="must be 1 or more, found 0 and 1"):
        sample_frames(9, 0)
    with pytest.raises(ConfigError, match="did you mean 'mean'"):
        pool_tracklets(walks(2), "maen")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="found 0"):
        pool_tracklets(walks(2), "tpp", parts=0)


def test_pooling_equals_its_plain_text() -> None:
    features = walks(15, 1, 7, 2)
    for how in ("mean", "max", "tpp"):
        pooled = pool_tracklets(features, how)
        assert pooled.encoder == "e"
        assert pooled.embeddings.shape == (4, 18 if how == "tpp" else 6)
        for row, rows in enumerate(group_tracklets(features.table)):
            frames = features.embeddings[rows].astype(float)
            if how == "tpp":
                thirds = {15: (5, 10), 1: None, 7: (2, 4), 2: None}[len(rows)]
                if thirds:
                    parts = [frames[: thirds[0]], frames[thirds[0] : thirds[1]], frames[thirds[1] :]]
                else:
                    parts = [frames[:1], frames[1:2] if len(rows) > 1 else frames[:1], frames[-1:]]
                expected = np.concatenate([part.mean(0) for part in parts])
            else:
                expected = frames.mean(0) if how == "mean" else frames.max(0)
                expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(pooled.embeddings[row], expected, atol=1e-6)
            for name in ("person_ids", "camera_ids", "tracklet_ids", "paths"):
                assert getattr(pooled.table, name)[row] == getattr(features.table, name)[rows[0]]


@given(sizes=st.lists(st.integers(1, 8), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_pooling_does_not_depend_on_the_order_of_the_images(sizes: list[int], seed: int) -> None:
    features = walks(*sizes)
    mixed = features[np.random.default_rng(seed).permutation(len(features))]
    for how in ("mean", "max", "tpp"):
        one, other = pool_tracklets(features, how), pool_tracklets(mixed, how)
        order, back = np.argsort(one.table.tracklet_ids), np.argsort(other.table.tracklet_ids)
        np.testing.assert_allclose(one.embeddings[order], other.embeddings[back], atol=1e-6)


def test_a_tracklet_of_one_frame_is_its_frame_and_no_tracklet_none() -> None:
    features = walks(1, 1, 1)
    for how in ("mean", "max"):
        np.testing.assert_allclose(pool_tracklets(features, how).embeddings, features.embeddings, atol=1e-6)
    np.testing.assert_allclose(pool_tracklets(features, "tpp").embeddings, np.tile(features.embeddings, 3), atol=1e-6)
    assert pool_tracklets(features[:0], "tpp").embeddings.shape == (0, 18)


def test_evaluate_and_rank_take_pooled_rows_in_both_readings_of_tpp() -> None:
    # The gallery's first walk is the query's, begun later: its parts are the query's in another order.
    x, y, z, other = np.eye(4, dtype=np.float32)
    queries = Features(table((1, 1, 0, 0), (1, 1, 0, 1), (1, 1, 0, 2)), np.stack([x, y, z]))
    gallery = Features(
        table((1, 2, 1, 0), (1, 2, 1, 1), (1, 2, 1, 2), (2, 2, 2, 0), (2, 2, 2, 1), (2, 2, 2, 2)),
        np.stack([y, z, x, x, y, other]),
    )
    asked, held = pool_tracklets(queries, "tpp"), pool_tracklets(gallery, "tpp")
    assert rank(asked, held, k=1).indices.tolist() == [[1]]
    assert evaluate(asked, held).scores["rank-1"] == 0
    assert evaluate(asked, held, distance_fn=sum_of_part_distances).scores["rank-1"] == 1
    assert rank(asked, held, k=1, distance_fn=sum_of_part_distances).indices.tolist() == [[0]]
    mean = [pool_tracklets(side) for side in (queries, gallery)]
    assert rank(*mean, k=1).indices.tolist() == [[0]]
    assert evaluate(*mean).scores["mAP"] == 1
    with pytest.raises(ConfigError, match="re-ranking needs"):
        evaluate(*mean, distance_fn=sum_of_part_distances, rerank=True)


def test_a_row_counts_as_often_as_it_is_chosen() -> None:
    features = walks(2, 4)
    rows = sample_tracklets(features.table, 6)
    for how in ("mean", "max", "tpp"):
        pooled = pool_tracklets(features, how, chosen=rows)
        for row, own in zip(pooled.embeddings, rows, strict=True):
            frames = features.embeddings[own].astype(float)
            if how == "tpp":
                expected = np.concatenate([frames[0:2].mean(0), frames[2:4].mean(0), frames[4:6].mean(0)])
            else:
                expected = frames.mean(0) if how == "mean" else frames.max(0)
                expected = expected / np.linalg.norm(expected)
            np.testing.assert_allclose(row, expected, atol=1e-6)
    assert not np.allclose(pool_tracklets(features, chosen=rows).embeddings, pool_tracklets(features).embeddings)


def test_an_image_of_unknown_tracklet_is_one_row_however_often_it_is_chosen() -> None:
    images = table((1, 1, 7, 0), (1, 1, 7, 1), (-1, 2, -1, 0), (0, 2, -1, 0))
    features = Features(images, np.eye(4, dtype=np.float32))
    pooled = pool_tracklets(features, "mean", chosen=sample_tracklets(images, 15))
    assert pooled.table.person_ids.tolist() == [1, -1, 0]
    np.testing.assert_array_equal(pooled.embeddings[1:], np.eye(4)[2:])


def test_the_settings_choose_alike_for_a_seed_and_measure_by_their_pooling() -> None:
    images = walks(40, 3, 60).table
    even = TrackletSettings()
    np.testing.assert_array_equal(even.choose(images), sample_tracklets(images, 15))
    drawn = TrackletSettings(num_frames=4, sampling="random", seed=5)
    np.testing.assert_array_equal(drawn.choose(images), drawn.choose(images))
    assert not np.array_equal(drawn.choose(images), TrackletSettings(4, "random", seed=6).choose(images))
    measures = {
        (pooling, distance): TrackletSettings(pooling=pooling, distance=distance).distance_fn
        for pooling in ("mean", "max", "tpp")
        for distance in ("sum", "concatenated")
    }
    assert measures.pop(("tpp", "sum")) is sum_of_part_distances
    assert set(measures.values()) == {squared_distances}
    for changes, message in (({"num_frames": 0}, "1 or more, found 0"), ({"seed": -1}, "0 or more, found -1")):
        with pytest.raises(ConfigError, match=message):
            TrackletSettings(**changes)


def test_the_nine_distances_of_two_walks_by_hand() -> None:
    """Parts at 0, 3 and 0 on one axis, 4, 0 and 0 on another: of each pair the Euclidean distance, all added."""
    first, second = np.zeros((2, 1, 6), np.float32)
    first[0, 2], second[0, 1] = 3, 4
    apart = [4, 0, 0, 5, 3, 3, 4, 0, 0]
    assert sum_of_part_distances(first, second).tolist() == [[sum(apart)]]
    assert TrackletSettings(pooling="tpp").distance_fn(first, second).tolist() == [[19]]
    assert TrackletSettings(pooling="tpp", distance="concatenated").distance_fn(first, second).tolist() == [[25]]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (np.ma.masked_equal([[0, 1]], 1), "chosen must not have masked values"),
        (np.array([[0, None]], object), "chosen must be whole numbers, found None"),
        ([0, 1], r"chosen must have shape \(K, F\)"),
        (np.zeros((2, 0)), r"chosen must have shape \(K, F\)"),
        ([[0, 3]], r"chosen must be rows in 0\.\.2, found 0\.\.3"),
        ([[-1, 0]], r"chosen must be rows in 0\.\.2, found -1\.\.0"),
    ],
)
def test_rows_to_pool_are_rows_of_the_features(chosen, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pool_tracklets(walks(2, 1), chosen=chosen)
