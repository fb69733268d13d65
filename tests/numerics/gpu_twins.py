"""What the tests of the work on a GPU share: each device, and lists of neighbors that must be those of a full sort."""

import numpy as np
import pytest
import torch

import reference
from resight.numerics import gpu as tensors
from resight.numerics.distances import normalize
from resight.numerics.neighbors import k_nearest

GPUS = [pytest.param("cuda", marks=pytest.mark.gpu)] if torch.cuda.is_available() else []

devices = pytest.mark.parametrize("device", ["cpu", *GPUS])


def unit(rng, size, width=24):
    return normalize(rng.normal(size=(size, width)))


def assert_nearest(vectors, k, device, queries=None, block=2048):
    """The lists are those of a full sort and of the CPU's kernels."""
    rows = None if queries is None else torch.tensor(queries, device=device)
    found = tensors.k_nearest(torch.tensor(vectors, device=device), k, queries=rows, block=block)
    expected = reference.k_nearest(vectors, k, queries)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.int64)
    kernels = k_nearest(vectors, k, queries=queries)
    np.testing.assert_array_equal(found[1], kernels[1])
    # Sums in another order may round to another float32, once in a hundred million distances.
    np.testing.assert_array_max_ulp(found[0], kernels[0], 1)
