"""The eps of DBSCAN, estimated from the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from resight.errors import ConfigError, DataError
from resight.numerics.jaccard import entries
from resight.records import Doubles


def rho_eps(
    graph: sparse.csr_array,
    rho: float,
    *,
    beyond: float = 1.0,
    unstored: Callable[[slice], Doubles] | None = None,
) -> float:
    """Compute the eps that the data suggests: the mean of the smallest distances between different images.

    Of the ``N (N - 1) / 2`` pairs, those at distance 0 do not count. Of the others, the mean is over the smallest share
    ``rho`` (its count rounded half to even, at least 1).

    Args:
        graph: ``(N, N)`` symmetric, as `jaccard_graph` or `add_source_term` returns it.
        rho: The share, in (0, 1); 2e-3 is usual.
        beyond: Distance of pairs that are not stored; if it is below 1, their least distance.
        unstored: Returns for a block of ``B`` rows the distances ``(B, N)`` of pairs that are not stored. In the rare
            case that the share reaches such pairs, all pairs are computed, block by block.

    Returns:
        The mean, in (0, 1]; 0.0 if every pair is at distance 0.

    Raises:
        ConfigError: ``rho`` is out of its range, or so large that the mean would need pairs of an unknown distance.
        DataError: The graph is not square, or has fewer than 2 rows.

    References:
        Song et al., "Unsupervised domain adaptive re-identification: theory and practice",
            Pattern Recognition 2020.
    """
    if not 0 < rho < 1:
        raise ConfigError(f"rho must be in (0, 1), found {rho}")
    check_square(graph)
    size = graph.shape[0]
    if size < 2:
        raise DataError(f"distances between images need at least 2 images, found {size}")
    upper = graph.data[graph.indices > np.repeat(np.arange(size), np.diff(graph.indptr))]
    stored = upper[upper > 0]
    total = size * (size - 1) // 2 - (len(upper) - len(stored))
    if total == 0:
        return 0.0
    count = max(1, round(rho * total))
    smallest = np.partition(stored, count - 1)[:count] if count < len(stored) else stored
    if beyond < 1 and (count > len(stored) or smallest.max() > beyond):
        if unstored is not None:
            return float(_smallest(graph, unstored, count).mean())
        raise ConfigError(f"rho = {rho} averages distances of images without a common neighbor: lower rho or raise k1")
    return float((smallest.sum(dtype=np.float64) + (count - len(smallest))) / count)


def _smallest(graph: sparse.csr_array, unstored: Callable[[slice], Doubles], count: int) -> Doubles:
    """Return the smallest distances above 0 between different images, stored or not; memory is that of a block."""
    size, smallest = graph.shape[0], np.empty(0)
    for low in range(0, size, 256):
        part = slice(low, min(low + 256, size))
        block = unstored(part)
        block[entries(graph[part])] = graph[part].data
        upper = block[np.arange(part.start, part.stop)[:, None] < np.arange(size)]
        smallest = np.concatenate([smallest, upper[upper > 0]])
        if len(smallest) > count:
            smallest = np.partition(smallest, count - 1)[:count]
    return smallest


def check_square(graph: sparse.csr_array) -> None:
    """Check that a distance graph is square.

    Raises:
        DataError: It is not.
    """
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1]:
        raise DataError(f"a distance graph must have shape (N, N), found {graph.shape}")
