"""How well images fit their clusters, without labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column
from resight.numerics.clustering import centroids
from resight.numerics.distances import as_vectors, normalize
from resight.records import Doubles, Floats, Ints

_BLOCK = 4096


def margins(vectors: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """Compute how much more similar each image is to its own cluster than to the next one.

    The next cluster is the one whose mean is most similar to the mean of the own cluster. The margin is the cosine
    similarity to the own mean minus the similarity to the next mean (minus 0 with a single cluster). The silhouette
    measures much the same, on all pairs of images.

    Args:
        vectors: ``(N, D)``, the clustered vectors.
        labels: ``(N,)`` clusters ``0..C-1``, none of them empty; negative for images in no cluster.

    Returns:
        ``(N,)`` float32 in -2..2, larger is more certain; nan for images in no cluster.

    Raises:
        DataError: As in `centroids`.
    """
    rows = as_vectors(vectors)
    owners = id_column(labels, "labels", len(rows))
    means = centroids(rows, owners, normalize=True)
    directions = means - means[_most_similar(means)] if len(means) > 1 else means
    similarity_gaps: Floats = np.full(len(rows), np.nan, np.float32)
    inside = np.flatnonzero(owners >= 0)
    for start in range(0, len(inside), _BLOCK):
        part = inside[start : start + _BLOCK]
        similarity_gaps[part] = np.einsum("nd,nd->n", normalize(rows[part]), directions[owners[part]])
    return similarity_gaps


def means_by_cluster(values: npt.ArrayLike, labels: npt.ArrayLike) -> Doubles:
    """Compute the mean of ``(N,)`` values over each cluster, ``(C,)``; images in no cluster do not count."""
    summands = np.asarray(values, dtype=np.float64)
    owners = id_column(labels, "labels", len(summands))
    inside = owners >= 0
    sums = np.bincount(owners[inside], summands[inside])
    return sums / np.maximum(np.bincount(owners[inside]), 1)


def _most_similar(means: Floats) -> Ints:
    """Return for each of ``(C, D)`` means the row of the mean most similar to it, other than itself."""
    nearest = np.empty(len(means), np.int64)
    for start in range(0, len(means), _BLOCK):
        block = means[start : start + _BLOCK] @ means.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        nearest[start : start + _BLOCK] = block.argmax(1)
    return nearest
