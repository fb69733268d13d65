"""The Jaccard graph and re-ranking of a GPU are those of the kernels and of the equations."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from gpu_twins import devices
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import reference
from drawn import dense, people
from resight.numerics import gpu as tensors
from resight.numerics import gpu_jaccard as tensor_jaccard
from resight.numerics.jaccard import jaccard_graph, rerank


def assert_same_graph(found, expected):
    """The same entries but for what is within 1e-6 of distance 1, in the same form, symmetric to the last bit."""
    np.testing.assert_allclose(dense(found), dense(expected), atol=1e-6, rtol=0)
    for graph, other in ((found, expected), (expected, found)):
        rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
        stored = np.zeros(graph.shape, bool)
        stored[np.repeat(np.arange(other.shape[0]), np.diff(other.indptr)), other.indices] = True
        assert (graph.data[~stored[rows, graph.indices]] > 1 - 1e-6).all()
    assert (found.dtype, found.indices.dtype, found.indptr.dtype) == (np.float32, np.int32, np.int32)
    assert found.has_canonical_format
    for low, high in pairwise(found.indptr):
        assert (np.diff(found.indices[low:high]) > 0).all()
    np.testing.assert_array_equal(dense(found), dense(found).T)
    assert found.data.max() < 1
    assert found.data.min() == 0
    assert (found.data[found.data > 0] >= 1e-6).all()
    assert (found.diagonal() == 0).all()


@devices
@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize(("k1", "k2"), [(30, 6), (20, 6), (9, 1), (5, 5), (2, 2)])
def test_the_graph_is_that_of_the_kernels_and_of_the_equations(on_device, variant, k1, k2, monkeypatch):
    vectors = people(k1 + k2)
    expected = jaccard_graph(vectors, k1=k1, k2=k2, variant=variant)
    found = on_device(jaccard_graph, vectors, k1=k1, k2=k2, variant=variant)
    assert_same_graph(found, expected)
    np.testing.assert_allclose(dense(found), reference.jaccard(vectors, k1, k2, variant), atol=1e-6)
    monkeypatch.setattr(tensors, "ENTRIES", 1000)  # 7 rows at a time
    monkeypatch.setattr(tensor_jaccard, "PAIRS", 50)
    parts = on_device(jaccard_graph, vectors, k1=k1, k2=k2, variant=variant)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(found, name))


@devices
def test_the_graph_stops_at_the_limit_of_the_kernels(on_device):
    vectors = people(7)
    full = on_device(jaccard_graph, vectors, k1=12)
    limit = float(np.sort(full.data)[len(full.data) // 3])
    part = on_device(jaccard_graph, vectors, k1=12, limit=limit)
    assert part.nnz == (full.data <= limit).sum() < full.nnz
    np.testing.assert_array_equal(dense(part), np.where(dense(full) <= limit, dense(full), 1))


@devices
@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(2, 40), st.floats(0, 1), st.sampled_from([0.02, 1, 30]), st.integers(3, 80)
)
def test_any_neighbors_give_the_graph_of_the_kernels(device, seed, k1, share, scale, size):
    """Lists that are no one's nearest: the sets are what the lists say."""
    rng = np.random.default_rng(seed)
    k1 = min(k1, size - 1)
    vectors = (rng.normal(size=(size, 4)) * scale).astype(np.float32)
    groups = rng.integers(0, 3, size)
    keys = rng.random((size, size)) + (groups[:, None] != groups)
    np.fill_diagonal(keys, -1)
    neighbors = (np.zeros(0, np.float32), np.argsort(keys, axis=1)[:, :k1])
    options = {"k1": k1, "k2": 1 + int(share * (k1 - 1)), "neighbors": neighbors}
    expected = jaccard_graph(vectors, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "used_for", lambda device: True)
        found = jaccard_graph(vectors, **options, device=device)
    assert_same_graph(found, expected)


@devices
@pytest.mark.parametrize("scale", [0.01, 300.0])
def test_weights_may_underflow(on_device, scale):
    # At 300 every weight but the own one underflows to 0.
    vectors = people(3) * np.float32(scale)
    for k2 in (1, 4):
        found = on_device(jaccard_graph, vectors, k1=8, k2=k2)
        assert_same_graph(found, jaccard_graph(vectors, k1=8, k2=k2))
        np.testing.assert_allclose(dense(found), reference.jaccard(vectors, 8, k2, "ice"), atol=1e-6)


@devices
@pytest.mark.parametrize("variant", ["ice", "abmt"])
def test_equal_images_are_one_neighborhood(on_device, variant):
    vectors = np.tile(np.float32([[0.6, 0.8]]), (9, 1))
    graph = on_device(jaccard_graph, vectors, k1=4, k2=2, variant=variant)
    np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, 4, 2, variant), atol=1e-6)
    assert (dense(on_device(jaccard_graph, vectors[:3], k1=2, k2=1, variant="abmt")) == 0).all()


@devices
def test_every_weight_and_average_is_that_of_the_lists(device):
    rng = np.random.default_rng(2)
    vectors = people(2, size=60)
    ids = reference.k_nearest(vectors, 13)[1]
    mutual = tensor_jaccard.mutual(torch.tensor(ids, device=device)).cpu().numpy()
    assert mutual.tolist() == [[i in ids[j] for j in row] for i, row in enumerate(ids)]
    rows, lists = torch.tensor(vectors, device=device), torch.tensor(ids, device=device)
    scales = rng.uniform(0.5, 2, 60)
    factors = torch.tensor(scales, device=device)
    for k2 in (1, 5):
        made = tensor_jaccard.weights(rows, lists, factors, half=7, k2=k2)
        found = np.zeros((60, 60))
        owners = np.repeat(np.arange(60), made.pointers.diff().cpu())
        found[owners, made.columns.cpu()] = made.values.cpu()
        distances = reference.squared_distances(vectors, vectors) * scales[:, None]
        known = plain_weights(distances, ids, half=7)
        np.testing.assert_allclose(found, known[ids[:, :k2]].mean(1), atol=1e-7)
        # A weight that is no number in float32 is not stored.
        tiny_scales = torch.full_like(factors, 1e4)
        assert (tensor_jaccard.weights(rows, lists, tiny_scales, half=7, k2=k2).values > 0).all()
    least = tensor_jaccard.Sparse(
        torch.tensor([0, 1, 2], device=device),
        torch.tensor([0, 1], device=device),
        torch.tensor([2.0**-149, 1.0], device=device),
    )
    assert tensor_jaccard._average(least, torch.tensor([[0, 1], [1, 0]], device=device)).columns.tolist() == [1, 1]


def plain_weights(distances, ids, half):
    """V before the query expansion, from distances and lists, as the text of `jaccard` has it."""
    full = [{int(j) for j in row if i in ids[j]} for i, row in enumerate(ids)]
    short = [{int(j) for j in row[:half] if i in ids[j][:half]} for i, row in enumerate(ids)]
    found = np.zeros_like(distances)
    for i, members in enumerate(full):
        joined = [short[j] for j in members if 3 * len(short[j] & members) > 2 * len(short[j])]
        columns = sorted(members.union(*joined))
        found[i, columns] = np.exp(-distances[i, columns])
    return found / found.sum(1, keepdims=True)


@devices
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 40, 2**20]))
def test_the_sums_of_minima_of_two_matrices(device, seed, most):
    """Rows of any weights, some so small that they change no distance, and rows without any."""
    rng = np.random.default_rng(seed)
    shares = rng.random((30, 13)) ** rng.choice([1, 20, 60], (30, 13)) * (rng.random((30, 13)) < 0.3)
    shares[3] = shares[20] = rng.random(13) + 0.1
    shares = (shares / np.maximum(shares.sum(1, keepdims=True), 1)).astype(np.float32)
    graph = sparse.csr_array(shares)
    matrix = tensor_jaccard.Sparse(
        *(
            torch.tensor(part, device=device)
            for part in (graph.indptr.astype(int), graph.indices.astype(int), graph.data)
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensor_jaccard, "PAIRS", most)
        patch.setattr(tensors, "ENTRIES", 8 * most)
        counts, columns, values = map(
            np.concatenate, zip(*tensor_jaccard.jaccard(matrix[:9], matrix[9:], 13), strict=True)
        )
    overlap = np.minimum(shares[:9, None].astype(float), shares[None, 9:]).sum(-1)
    expected = (1 - overlap / (2 - overlap)).astype(np.float32)
    np.testing.assert_array_equal(counts, (expected < 1).sum(1))
    rows = np.repeat(np.arange(9), counts)
    assert (expected[rows, columns] < 1).all()
    np.testing.assert_allclose(values, np.where(expected < 1e-6, 0, expected)[rows, columns], rtol=1e-6)
    assert (values < 1).all()
    assert values[(rows == 3) & (columns == 11)] == 0  # the two that are equal


@devices
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("entries", [2**26, 500])
def test_reranking_is_that_of_the_kernels_and_of_the_equations(on_device, weight, entries, monkeypatch):
    monkeypatch.setattr(tensors, "ENTRIES", entries)
    vectors = people(11, size=120)
    queries, gallery = vectors[::4], np.delete(vectors, np.s_[::4], axis=0)
    found = on_device(rerank, queries, gallery, k1=12, k2=4, weight=weight)
    assert (found.shape, found.dtype) == ((30, 90), np.float32)
    np.testing.assert_allclose(found, rerank(queries, gallery, k1=12, k2=4, weight=weight), atol=2e-6)
    np.testing.assert_allclose(found, reference.rerank(queries, gallery, 12, 4, weight), atol=1e-5)
    one = on_device(rerank, vectors[:1], vectors[1:], k1=5, k2=2)
    np.testing.assert_allclose(one, reference.rerank(vectors[:1], vectors[1:], 5, 2, 0.3), atol=1e-5)


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 30))
def test_pieces_cover_all_and_hold_as_much_as_they_may(sizes, most):
    pieces = [sizes[piece] for piece in tensor_jaccard._pieces(torch.tensor(sizes, dtype=torch.int64), most)]
    assert [size for piece in pieces for size in piece] == sizes
    assert all(sum(piece) <= most or len(piece) == 1 for piece in pieces)
    for piece, following in pairwise(pieces):
        assert sum(piece) + following[0] > most


def test_blocks_cover_all_and_fit(monkeypatch):
    monkeypatch.setattr(tensors, "ENTRIES", 100)
    for count, entries, most, longest in ((50, 7, None, 14), (50, 7, 3, 3), (5, 101, None, 1), (0, 7, None, 0)):
        cut = list(tensors.blocks(count, entries, most))
        assert [row for part in cut for row in range(part.start, part.stop)] == list(range(count))
        assert max((part.stop - part.start for part in cut), default=0) == longest
