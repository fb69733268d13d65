"""Batches are always P x K, spread over cameras, and never hold an outlier."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.data.samplers import (
    identity_batches,
    pick_camera_diverse,
    pick_other_cameras,
    pick_random,
    shuffled_batches,
)
from resight.errors import DataError, RunError

PICKS = [pick_camera_diverse, pick_other_cameras, pick_random]


def columns(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    labels, cameras = zip(*pairs, strict=True)
    return np.array(labels, np.int64), np.array(cameras, np.int64)


tables = st.lists(st.tuples(st.integers(-1, 6), st.integers(-1, 3)), min_size=2, max_size=60).filter(
    lambda rows: len({label for label, _ in rows if label >= 0}) >= 2
)
shapes = st.tuples(st.integers(2, 8), st.integers(1, 6))


@pytest.mark.parametrize("pick", PICKS)
@settings(max_examples=60, deadline=None)
@given(rows=tables, shape=shapes, seed=st.integers(0, 99))
def test_batches_are_p_by_k_without_outliers(pick, rows, shape, seed) -> None:
    labels, cameras = columns(*rows)
    identities = min(shape[0], len(np.unique(labels[labels >= 0])))
    for batch in islice(identity_batches(labels, cameras, shape, np.random.default_rng(seed), pick=pick), 5):
        assert batch.shape == (identities * shape[1],)
        groups = labels[batch].reshape(identities, shape[1])
        assert (groups == groups[:, :1]).all()
        assert (groups >= 0).all()
        assert len(np.unique(groups[:, 0])) == identities


@settings(max_examples=40, deadline=None)
@given(people=st.integers(2, 12), identities=st.integers(2, 6), seed=st.integers(0, 99))
def test_each_identity_comes_once_in_a_pass(people: int, identities: int, seed: int) -> None:
    """A pass holds as many whole batches as there are identities for; the rest waits for the next order."""
    labels = np.repeat(np.arange(people), 2)
    identities = min(identities, people)
    batches = identity_batches(labels, np.zeros_like(labels), (identities, 2), np.random.default_rng(seed))
    for _ in range(3):
        seen = np.concatenate([labels[batch][::2] for batch in islice(batches, people // identities)])
        assert len(np.unique(seen)) == len(seen) == people // identities * identities


def test_every_identity_is_drawn_sooner_or_later_and_orders_differ() -> None:
    labels = np.repeat(np.arange(5), 3)
    batches = list(islice(identity_batches(labels, labels, (2, 2), np.random.default_rng(0)), 20))
    assert set(np.concatenate([labels[batch] for batch in batches])) == set(range(5))
    assert len({tuple(labels[batch]) for batch in batches}) > 5


@settings(max_examples=100, deadline=None)
@given(
    cameras=st.lists(st.integers(0, 5), min_size=1, max_size=15),
    count=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_camera_diverse_rule(cameras: list[int], count: int, seed: int) -> None:
    own = np.array(cameras)
    rows = 100 + np.arange(len(own))
    chosen = pick_camera_diverse(rows, own, count, np.random.default_rng(seed))
    assert len(chosen) == count
    assert set(chosen) <= set(rows)
    seen = own[chosen - 100]
    kinds = len(np.unique(own))
    if kinds >= count:
        assert len(np.unique(seen)) == count, "as many cameras as images"
    else:
        assert set(seen) == set(own), "every camera"
    if len(rows) >= count:
        assert len(np.unique(chosen)) == count, "no image twice where there are enough"
    elif kinds < len(rows):
        images, times = np.unique(chosen, return_counts=True)
        repeated = own[images[times > 1] - 100]
        assert (np.bincount(own)[repeated] > 1).all(), "what comes twice is of a camera with more than its one image"


@pytest.mark.parametrize("pick", PICKS)
def test_every_image_of_an_identity_can_be_drawn(pick) -> None:
    cameras = np.array([0, 0, 0, 1, 1, 2])
    random = np.random.default_rng(0)
    drawn = np.concatenate([pick(np.arange(6), cameras, 4, random) for _ in range(200)])
    assert set(drawn.tolist()) == set(range(6))


@pytest.mark.parametrize(
    ("pick", "cameras"),
    [(pick_camera_diverse, [0, 0, 0, 1]), (pick_other_cameras, [0, 1, 2, 3]), (pick_random, [0, 0, 1, 1])],
)
def test_an_identity_of_just_enough_images_gives_each_once(pick, cameras: list[int]) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        assert sorted(pick(np.arange(4), np.array(cameras), 4, random)) == [0, 1, 2, 3]


def test_cameras_beyond_the_count_have_equal_chances() -> None:
    """Of six cameras four are drawn, each camera in two batches of three, whatever its number and its images."""
    cameras = np.repeat(np.arange(6), [5, 1, 1, 2, 1, 4])
    random = np.random.default_rng(0)
    drawn = [cameras[pick_camera_diverse(np.arange(len(cameras)), cameras, 4, random)] for _ in range(600)]
    shares = np.bincount(np.concatenate(drawn), minlength=6) / 600
    np.testing.assert_allclose(shares, 4 / 6, atol=4 * np.sqrt(4 / 6 * 2 / 6 / 600))


@settings(max_examples=60, deadline=None)
@given(cameras=st.lists(st.integers(0, 3), min_size=1, max_size=10), count=st.integers(1, 6), seed=st.integers(0, 99))
def test_other_cameras_rule(cameras: list[int], count: int, seed: int) -> None:
    own = np.array(cameras)
    chosen = pick_other_cameras(np.arange(len(own)), own, count, np.random.default_rng(seed))
    assert len(chosen) == count
    anchor, rest = chosen[0], chosen[1:]
    others = np.flatnonzero(own != own[anchor])
    if len(others):
        assert set(rest) <= set(others)
    elif len(own) > 1:
        assert anchor not in rest
    if len(others) >= count - 1:
        assert len(np.unique(rest)) == len(rest)


def test_a_generator_gives_the_same_batches_again() -> None:
    labels, cameras = np.repeat(np.arange(4), 5), np.tile(np.arange(5), 4)
    first, again, other = (
        [batch.tolist() for batch in islice(identity_batches(labels, cameras, (3, 4), np.random.default_rng(s)), 6)]
        for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_fewer_identities_than_a_batch_has_are_told(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.repeat(np.arange(3), 2)
    next(identity_batches(labels, labels, (3, 4), np.random.default_rng(0)))
    assert not caplog.text
    next(identity_batches(labels, labels, (4, 4), np.random.default_rng(0)))
    assert "3 identities are fewer than the 4 of a batch: each batch has all of them, 12 images" in caplog.text


@pytest.mark.parametrize("labels", [[], [-1, -1, -1], [0, 0, 0, -1]])
def test_fewer_than_two_clusters_is_an_error(labels: list[int]) -> None:
    column = np.array(labels, np.int64)
    with pytest.raises(RunError, match="two or more") as error:
        next(identity_batches(column, column, (4, 4), np.random.default_rng(0)))
    assert "--cluster.eps" in str(error.value)
    assert "\n" not in str(error.value)


def test_random_images_are_all_different_where_there_are_enough() -> None:
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        picked = pick_random(np.arange(10, 16), np.zeros(6, np.int64), 4, generator)
        assert len(set(picked)) == 4
        seen |= set(picked)
    assert seen == set(range(10, 16))
    few = pick_random(np.array([7, 8, 9]), np.zeros(3, np.int64), 4, generator)
    assert len(few) == 4
    assert set(few) <= {7, 8, 9}
    assert pick_random(np.array([7]), np.zeros(1, np.int64), 4, generator).tolist() == [7] * 4


@pytest.mark.parametrize(
    ("labels", "cameras", "message"),
    [
        (np.ma.masked_equal([0, 0, 1, 1], 1), [0, 1, 0, 1], "labels must not have masked values: write -1"),
        ([0, 0, 1, 1], np.ma.masked_equal([0, 1, 0, 1], 1), "cameras must not have masked values"),
        (np.array([0, 0, None, 1], object), [0, 1, 0, 1], "labels must be whole numbers, found None"),
        (["a", "a", "b", "b"], [0, 1, 0, 1], "labels must be whole numbers, found 'a'"),
        ([0, 0, 1, 1], [0, 1], r"cameras must have shape \(4,\), found \(2,\)"),
    ],
)
def test_labels_that_are_not_ids_are_an_error(labels, cameras, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        next(identity_batches(labels, cameras, (2, 2), np.random.default_rng(0)))
    assert "\n" not in str(error.value)


def test_lists_and_object_arrays_of_ids_are_ids() -> None:
    labels, cameras = [0, 0, 1, 1, -1], np.array([0, 1, 0, 1, 0], object)
    first = next(identity_batches(labels, cameras, (2, 2), np.random.default_rng(0)))
    second = next(identity_batches(np.array(labels), cameras.astype(int), (2, 2), np.random.default_rng(0)))
    assert first.tolist() == second.tolist()


def test_single_images_are_drawn_once_in_a_pass() -> None:
    rows = np.array([3, 4, 8, 9, 12])
    batches = shuffled_batches(rows, 2, np.random.default_rng(0))
    passes = [np.concatenate([next(batches), next(batches)]) for _ in range(20)]
    assert all(len(set(seen)) == 4 and set(seen) <= set(rows) for seen in passes), "the fifth fills no batch"
    assert set(np.concatenate(passes)) == set(rows)
    assert len({tuple(seen) for seen in passes}) > 10
    assert sorted(next(shuffled_batches(rows, 9, np.random.default_rng(0)))) == rows.tolist()
