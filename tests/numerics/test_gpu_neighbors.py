"""Neighbors that a GPU finds are those of a full sort and of the CPU's kernels; the same code runs on the CPU."""

import numpy as np
import pytest
import torch
from gpu_twins import assert_nearest, devices, unit
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from resight.errors import DataError
from resight.numerics import gpu as tensors
from resight.numerics.clustering import ClusterSettings, cluster
from resight.numerics.jaccard import jaccard_graph, rerank
from resight.numerics.neighbors import farthest_distances, k_nearest, k_nearest_and_farthest, k_nearest_by_camera
from resight.records import Features, ImageTable
from resight.retrieval.ranking import rank


def crowds(seed, size=150, width=8, offset=0.0):
    """Crowds about a few points, duplicates among them."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(3, width)) + offset
    spread = 10.0 ** rng.uniform(-5, 0)
    vectors = (centers[rng.integers(0, 3, size)] + spread * rng.normal(size=(size, width))).astype(np.float32)
    vectors[size - 40 : size - 20] = vectors[rng.integers(0, size - 40, 20)]
    return vectors


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
    rows, columns = tensors._round(queries, mean), tensors._round(vectors, mean)
    for side in (rows, columns):
        assert not (side.factor.view(torch.int32) & (2**13 - 1)).any()  # 11 bits are left
    with tensors.multiplying("tf32", vectors.device):
        products = rows.factor @ columns.factor.T
    lengths = columns.lengths.square().float() + rows.lengths.square().float()[:, None]
    off = (lengths - 2 * products).double().cpu().numpy() - reference.squared_distances(b, a)
    bound = tensors._bound_errors(rows, columns).cpu().numpy()
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
def test_the_public_searches_are_those_of_the_kernels(on_device):
    rng = np.random.default_rng(3)
    vectors, queries, cameras = unit(rng, 130), unit(rng, 30), rng.choice([1, 4, 9], 130)
    for function, arguments, options in (
        (k_nearest, (vectors, 9), {"block": 50}),
        (k_nearest, (vectors, 9), {"queries": queries}),
        (k_nearest_by_camera, (vectors, cameras, 5, 6), {}),
        (k_nearest_and_farthest, (vectors, 9), {"block": 50}),
    ):
        expected, found = function(*arguments, **options), on_device(function, *arguments, **options)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-6)
    np.testing.assert_array_equal(on_device(farthest_distances, vectors, block=50), found[2])
    query, gallery = (Features(ImageTable(np.arange(len(v)).astype(str)), v, "e") for v in (queries, vectors))
    assert on_device(rank, query, gallery, k=4).indices.tolist() == rank(query, gallery, k=4).indices.tolist()
    assert on_device(rank, query[:0], gallery, k=4).indices.shape == (0, 4)


@devices
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda on_device, x: on_device(k_nearest, np.where(x == x[3, 1], np.nan, x), 2), "vectors hold nan"),
        (lambda on_device, x: on_device(k_nearest, x, 2, queries=np.full((1, 3), np.inf)), "queries hold nan, inf"),
        (lambda on_device, x: on_device(k_nearest, x, 11), "k must be in 1..10"),
        (lambda on_device, x: on_device(k_nearest, x, 2, queries=x[:, :2]), "same dimension"),
        (lambda on_device, x: on_device(k_nearest, x[:1], 1), "at least 2 vectors"),
        (lambda on_device, x: on_device(jaccard_graph, np.full((10, 3), np.nan), k1=5, k2=2), "nan"),
        (lambda on_device, x: on_device(rerank, x[:5], x[5:] * np.nan, k1=5, k2=2), "nan"),
        (lambda on_device, x: on_device(cluster, x * np.inf, ClusterSettings(k1=5, k2=2)), "inf"),
    ],
)
def test_bad_input_is_told_as_on_the_cpu(on_device, call, message):
    with pytest.raises(DataError, match=message):
        call(on_device, np.random.default_rng(7).normal(size=(10, 3)))
