from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import reference
from drawn import dense, people
from resight.errors import ConfigError, DataError
from resight.numerics import jaccard as module
from resight.numerics.jaccard import jaccard_graph, rerank
from resight.numerics.jaccard_kernels import PANEL
from resight.numerics.neighbors import k_nearest


@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize(("k1", "k2"), [(30, 6), (20, 6), (9, 1), (5, 5), (2, 2)])
def test_the_sparse_graph_is_the_dense_definition(variant, k1, k2):
    vectors = people(k1 + k2)
    graph = jaccard_graph(vectors, k1=k1, k2=k2, variant=variant)
    np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, k1, k2, variant), atol=1e-6)
    assert graph.dtype == np.float32
    assert graph.data.max() < 1
    assert graph.nnz < len(vectors) ** 2


def test_pairs_beyond_a_limit_are_left_out_and_no_others():
    vectors = people(7)
    whole = jaccard_graph(vectors, k1=12)
    limit = np.sort(whole.data)[len(whole.data) // 3]  # a distance that is there: it is within
    part = jaccard_graph(vectors, k1=12, limit=float(limit))
    assert part.nnz == (whole.data <= limit).sum() < whole.nnz
    np.testing.assert_array_equal(dense(part), np.where(dense(whole) <= limit, dense(whole), 1))


def test_sums_of_more_columns_than_are_held_at_once():
    rng = np.random.default_rng(5)
    left, right = (
        sparse.csr_array(sparse.random_array((rows, 40), density=0.2, rng=rng, dtype=np.float32))
        for rows in (30, 2 * PANEL + 77)
    )
    left, right = (sparse.csr_array(m.multiply(1 / np.maximum(m.sum(1), 1e-9)[:, None])) for m in (left, right))
    left, right = (m.astype(np.float32) for m in (left, right))
    shared = np.stack([np.minimum(row, right.toarray()).sum(1, dtype=np.float64) for row in left.toarray()])
    found = module._jaccard(left, right, 1.0)
    np.testing.assert_allclose(dense(found), 1 - shared / (2 - shared), atol=1e-6)
    assert (np.diff(np.split(found.indices, found.indptr[1:-1])[3]) > 0).all()


@pytest.mark.parametrize("scale", [0.01, 7.0, 300.0])
def test_vectors_need_not_be_of_length_one(scale):
    # At 300 every weight but the own one underflows to 0.
    vectors = people(3) * np.float32(scale)
    for k2 in (1, 4):
        graph = jaccard_graph(vectors, k1=8, k2=k2)
        np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, 8, k2, "ice"), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["ice", "abmt"]))
def test_distances_are_symmetric_bounded_and_zero_on_the_diagonal(seed, variant):
    graph = jaccard_graph(people(seed, size=60), k1=7, k2=3, variant=variant)
    full = dense(graph)
    np.testing.assert_array_equal(full, full.T)
    assert (full.diagonal() == 0).all()
    assert full.min() >= 0
    # The diagonal is stored, sorted columns, no entry twice.
    assert (graph.has_sorted_indices, graph.has_canonical_format) == (True, True)
    for low, high in pairwise(graph.indptr):
        assert (np.diff(graph.indices[low:high]) > 0).all()


def test_order_of_the_images_does_not_matter():
    vectors = people(1)[:100]
    vectors = vectors[np.unique(vectors, axis=0, return_index=True)[1]]  # ties would follow the ids
    order = np.random.default_rng(0).permutation(len(vectors))
    plain, mixed = (dense(jaccard_graph(v, k1=10)) for v in (vectors, vectors[order]))
    np.testing.assert_allclose(mixed, plain[np.ix_(order, order)], atol=1e-6)


def test_given_neighbors_and_small_blocks_change_nothing(monkeypatch):
    vectors = people(4)
    for variant in ("ice", "abmt"):
        plain = jaccard_graph(vectors, k1=12, variant=variant)
        monkeypatch.setattr(module, "FILL_ENTRIES", 500)
        other = jaccard_graph(vectors, k1=12, variant=variant, neighbors=k_nearest(vectors, 20))
        monkeypatch.undo()
        np.testing.assert_array_equal(plain.indptr, other.indptr)
        np.testing.assert_array_equal(plain.indices, other.indices)
        np.testing.assert_array_equal(plain.data, other.data)


def test_the_number_of_threads_changes_no_bit():
    vectors = people(5, size=700)
    several = jaccard_graph(vectors)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = jaccard_graph(vectors)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(several.indices, one.indices)
    np.testing.assert_array_equal(several.data, one.data)


@pytest.mark.parametrize("variant", ["ice", "abmt"])
def test_equal_images_are_one_neighborhood(variant):
    # 9 equal vectors, lists of 4: everyone lists the lowest ids besides itself.
    vectors = np.tile(np.float32([[0.6, 0.8]]), (9, 1))
    graph = jaccard_graph(vectors, k1=4, k2=2, variant=variant)
    np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, 4, 2, variant), atol=1e-6)
    full = dense(jaccard_graph(vectors[:3], k1=2, k2=1, variant="abmt"))
    assert (full == 0).all()


def test_half_lists_round_half_to_even():
    vectors = people(8)
    for k1 in (5, 7, 9, 11):  # 2.5 -> 2, 3.5 -> 4, 4.5 -> 4, 5.5 -> 6
        graph = jaccard_graph(vectors, k1=k1, k2=1)
        np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, k1, 1, "ice"), atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_reranking_is_the_dense_definition(weight):
    vectors = people(11, size=120)
    queries, gallery = vectors[::4], np.delete(vectors, np.s_[::4], axis=0)
    final = rerank(queries, gallery, k1=12, k2=4, weight=weight)
    assert (final.shape, final.dtype) == ((30, 90), np.float32)
    np.testing.assert_allclose(final, reference.rerank(queries, gallery, 12, 4, weight), atol=1e-5)


def test_reranking_of_one_query_and_of_equal_vectors():
    vectors = people(12, size=40)
    one = rerank(vectors[:1], vectors[1:], k1=5, k2=2)
    np.testing.assert_allclose(one, reference.rerank(vectors[:1], vectors[1:], 5, 2, 0.3), atol=1e-5)
    equal = np.ones((6, 4), np.float32)
    assert (rerank(equal[:2], equal[2:], k1=5, k2=1) == 0).all()


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"k1": 10}, ConfigError, "k1 = 10 must be below the number of images, 10"),
        ({"k1": 1}, ConfigError, "k1 must be a whole number of 2 or more, found 1"),
        ({"k2": 6}, ConfigError, "k2 must be in 1..k1"),
        ({"k2": 0}, ConfigError, "k2"),
        ({"variant": "spcl"}, ConfigError, "variant must be one of ice, abmt"),
        ({"vectors": np.zeros((1, 3))}, DataError, "at least 2 images"),
        ({"vectors": np.full((10, 3), np.nan)}, DataError, "nan"),
        ({"neighbors": (None, np.zeros((10, 4), int))}, DataError, r"shape \(10, 5\)"),
        ({"neighbors": (None, np.zeros((10, 5), int))}, DataError, "row itself"),
        ({"neighbors": (None, np.arange(10)[:, None] + 5 * np.arange(5))}, DataError, "in 0..9"),
    ],
)
def test_bad_input_is_told(change, kind, message):
    settings = {"vectors": people(0, size=10), "k1": 5, "k2": 2, **change}
    with pytest.raises(kind, match=message):
        jaccard_graph(settings.pop("vectors"), **settings)


def test_bad_reranking_is_told():
    vectors = people(0, size=30)
    with pytest.raises(ConfigError, match="weight"):
        rerank(vectors[:5], vectors[5:], weight=1.5)
    with pytest.raises(ConfigError, match="k1 = 20 must be below"):
        rerank(vectors[:5], vectors[5:20])
    with pytest.raises(DataError, match="same dimension"):
        rerank(vectors[:5, :3], vectors[5:])
