"""The compiled loop of DBSCAN; the rules of `resight.numerics.kernels` hold here too.

It calls no kernel of another file: numba's cache does not notice a change there.
"""

from __future__ import annotations

import numpy as np

from resight.numerics.compiled import njit
from resight.numerics.kernels import Columns
from resight.records import Floats, Ints


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
