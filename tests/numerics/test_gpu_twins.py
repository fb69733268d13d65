"""What a GPU works out is what the CPU's kernels find; most of it is shown on the CPU, where the same code runs."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import reference
import tiny
from drawn import dense, pairs, people, scene
from resight.cli.main import main
from resight.data.catalog import load_dataset
from resight.errors import ConfigError, DataError
from resight.models.encoder import EncoderSettings
from resight.numerics import gpu as tensors
from resight.numerics import gpu_jaccard as tensor_jaccard
from resight.numerics.clustering import EXACT_ON_GPU, ClusterSettings, cluster
from resight.numerics.distances import normalize, sum_of_part_distances
from resight.numerics.jaccard import jaccard_graph, rerank
from resight.numerics.metrics import positive_ranks
from resight.numerics.neighbors import farthest_distances, k_nearest, k_nearest_and_farthest, k_nearest_by_camera
from resight.records import Features, ImageTable
from resight.retrieval.evaluation import evaluate
from resight.retrieval.ranking import rank
from resight.training.train import TrainSettings, train

GPUS = [pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else []

devices = pytest.mark.parametrize("device", ["cpu", *GPUS])


@pytest.fixture
def there(device, monkeypatch):
    """Calls a function with a device, where tensors do all the work, the CPU's too; without one the kernels do it."""
    asked = []
    monkeypatch.setattr(tensors, "used_for", lambda name: asked.append(name) or isinstance(name, torch.device))

    def call(function, *arguments, **options):
        asked.clear()
        found = function(*arguments, **options, device=torch.device(device))
        assert asked
        assert all(isinstance(name, torch.device) for name in asked)  # nothing within was left to the default
        return found

    return call


def unit(rng, size, width=24):
    return normalize(rng.normal(size=(size, width)))


def crowds(seed, size=150, width=8, offset=0.0):
    """Crowds about a few points, duplicates among them."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(3, width)) + offset
    spread = 10.0 ** rng.uniform(-5, 0)
    vectors = (centers[rng.integers(0, 3, size)] + spread * rng.normal(size=(size, width))).astype(np.float32)
    vectors[size - 40 : size - 20] = vectors[rng.integers(0, size - 40, 20)]
    return vectors


def assert_nearest(vectors, k, device, queries=None, block=2048):
    """The lists are those of a full sort and of the CPU's kernels."""
    asked = None if queries is None else torch.tensor(queries, device=device)
    found = tensors.k_nearest(torch.tensor(vectors, device=device), k, queries=asked, block=block)
    expected = reference.k_nearest(vectors, k, queries)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)
    kernels = k_nearest(vectors, k, queries=queries)
    np.testing.assert_array_equal(found[1], kernels[1])
    # Sums in another order may round to another float32, once in a hundred million distances.
    np.testing.assert_array_max_ulp(found[0], kernels[0], 1)


# -- neighbors --------------------------------------------------------------------------------------------------------


@devices
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([1, 7, 64, 1000]), st.sampled_from([0, 1, 30]))
def test_neighbors_are_those_of_a_full_sort(device, seed, k, block, offset):
    assert_nearest(crowds(seed, offset=offset), k, device, block=block)


@devices
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.sampled_from([1, 7, 1000]))
def test_queries_are_searched_without_a_row_of_their_own(device, seed, k, block):
    vectors = crowds(seed)
    queries = np.concatenate([crowds(seed + 1)[:20], vectors[::9]])
    assert_nearest(vectors, k, device, queries, block)


@devices
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.booleans())
def test_ties_ascend_by_id_and_the_own_row_is_first(device, seed, k, own):
    # Few points of a small integer grid: many duplicates, and many equal distances at the k-th place.
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-1, 2, size=(30, 2)).astype(np.float32)
    queries = None if own else rng.integers(-1, 2, size=(9, 2)).astype(np.float32)
    assert_nearest(vectors, k, device, queries, block=8)


@devices
@pytest.mark.parametrize("width", [3, 300])
@pytest.mark.parametrize("k", [1, 20, 120])
def test_unit_vectors_and_all_neighbors(device, width, k):
    rng = np.random.default_rng(width + k)
    assert_nearest(unit(rng, 120, width), k, device)
    assert_nearest(unit(rng, 120, width), k, device, unit(rng, 50, width))


@devices
def test_a_distance_that_rounds_to_another_is_a_tie(device):
    """Two distances that only float64 tells apart: the lower id comes first, though it is farther."""
    vectors = np.float32([[0, 0], [1, 1e-5], [1, 0], [0, 1]])  # 1 + 1e-10 rounds to 1
    found = tensors.k_nearest(torch.tensor(vectors, device=device), 2)
    assert (found[0][0].tolist(), found[1][0].tolist()) == ([0, 1], [0, 1])
    assert_nearest(vectors, 2, device)


@devices
def test_what_is_hard_for_a_product_of_rounded_vectors(device):
    rng = np.random.default_rng(1)
    far = (rng.normal(size=(200, 16)) + 1000).astype(np.float32)
    crowd = unit(rng, 400)
    crowd[50:350] = crowd[50]
    for vectors in (
        far,
        crowd,
        np.zeros((6, 3), np.float32),
        np.ones((6, 3), np.float32),
        np.eye(40, dtype=np.float32),
        np.concatenate([np.zeros((5, 4)), rng.normal(size=(20, 4))]).astype(np.float32),
        unit(rng, 2),
        np.float32([[3, 4], [3, 4]]),
        # Squares that float32 hardly holds.
        *((rng.normal(size=(200, 4)) * scale).astype(np.float32) for scale in (1e-20, 1e-21, 1e-22)),
        rng.normal(size=(40, 4)).astype(np.float32) * np.float32(1e18),
    ):
        for k in {1, 2, min(20, len(vectors)), len(vectors)}:
            ids = reference.k_nearest(vectors, k)[1]
            np.testing.assert_array_equal(tensors.k_nearest(torch.tensor(vectors, device=device), k)[1], ids)


@devices
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 33, 300]), st.sampled_from([0, 3, 1000]))
def test_the_bound_holds_and_is_small(device, seed, width, offset):
    rng = np.random.default_rng(seed)
    a, b = ((rng.normal(size=(60, width)) + offset).astype(np.float32) for _ in range(2))
    vectors, queries = torch.tensor(a, device=device), torch.tensor(b, device=device)
    mean = vectors.mean(0, dtype=torch.float64)
    held, asked = tensors._round(vectors, mean), tensors._round(queries, mean)
    for side in (held, asked):
        assert not (side.factor.view(torch.int32) & (2**13 - 1)).any()  # 11 bits are left
    with tensors.multiplying("tf32", vectors.device):
        products = asked.factor @ held.factor.T
    lengths = held.lengths.square().float() + asked.lengths.square().float()[:, None]
    off = (lengths - 2 * products).double().cpu().numpy() - reference.squared_distances(b, a)
    bound = tensors._bound_errors(asked, held).cpu().numpy()
    assert (np.abs(off) <= bound[:, None]).all()
    assert (bound <= 0.01 * reference.squared_distances(b, a).max()).all()


@devices
def test_rounded_to_11_bits_is_to_the_nearest(device):
    values = torch.tensor(np.random.default_rng(0).normal(size=(200, 6)), dtype=torch.float32, device=device)
    rounded = tensors._round(values, torch.zeros(6, dtype=torch.float64, device=device))
    assert ((rounded.factor - values).abs() <= 2.0**-11 * values.abs()).all()
    assert (rounded.factor != values).any()
    errors = (values.double() - rounded.factor.double()).norm(dim=1)
    torch.testing.assert_close(rounded.errors, errors)
    torch.testing.assert_close(rounded.lengths, values.double().norm(dim=1))


@devices
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([7, 1000]), st.sampled_from([0, 30]))
def test_the_farthest_are_those_of_all_distances(device, seed, block, offset):
    vectors = crowds(seed, offset=offset)
    found = tensors.k_nearest(torch.tensor(vectors, device=device), 3, block=block, farthest=True)
    expected = reference.squared_distances(vectors, vectors).max(1).astype(np.float32)
    np.testing.assert_array_max_ulp(found[2], expected, 1)
    np.testing.assert_array_equal(found[1], reference.k_nearest(vectors, 3)[1])
    same = np.ones((4, 2), np.float32)
    assert tensors.k_nearest(torch.tensor(same, device=device), 1, farthest=True)[2].tolist() == [0] * 4


# -- the public searches -----------------------------------------------------------------------------------------------


@devices
def test_the_public_searches_are_those_of_the_kernels(there):
    rng = np.random.default_rng(3)
    vectors, queries, cameras = unit(rng, 130), unit(rng, 30), rng.choice([1, 4, 9], 130)
    for function, arguments, options in (
        (k_nearest, (vectors, 9), {"block": 50}),
        (k_nearest, (vectors, 9), {"queries": queries}),
        (k_nearest_by_camera, (vectors, cameras, 5, 6), {}),
        (k_nearest_and_farthest, (vectors, 9), {"block": 50}),
    ):
        expected, found = function(*arguments, **options), there(function, *arguments, **options)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-6)
    np.testing.assert_array_equal(there(farthest_distances, vectors, block=50), found[2])
    asked, held = (Features(ImageTable(np.arange(len(v)).astype(str)), v, "e") for v in (queries, vectors))
    assert there(rank, asked, held, k=4).indices.tolist() == rank(asked, held, k=4).indices.tolist()
    assert there(rank, asked[:0], held, k=4).indices.shape == (0, 4)


@devices
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda there, x: there(k_nearest, np.where(x == x[3, 1], np.nan, x), 2), "vectors hold nan"),
        (lambda there, x: there(k_nearest, x, 2, queries=np.full((1, 3), np.inf)), "queries hold nan, inf"),
        (lambda there, x: there(k_nearest, x, 11), "k must be in 1..10"),
        (lambda there, x: there(k_nearest, x, 2, queries=x[:, :2]), "same dimension"),
        (lambda there, x: there(k_nearest, x[:1], 1), "at least 2 vectors"),
        (lambda there, x: there(jaccard_graph, np.full((10, 3), np.nan), k1=5, k2=2), "nan"),
        (lambda there, x: there(rerank, x[:5], x[5:] * np.nan, k1=5, k2=2), "nan"),
        (lambda there, x: there(cluster, x * np.inf, ClusterSettings(k1=5, k2=2)), "inf"),
    ],
)
def test_bad_input_is_told_as_on_the_cpu(there, call, message):
    with pytest.raises(DataError, match=message):
        call(there, np.random.default_rng(7).normal(size=(10, 3)))


# -- the Jaccard graph -------------------------------------------------------------------------------------------------


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
def test_the_graph_is_that_of_the_kernels_and_of_the_equations(there, variant, k1, k2, monkeypatch):
    vectors = people(k1 + k2)
    expected = jaccard_graph(vectors, k1=k1, k2=k2, variant=variant)
    found = there(jaccard_graph, vectors, k1=k1, k2=k2, variant=variant)
    assert_same_graph(found, expected)
    np.testing.assert_allclose(dense(found), reference.jaccard(vectors, k1, k2, variant), atol=1e-6)
    monkeypatch.setattr(tensors, "ENTRIES", 1000)  # 7 rows at a time
    monkeypatch.setattr(tensor_jaccard, "PAIRS", 50)
    parts = there(jaccard_graph, vectors, k1=k1, k2=k2, variant=variant)
    for name in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(found, name))


@devices
def test_the_graph_stops_at_the_limit_of_the_kernels(there):
    vectors = people(7)
    whole = there(jaccard_graph, vectors, k1=12)
    limit = float(np.sort(whole.data)[len(whole.data) // 3])
    part = there(jaccard_graph, vectors, k1=12, limit=limit)
    assert part.nnz == (whole.data <= limit).sum() < whole.nnz
    np.testing.assert_array_equal(dense(part), np.where(dense(whole) <= limit, dense(whole), 1))


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
        patch.setattr(tensors, "used_for", lambda asked: True)
        found = jaccard_graph(vectors, **options, device=device)
    assert_same_graph(found, expected)


@devices
@pytest.mark.parametrize("scale", [0.01, 300.0])
def test_weights_may_underflow(there, scale):
    # At 300 every weight but the own one underflows to 0.
    vectors = people(3) * np.float32(scale)
    for k2 in (1, 4):
        found = there(jaccard_graph, vectors, k1=8, k2=k2)
        assert_same_graph(found, jaccard_graph(vectors, k1=8, k2=k2))
        np.testing.assert_allclose(dense(found), reference.jaccard(vectors, 8, k2, "ice"), atol=1e-6)


@devices
@pytest.mark.parametrize("variant", ["ice", "abmt"])
def test_equal_images_are_one_neighborhood(there, variant):
    vectors = np.tile(np.float32([[0.6, 0.8]]), (9, 1))
    graph = there(jaccard_graph, vectors, k1=4, k2=2, variant=variant)
    np.testing.assert_allclose(dense(graph), reference.jaccard(vectors, 4, 2, variant), atol=1e-6)
    assert (dense(there(jaccard_graph, vectors[:3], k1=2, k2=1, variant="abmt")) == 0).all()


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
    held = tensor_jaccard.Sparse(
        *(
            torch.tensor(part, device=device)
            for part in (graph.indptr.astype(int), graph.indices.astype(int), graph.data)
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensor_jaccard, "PAIRS", most)
        patch.setattr(tensors, "ENTRIES", 8 * most)
        counts, columns, values = map(np.concatenate, zip(*tensor_jaccard.jaccard(held[:9], held[9:], 13), strict=True))
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
def test_reranking_is_that_of_the_kernels_and_of_the_equations(there, weight, entries, monkeypatch):
    monkeypatch.setattr(tensors, "ENTRIES", entries)
    vectors = people(11, size=120)
    queries, gallery = vectors[::4], np.delete(vectors, np.s_[::4], axis=0)
    found = there(rerank, queries, gallery, k1=12, k2=4, weight=weight)
    assert (found.shape, found.dtype) == ((30, 90), np.float32)
    np.testing.assert_allclose(found, rerank(queries, gallery, k1=12, k2=4, weight=weight), atol=2e-6)
    np.testing.assert_allclose(found, reference.rerank(queries, gallery, 12, 4, weight), atol=1e-5)
    one = there(rerank, vectors[:1], vectors[1:], k1=5, k2=2)
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


# -- clusters ----------------------------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("variant", ["ice", "abmt"])
@pytest.mark.parametrize("others", [0, 8])
def test_clusters_are_those_of_the_kernels(there, variant, others):
    rng = np.random.default_rng(5)
    owners = rng.integers(0, 25, 500)
    vectors = normalize(rng.normal(size=(25, 16))[owners] + 0.5 * rng.normal(size=(500, 16)))
    cameras = rng.integers(0, 3, 500)
    chosen = ClusterSettings(k1=12, variant=variant, k_cross_camera=others)
    expected = cluster(vectors, chosen, people=owners, cameras=cameras)
    found = there(cluster, vectors, chosen, people=owners, cameras=cameras)
    assert adjusted_rand_score(found.labels, expected.labels) == 1
    assert expected.quality["ari"] > 0.8
    assert found.quality == expected.quality
    shares = ClusterSettings(k1=12, variant=variant, k_cross_camera=others, rho=0.01)
    eps = [there(cluster, vectors, shares, cameras=cameras), cluster(vectors, shares, cameras=cameras)]
    assert eps[0].eps == pytest.approx(eps[1].eps, abs=1e-6)


@devices
@pytest.mark.usefixtures("there")
def test_a_gpu_searches_more_images_exactly(device):
    vectors = unit(np.random.default_rng(0), 400)
    for size, exact in ((400, False), (399, True)):
        chosen = ClusterSettings(k1=8, approximate_from=400 // EXACT_ON_GPU)
        found = cluster(vectors[:size], chosen, device=torch.device(device))
        assert ("recall" not in found.quality) == exact
        assert "recall" in cluster(vectors[:size], chosen).quality
    with pytest.raises(ConfigError, match="variant to ice"):
        cluster(vectors, ClusterSettings(k1=8, variant="abmt", approximate_from=100), device=torch.device(device))


# -- ranks -------------------------------------------------------------------------------------------------------------


def assert_ranks(device, distances, *columns, exclude="same-camera", distractor_id=0):
    """The ranks are those of a full sort, and those that are counted."""
    found = positive_ranks(
        torch.tensor(distances, device=device), *columns, exclude=exclude, distractor_id=distractor_id
    )
    expected = reference.ranks(
        distances,
        pairs(*columns[:2]),
        pairs(*columns[2:]),
        same_camera=exclude == "same-camera",
        distractor_id=distractor_id,
    )
    assert [found[0][low:high].tolist() for low, high in pairwise(found[1])] == expected
    counted = positive_ranks(distances, *columns, exclude=exclude, distractor_id=distractor_id)
    for one, other in zip(found, counted, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.int64
    return found


@devices
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["same-camera", "none"]))
def test_ranks_are_those_of_a_full_sort(device, seed, tied, exclude):
    distances, *columns = scene(seed, queries=8, gallery=40, tied=tied)
    for distractor_id in (0, None, 3):
        assert_ranks(device, distances, *columns, exclude=exclude, distractor_id=distractor_id)


@devices
@pytest.mark.parametrize("value", [np.inf, -np.inf, 0.0, -0.0])
@pytest.mark.parametrize("entries", [2**26, 300, 1])
def test_ties_of_any_value_ascend_by_row(device, value, entries, monkeypatch):
    monkeypatch.setattr(tensors, "ENTRIES", entries)
    distances, *columns = scene(4)
    distances[:, ::2] = value
    distances[:, ::3] = abs(value)
    assert len(assert_ranks(device, distances, *columns, distractor_id=None)[0]) > 100


@devices
def test_ranks_of_one_camera_of_nobody_and_of_nothing(device):
    distances, *columns = scene(5)
    columns[1][:], columns[3][:] = 2, 2
    assert len(assert_ranks(device, distances, *columns)[0]) == 0
    assert len(assert_ranks(device, distances, *columns, exclude="none")[0]) > 0
    columns[2][:] = -1
    assert len(assert_ranks(device, distances, *columns, exclude="none")[0]) == 0
    empty = positive_ranks(torch.empty(0, 3, device=device), [], [], [1, 2, 3], [0, 0, 0])
    assert (empty[0].tolist(), empty[1].tolist()) == ([], [0])
    empty = positive_ranks(torch.empty(2, 0, device=device), [1, 2], [0, 0], [], [])
    assert (empty[0].tolist(), empty[1].tolist()) == ([], [0, 0, 0])
    closer = torch.tensor([[1 + 1e-10, 1]], dtype=torch.float64, device=device)  # a tie in float32
    assert positive_ranks(closer, [1], [0], [1, 2], [1, 1])[0].tolist() == [0]


@devices
def test_distances_that_cannot_be_ranked_are_told(device, monkeypatch):
    distances, *columns = scene(0)
    distances[4, 7] = distances[9, 1] = np.nan
    for entries in (2**26, 300):
        monkeypatch.setattr(tensors, "ENTRIES", entries)
        with pytest.raises(DataError, match="query 4 hold nan"):
            positive_ranks(torch.tensor(distances, device=device), *columns)
    matrix = torch.tensor(distances, device=device)
    with pytest.raises(DataError, match="query_people must have shape"):
        positive_ranks(matrix[:3], *columns)
    with pytest.raises(DataError, match=r"\(Q, G\), found \(120,\)"):
        positive_ranks(matrix[0], *columns)
    with pytest.raises(ConfigError, match="exclude"):
        positive_ranks(matrix, *columns, exclude="same")


# -- evaluation and precision ------------------------------------------------------------------------------------------


def sides(seed, width=16, count=(40, 200)):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(12, width))
    found = []
    for size in count:
        owners, cameras = rng.integers(0, 12, size), rng.integers(0, 3, size)
        vectors = normalize(centers[owners] + 1.2 * rng.normal(size=(size, width)))
        found.append(Features(ImageTable(np.arange(size).astype(str), owners - 1, cameras), vectors, "e"))
    return found


def assert_same_report(found, expected):
    assert found.scores == pytest.approx(expected.scores, abs=1e-6)
    np.testing.assert_array_equal(found.per_query["first_rank"], expected.per_query["first_rank"])


@devices
@pytest.mark.parametrize("re_ranking", [False, True])
def test_scores_are_those_of_the_kernels(there, re_ranking, monkeypatch):
    asked = sides(1)
    monkeypatch.setattr("resight.retrieval.evaluation.BLOCK", 17)
    ranked = []
    found = tensors.positive_ranks
    monkeypatch.setattr(
        tensors, "positive_ranks", lambda *given, **more: ranked.append(given[0].shape) or found(*given, **more)
    )
    expected = evaluate(*asked, distractor_id=0, rerank=re_ranking)
    assert not ranked
    assert_same_report(there(evaluate, *asked, distractor_id=0, rerank=re_ranking), expected)
    assert ranked == ([] if re_ranking else [(17, 200), (17, 200), (6, 200)])
    assert 0.2 < expected.scores["mAP"] < 0.9


@devices
@pytest.mark.usefixtures("there")
def test_another_distance_stays_on_the_cpu(device):
    asked = sides(2, width=15)
    expected = evaluate(*asked, distance_fn=sum_of_part_distances)
    found = evaluate(*asked, distance_fn=sum_of_part_distances, device=torch.device(device))
    assert_same_report(found, expected)
    assert expected.scores["mAP"] != evaluate(*asked).scores["mAP"]


SETTINGS = {
    "highest": lambda: torch.set_float32_matmul_precision("highest"),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "tf32": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
}


def precision():
    switches = [torch.backends.cuda.matmul, torch.backends.mkldnn.matmul]
    named = [switch.fp32_precision for switch in switches] if tensors.BY_BACKEND else []
    return torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32, *named


@devices
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("by_backend", [True, False])
def test_distances_are_float32_whatever_the_process_has_set(device, name, by_backend, monkeypatch):
    monkeypatch.setattr(tensors, "BY_BACKEND", by_backend and tensors.BY_BACKEND)
    rng = np.random.default_rng(0)
    vectors = [unit(rng, size, 512) for size in (64, 120)]
    a, b = (torch.tensor(side, device=device) for side in vectors)
    torch.set_float32_matmul_precision("highest")
    plain = tensors.squared_distances(a, b)
    np.testing.assert_allclose(plain.cpu(), reference.squared_distances(*vectors), atol=1e-6)
    try:
        SETTINGS[name]()
        before = precision()
        with torch.autocast(device, torch.bfloat16):
            assert torch.equal(tensors.squared_distances(a, b), plain)
        assert_nearest(vectors[1], 9, device)
        assert precision() == before
        with pytest.raises(ZeroDivisionError), tensors.multiplying("ieee", a.device):
            raise ZeroDivisionError
        assert precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


@devices
def test_the_switches_of_one_backend_are_kept_too(device):
    """A process that has set them by name cannot be asked what it has set for all."""
    if not tensors.BY_BACKEND:
        pytest.skip("torch before 2.9")
    a = torch.tensor(unit(np.random.default_rng(0), 64, 512), device=device)
    torch.set_float32_matmul_precision("highest")
    plain = tensors.squared_distances(a, a)
    try:
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        assert torch.equal(tensors.squared_distances(a, a), plain)
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.set_float32_matmul_precision("highest")


@devices
def test_squared_distances_are_never_negative(device):
    vectors = torch.tensor(unit(np.random.default_rng(0), 300, 64), device=device)
    distances = tensors.squared_distances(vectors, vectors)
    assert distances.min() == 0
    assert distances.diagonal().max() < 1e-6
    a, b = np.random.default_rng(1).normal(size=(2, 30, 7)).astype(np.float32)
    found = tensors.squared_distances(*(torch.tensor(side, device=device) for side in (a, b)))
    np.testing.assert_allclose(found.cpu(), reference.squared_distances(a, b), rtol=1e-5)


# -- where it is used --------------------------------------------------------------------------------------------------


def test_only_the_cpu_has_kernels():
    assert not tensors.used_for("cpu")
    assert not tensors.used_for(torch.device("cpu"))
    assert tensors.used_for("cuda:1")
    assert tensors.used_for(torch.device("xpu"))


def test_runs_and_commands_work_on_their_device(tiny_market, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tensors, "used_for", lambda device: asked.append(device) or False)

    def devices_asked():
        found, asked[:] = list(asked), []
        return found

    folder = tmp_path / "run"
    encoder = EncoderSettings(backbone="test_efficientnet", weights="none", height=64, width=32, last_stride=2)
    chosen = dataclasses.replace(tiny.SETTINGS, encoder=encoder, epochs=1, iterations=1)
    train("ice", load_dataset("market1501", tiny_market), chosen, TrainSettings(run=str(folder), device=tiny.DEVICE))
    named = devices_asked()
    assert len(named) >= 3 + 2  # of clustering, and of scores before and at the end
    # What a run says is a device; only the default is a word.
    assert all(isinstance(device, torch.device) for device in named)
    words = [f"--data=market1501={tiny_market}", "--device.accelerator=cpu", "--json"]
    query = next((tiny_market / "query").iterdir())
    page = f"--page={tmp_path / 'page.html'}"
    for command in (
        ["evaluate", str(folder), *words, page],
        ["evaluate", str(folder), *words, page, "--rerank=true"],
        ["search", str(query), str(folder), *words],
    ):
        assert main(command) == 0
        named = devices_asked()
        assert named
        assert all(isinstance(device, torch.device) for device in named)
