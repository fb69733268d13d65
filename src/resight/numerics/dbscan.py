"""The compiled loops of DBSCAN; the rules of `resight.numerics.kernels` hold here too.

They call no kernel of another file: numba's cache does not notice a change there.
"""

from __future__ import annotations

import numpy as np

from resight.numerics.compiled import njit
from resight.numerics.kernels import Columns
from resight.records import Doubles, Floats, Ints


@njit(cache=True)
def density_labels(pointers: Columns, entries: Columns, distances: Floats, eps: float, min_samples: int) -> Ints:
    """Compute the DBSCAN labels of a symmetric sparse distance graph.

    Equals ``DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed")`` of scikit-learn on the dense
    matrix. Clusters are numbered by their first core point; a border point joins the first cluster that
    touches it.
    """
    n = len(pointers) - 1
    core = np.zeros(n, np.bool_)
    for i in range(n):
        near = 0
        for e in range(pointers[i], pointers[i + 1]):
            if distances[e] <= eps:
                near += 1
        core[i] = near >= min_samples
    labels = np.full(n, -1, np.int64)
    stack = np.empty(n, np.int64)
    cluster = 0
    for seed in range(n):
        if not core[seed] or labels[seed] >= 0:
            continue
        labels[seed] = cluster
        stack[0] = seed
        size = 1
        while size:
            size -= 1
            i = stack[size]
            for e in range(pointers[i], pointers[i + 1]):
                j = entries[e]
                if distances[e] <= eps and labels[j] < 0:
                    labels[j] = cluster
                    if core[j]:
                        stack[size] = j
                        size += 1
        cluster += 1
    return labels


@njit(cache=True)
def density_curve(
    pointers: Columns, entries: Columns, distances: Floats, grid: Floats, min_samples: int
) -> tuple[Ints, Doubles]:
    """Follow the clusters of core points while eps grows, in one pass over the edges in the order of the grid.

    The clusters of one eps are parts of those of a larger one, so each edge at most joins two of them. Equals, for each
    eps of ``grid``, the number of clusters of `density_labels`, and the sum of the squares of their numbers of core
    points, as scikit-learn's ``DBSCAN`` finds them.

    Args:
        pointers: As for `density_labels`, like the arguments that follow.
        entries: Columns of the entries.
        distances: Their distances.
        grid: ``(G,)`` float32, the values of eps, ascending.
        min_samples: Number of images within eps that make a core point.

    Returns:
        The clusters ``(G,)`` and the ordered pairs of core points within a cluster ``(G,)``, a point with itself too.
    """
    n, values = len(pointers) - 1, len(grid)
    steps = np.empty(len(entries), np.uint8)  # the first value of the grid that is not below the distance
    core = np.full(n, values, np.int64)  # the first at which a point is a core point
    counts = np.zeros(values + 1, np.int64)
    for i in range(n):
        counts[:] = 0
        for e in range(pointers[i], pointers[i + 1]):
            step = 0
            while step < values and distances[e] > grid[step]:
                step += 1
            steps[e] = step
            counts[step] += 1
        near = 0
        for g in range(values):
            near += counts[g]
            if near >= min_samples:
                core[i] = g
                break
    starts = np.zeros(values + 2, np.int64)
    for i in range(n):
        for e in range(pointers[i], pointers[i + 1]):
            if entries[e] > i:
                starts[max(steps[e], core[i], core[entries[e]]) + 1] += 1
    for g in range(values):
        starts[g + 1] += starts[g]
    filled = starts.copy()
    first, second = np.empty(starts[values], np.int32), np.empty(starts[values], np.int32)
    for i in range(n):
        for e in range(pointers[i], pointers[i + 1]):
            g = max(steps[e], core[i], core[entries[e]])
            if entries[e] > i and g < values:
                first[filled[g]], second[filled[g]] = i, entries[e]
                filled[g] += 1
    parents, sizes = np.arange(n), np.ones(n, np.int64)
    clusters, pairs = np.zeros(values, np.int64), np.zeros(values)
    found, together = 0, 0.0
    for g in range(values):
        new = (core == g).sum()
        found, together = found + new, together + new
        for e in range(starts[g], starts[g + 1]):
            a, b = np.int64(first[e]), np.int64(second[e])
            while parents[a] != a:
                parents[a] = parents[parents[a]]
                a = parents[a]
            while parents[b] != b:
                parents[b] = parents[parents[b]]
                b = parents[b]
            if a != b:
                if sizes[a] < sizes[b]:
                    a, b = b, a
                together += 2.0 * sizes[a] * sizes[b]
                sizes[a] += sizes[b]
                parents[b] = a
                found -= 1
        clusters[g], pairs[g] = found, together
    return clusters, pairs
