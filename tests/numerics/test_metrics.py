import math
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

import reference
from drawn import pairs, scene
from resight.errors import ConfigError, DataError
from resight.numerics import metrics_kernels
from resight.numerics.metrics import (
    average_precision,
    cumulative_matches,
    first_ranks,
    inverse_negative_penalty,
    join_ranks,
    positive_ranks,
)


def split(ranks, offsets):
    return [ranks[low:high].tolist() for low, high in pairwise(offsets)]


def test_a_table_worked_by_hand():
    # Gallery:       junk  own camera  positive  negative  positive  nobody
    people, cameras = [-1, 5, 5, 6, 5, 0], [2, 1, 2, 1, 3, 2]
    distances = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.05], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]
    ranks, offsets = positive_ranks(distances, [5, 8], [1, 1], people, cameras)
    # Query 0: nobody, positive, negative, positive. Query 1 has no positive.
    assert split(ranks, offsets) == [[1, 3], []]
    np.testing.assert_allclose(average_precision(ranks, offsets), [(1 / 2 + 2 / 4) / 2, math.nan])
    trapezoid = ((0 / 1 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2
    np.testing.assert_allclose(average_precision(ranks, offsets, variant="trapezoid"), [trapezoid, math.nan])
    np.testing.assert_allclose(inverse_negative_penalty(ranks, offsets), [2 / 4, math.nan])
    first = first_ranks(ranks, offsets)
    assert first.tolist() == [1, -1]
    assert cumulative_matches(first, 3).tolist() == [0, 1, 1]
    every = positive_ranks(distances, [5, 8], [1, 1], people, cameras, exclude="none")
    assert split(*every) == [[1, 2, 4], []]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["same-camera", "none"]))
def test_ranks_are_those_of_a_full_sort(seed, tied, rule):
    distances, *columns = scene(seed, queries=8, gallery=40, tied=tied)
    for distractor in (0, None, 3):
        found = positive_ranks(distances, *columns, exclude=rule, distractor_id=distractor)
        expected = reference.ranks(
            distances,
            pairs(*columns[:2]),
            pairs(*columns[2:]),
            same_camera=rule == "same-camera",
            distractor_id=distractor,
        )
        assert split(*found) == expected
        for variant in ("step", "trapezoid"):
            np.testing.assert_allclose(
                average_precision(*found, variant=variant),
                [reference.average_precision(r, variant) for r in expected],
            )
        np.testing.assert_allclose(
            inverse_negative_penalty(*found), [reference.inverse_negative_penalty(r) for r in expected]
        )
        if any(expected):
            np.testing.assert_allclose(
                cumulative_matches(first_ranks(*found), 12), reference.cumulative_matches(expected, 12)
            )


@pytest.mark.parametrize("tied", [False, True])
def test_many_positives_are_ranked_alike(tied):
    # More than FEW, where the counting takes another way.
    distances, *columns = scene(2, queries=6, gallery=1500, tied=tied)
    found = positive_ranks(distances, *columns, distractor_id=None)
    assert np.diff(found[1]).max() > metrics_kernels.FEW
    assert split(*found) == reference.ranks(distances, pairs(*columns[:2]), pairs(*columns[2:]), distractor_id=None)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 0.0])
def test_infinite_distances_tie_like_others(value):
    distances, *columns = scene(4)
    distances[:, ::2] = value
    found = positive_ranks(distances, *columns, distractor_id=None)
    assert split(*found) == reference.ranks(distances, pairs(*columns[:2]), pairs(*columns[2:]), distractor_id=None)


def test_read_only_columns_compile_no_kernel_twice():
    distances, *columns = scene(0)
    positive_ranks(distances, *columns)
    known = len(metrics_kernels.rank_positives.signatures)
    for array in (distances, *columns):
        array.setflags(write=False)
    positive_ranks(distances, *columns)
    assert len(metrics_kernels.rank_positives.signatures) == known == 1


def test_average_precision_is_that_of_scikit_learn():
    distances, *columns = scene(3)
    found = average_precision(*positive_ranks(distances, *columns))
    gallery = pairs(*columns[2:])
    compared = 0
    for row, query, value in zip(distances, pairs(*columns[:2]), found, strict=True):
        kept = reference.valid_order(row, query, gallery, same_camera=True)
        truth = [gallery[g][0] == query[0] for g in kept]
        if query[0] > 0 and any(truth):
            assert value == pytest.approx(average_precision_score(truth, -row[kept]))
            compared += 1
        else:
            assert math.isnan(value)
    assert compared > 10


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_the_gallery_and_junk_change_nothing(seed):
    distances, *columns = scene(seed)
    # Each row's own order, without ties: those go by the place in the gallery.
    distances = (distances.argsort(1, kind="stable").argsort(1) / distances.shape[1]).astype(np.float32)
    rng = np.random.default_rng(seed)
    found = positive_ranks(distances, *columns)
    order = rng.permutation(distances.shape[1])
    mixed = positive_ranks(distances[:, order], *columns[:2], *(c[order] for c in columns[2:]))
    np.testing.assert_array_equal(found[0], mixed[0])
    junk = rng.random((len(distances), 9), np.float32)
    people, cameras = np.append(columns[2], [-1] * 9), np.append(columns[3], rng.integers(0, 4, 9))
    padded = positive_ranks(np.hstack([distances, junk]), *columns[:2], people, cameras)
    np.testing.assert_array_equal(found[0], padded[0])
    np.testing.assert_array_equal(found[1], padded[1])
    for scores in (average_precision(*found), inverse_negative_penalty(*found)):
        possible = scores[~np.isnan(scores)]
        assert ((possible > 0) & (possible <= 1)).all()


def test_a_perfect_ranking_scores_one():
    people = np.arange(1, 5).repeat(3)
    distances = (np.arange(1, 5)[:, None] != people).astype(np.float32)
    found = positive_ranks(distances, np.arange(1, 5), np.zeros(4), people, np.ones(12))
    for variant in ("step", "trapezoid"):
        assert (average_precision(*found, variant=variant) == 1).all()
    assert (inverse_negative_penalty(*found) == 1).all()
    assert (cumulative_matches(first_ranks(*found)) == 1).all()


def test_all_distances_equal_ranks_by_gallery_row():
    found = positive_ranks(np.zeros((1, 6)), [2], [0], [1, 2, 1, 2, -1, 2], [1] * 6)
    assert split(*found) == [[1, 3, 4]]


def test_blocks_and_threads_change_nothing():
    distances, *columns = scene(9, queries=40)
    whole = positive_ranks(distances, *columns)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        parts = [
            positive_ranks(distances[low : low + 7], *(c[low : low + 7] for c in columns[:2]), *columns[2:])
            for low in range(0, 40, 7)
        ]
    finally:
        numba.set_num_threads(before)
    for joined, expected in zip(join_ranks(parts), whole, strict=True):
        np.testing.assert_array_equal(joined, expected)
    ranks, offsets = join_ranks([])
    assert (ranks.tolist(), offsets.tolist()) == ([], [0])


def test_nothing_to_measure_is_defined():
    found = positive_ranks(np.empty((0, 3)), [], [], [1, 2, 3], [0, 0, 0])
    assert found[1].tolist() == [0]
    assert average_precision(*found).shape == (0,)
    empty = positive_ranks(np.empty((2, 0)), [1, 2], [0, 0], [], [])
    assert np.isnan(average_precision(*empty)).all()
    assert np.isnan(cumulative_matches(first_ranks(*empty), 3)).all()
    assert first_ranks(*empty).tolist() == [-1, -1]


def test_infinite_distances_stand_last():
    found = positive_ranks([[np.inf, 0.5, 3e38, np.inf]], [1], [0], [1, 2, 2, 2], [1] * 4)
    assert split(*found) == [[2]]


def test_bad_input_is_told():
    distances, *columns = scene(0)
    distances[4, 7] = np.nan
    with pytest.raises(DataError, match="query 4 hold nan"):
        positive_ranks(distances, *columns)
    with pytest.raises(DataError, match="query_people must have shape"):
        positive_ranks(distances[:3], *columns)
    with pytest.raises(DataError, match=r"\(Q, G\)"):
        positive_ranks(distances[0], *columns)
    with pytest.raises(ConfigError, match="exclude"):
        positive_ranks(distances, *columns, exclude="same")
    with pytest.raises(ConfigError, match="variant"):
        average_precision(np.array([0]), np.array([0, 1]), variant="area")
    with pytest.raises(ConfigError, match="top"):
        cumulative_matches(np.array([0]), 0)
