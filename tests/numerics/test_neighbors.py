import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from resight.errors import DataError
from resight.numerics.distances import as_vectors, normalize, squared_distances
from resight.numerics.neighbors import (
    BLOCK,
    FEW_QUERIES,
    farthest_distances,
    k_nearest,
    k_nearest_and_farthest,
    k_nearest_by_camera,
    search_itself,
    squares,
)


def unit(rng, size, width=24):
    return normalize(rng.normal(size=(size, width)))


@pytest.mark.parametrize("block", [1, 7, 4096])
def test_neighbors_are_those_of_a_full_sort(rng, block):
    vectors = unit(rng, 150)
    distances, ids = k_nearest(vectors, 20, block=block)
    expected = reference.k_nearest(vectors, 20)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    assert distances.dtype == np.float32
    assert ids.dtype == np.int64


@pytest.mark.parametrize("coarse", [True, False])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([16, 64, 1000]), st.floats(0, 30))
def test_vectors_search_themselves_exactly_however_coarse_the_product(coarse, seed, k, block, offset):
    """Crowds about a few points, duplicates among them, far from the origin: rounding decides where it may."""
    rng = np.random.default_rng(seed)
    crowds = rng.normal(size=(3, 8)) + offset
    spread = 10.0 ** rng.uniform(-5, 0)
    vectors = (crowds[rng.integers(0, 3, 150)] + spread * rng.normal(size=(150, 8))).astype(np.float32)
    vectors[100:120] = vectors[rng.integers(0, 100, 20)]
    distances, ids = search_itself(as_vectors(vectors), k, squares(150, block), block=block, coarse=coarse)
    expected = reference.k_nearest(vectors, k)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-6)


@pytest.mark.parametrize("coarse", [True, False])
def test_more_equals_than_there_is_room_for(rng, coarse):
    vectors = unit(rng, 400)
    vectors[50:350] = vectors[50]
    distances, ids = search_itself(as_vectors(vectors), 20, squares(400, 64), block=64, coarse=coarse)
    np.testing.assert_array_equal(ids, reference.k_nearest(vectors, 20)[1])
    assert not distances[50:350].any()


@pytest.mark.parametrize("count", [4, FEW_QUERIES, FEW_QUERIES + 1, 40])
def test_queries_are_searched_without_a_row_of_their_own(rng, count):
    vectors, queries = unit(rng, 90), unit(rng, count)
    queries[3] = vectors[5]
    distances, ids = k_nearest(vectors, 90, queries=queries, block=16)
    expected = reference.k_nearest(vectors, 90, queries)
    np.testing.assert_array_equal(ids, expected[1])
    assert ids[3, 0] == 5
    assert distances[3, 0] == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.floats(0, 30), st.sampled_from([1, 5, FEW_QUERIES + 1]))
def test_few_queries_are_answered_exactly_too(seed, k, offset, count):
    rng = np.random.default_rng(seed)
    crowds = rng.normal(size=(3, 8)) + offset
    spread = 10.0 ** rng.uniform(-5, 0)
    vectors = (crowds[rng.integers(0, 3, 150)] + spread * rng.normal(size=(150, 8))).astype(np.float32)
    queries = np.concatenate([vectors[:1], vectors[rng.integers(0, 150, count)]])[:count]
    distances, ids = k_nearest(vectors, k, queries=queries)
    expected = reference.k_nearest(vectors, k, queries)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    assert (distances[:, 0] == 0).all()


def test_few_queries_among_many_equals(rng):
    vectors = np.broadcast_to(rng.normal(size=8).astype(np.float32), (3 * BLOCK + 5, 8))
    distances, ids = k_nearest(vectors, 4, queries=vectors[:2])
    assert ids.tolist() == [[0, 1, 2, 3]] * 2
    assert not distances.any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([0, 9, FEW_QUERIES + 1]))
def test_ties_ascend_by_id_and_the_own_row_is_first(seed, k, count):
    # Few points of a small integer grid: many duplicates, and many equal distances at the k-th place.
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-1, 2, size=(30, 2)).astype(np.float32)
    queries = rng.integers(-1, 2, size=(count, 2)).astype(np.float32) if count else None
    distances, ids = k_nearest(vectors, k, queries=queries, block=8)
    expected = reference.k_nearest(vectors, k, queries)
    np.testing.assert_array_equal(ids, expected[1])
    np.testing.assert_array_equal(distances, expected[0])


def test_the_result_does_not_depend_on_blocks_or_far_offsets(rng):
    # Far from the origin the matrix product loses all digits; the measured distances do not.
    vectors = (rng.normal(size=(200, 16)) + 1000).astype(np.float32)
    whole, part = k_nearest(vectors, 10), k_nearest(vectors, 10, block=13)
    np.testing.assert_array_equal(whole[1], part[1])
    np.testing.assert_array_equal(whole[0], part[0])
    np.testing.assert_array_equal(whole[1], reference.k_nearest(vectors, 10)[1])


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_vectors_are_at_distance_zero(value):
    distances, ids = k_nearest(np.full((6, 3), value, np.float32), 4)
    assert (distances == 0).all()
    assert ids.tolist() == [[i, *[j for j in range(6) if j != i][:3]] for i in range(6)]


def test_one_pass_gives_the_farthest_too(rng):
    vectors = unit(rng, 70)
    expected = reference.squared_distances(vectors, vectors).max(axis=1)
    np.testing.assert_allclose(k_nearest_and_farthest(vectors, 3, block=9)[2], expected, atol=1e-5)
    np.testing.assert_allclose(farthest_distances(vectors, block=9), expected, atol=1e-5)


@pytest.mark.parametrize(("own", "others"), [(5, 5), (4, 9), (6, 1)])
def test_lists_by_camera_hold_the_nearest_of_each_in_even_shares(rng, own, others):
    vectors, cameras = unit(rng, 120), rng.choice([2, 5, 9], 120)
    distances, ids = k_nearest_by_camera(vectors, cameras, own, others)
    exact = squared_distances(vectors, vectors)
    np.fill_diagonal(exact, -1)  # before any duplicate
    for row in range(120):
        inside = np.flatnonzero(cameras == cameras[row])
        outside = np.flatnonzero(cameras != cameras[row])
        near = inside[np.argsort(exact[row, inside], kind="stable")][:own]
        far = outside[np.argsort(exact[row, outside], kind="stable")][:others]
        same = cameras[ids[row]] == cameras[row]
        np.testing.assert_array_equal(ids[row][same], near)
        np.testing.assert_array_equal(ids[row][~same], far)
        np.testing.assert_allclose(distances[row, 1:], exact[row, ids[row, 1:]], atol=1e-5)
        for length in range(1, own + others + 1):  # any first part has the shares of the whole
            assert abs(same[:length].sum() - length * own / (own + others)) <= 1
    assert (ids[:, 0] == np.arange(120)).all()


@pytest.mark.parametrize("cameras", [[1] * 37 + [2] * 3, [1] * 39 + [2], [1] * 40, [4, 5] * 20])
def test_lists_are_filled_up_where_a_camera_is_too_small(rng, cameras):
    vectors, cameras = unit(rng, 40), np.array(cameras)
    _, ids = k_nearest_by_camera(vectors, cameras, 6, 5)
    exact = squared_distances(vectors, vectors)
    np.fill_diagonal(exact, -1)
    for row in range(40):
        assert len(set(ids[row])) == 11
        same = cameras == cameras[row]
        mine = (cameras[ids[row]] == cameras[row]).sum()
        assert mine == max(min(6, same.sum()), 11 - (~same).sum())
        for side, count in ((same, mine), (~same, 11 - mine)):
            nearest = [j for j in np.argsort(exact[row], kind="stable") if side[j]][:count]
            assert set(nearest) <= set(ids[row])
    with pytest.raises(DataError, match=r"k must be in 1\.\.40"):
        k_nearest_by_camera(vectors, cameras, 30, 20)


def test_distances_and_normalization(rng):
    a, b = rng.normal(size=(8, 5)), rng.normal(size=(3, 5))
    np.testing.assert_allclose(squared_distances(a, b), reference.squared_distances(a, b), rtol=1e-4)
    assert (squared_distances(a, a) >= 0).all()
    a[2] = 0
    scaled = normalize(a)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), np.arange(8) != 2, atol=1e-6)
    np.testing.assert_array_equal(normalize(a * 1e-15)[0] > 0, a[0] > 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: k_nearest(x, 11), "k must be in 1..10"),
        (lambda x: k_nearest(x, 0), "k must be in 1..10"),
        (lambda x: k_nearest(x[:1], 1), "at least 2 vectors"),
        (lambda x: k_nearest(x[:0], 1, queries=x), "at least 1 vector"),
        (lambda x: k_nearest(x[0], 1), "shape"),
        (lambda x: k_nearest(x, 2, queries=x[:, :2]), "same dimension"),
        (lambda x: k_nearest(x, 2, block=0), "block"),
        (lambda x: k_nearest(np.where(x == x[3, 1], np.nan, x), 2), "nan"),
        (lambda x: k_nearest(x * 1e30, 2), "beyond float32"),
        (lambda x: k_nearest(x, 2, queries=np.full((1, 3), np.inf)), "queries hold nan, inf"),
        (lambda x: squared_distances(x, x[:, :1]), "same dimension"),
        (
            lambda x: k_nearest_by_camera(x, np.zeros(9, np.int64), 2, 2),
            r"cameras must have shape \(10,\), found \(9,\)",
        ),
        (lambda x: k_nearest(np.ma.masked_less(x, 0), 2), "vectors is a masked array with masked values"),
        (lambda x: normalize([[np.nan]]), "nan"),
    ],
)
def test_bad_input_is_told_in_one_line(rng, call, message):
    with pytest.raises(DataError, match=message) as caught:
        call(rng.normal(size=(10, 3)))
    assert "\n" not in str(caught.value)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_a_single_vector_can_be_searched_by_others() -> None:
    distances, ids = k_nearest([[3.0, 4.0]], 1, queries=[[0.0, 0.0], [3.0, 4.0]])
    assert ids.tolist() == [[0], [0]]
    assert distances.tolist() == [[25.0], [0.0]]
