"""The eps of DBSCAN, estimated from the data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from resight.errors import ConfigError, DataError
from resight.numerics.dbscan import density_curve
from resight.numerics.jaccard import entries
from resight.records import Doubles, Floats

STEP = 0.025
"""From one value of eps to the next; clusters count as stable if a step changes them little."""

GRID = tuple(round(0.4 + STEP * step, 3) for step in range(13))
"""The values of eps, 0.4 to 0.7, that `stable_eps` chooses from."""


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


def stable_eps(graph: sparse.csr_array, min_samples: int) -> float:
    """Choose the eps that gives many clusters that are stable, without labels.

    While eps grows, images form new clusters, and clusters merge. A small eps finds few people. From some eps on,
    chains of images join different people, which multiplies the pairs of images that share a cluster. So the number of
    clusters at each eps is multiplied by the share of pairs that stay: those one `STEP` below, of those one above. The
    largest product is chosen. A single cluster of all images, which is stable too, counts as one.

    Args:
        graph: ``(N, N)`` float32 symmetric, diagonal stored, with all distances up to ``max(GRID) + STEP``.
        min_samples: Number of images within eps, itself included, that make a core image, at least 1.

    Returns:
        A value of `GRID`: the smallest of equally good ones, and the largest if no cluster at any is stable.

    Raises:
        DataError: The graph is not square.

    References:
        Campello et al., "Density-based clustering based on hierarchical density estimates", PAKDD 2013: the clusters
            of core points, which are nested.
    """
    check_square(graph)
    distances = graph.data.astype(np.float32, copy=False)
    clusters, pairs = density_curve(graph.indptr, graph.indices, distances, _with_neighbors(), min_samples)
    stable = clusters[1:-1] * pairs[:-2] / np.maximum(pairs[2:], 1)
    return GRID[int(stable.argmax())] if stable.any() else GRID[-1]


def _with_neighbors() -> Floats:
    """Return the grid with one value more at each end."""
    return np.array([GRID[0] - STEP, *GRID, GRID[-1] + STEP], np.float32)


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
