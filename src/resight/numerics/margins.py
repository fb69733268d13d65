"""How sure clusters are of their images, without labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.numerics.clustering import centroids
from resight.numerics.distances import normalize
from resight.records import Doubles, Floats, Ints

_BLOCK = 4096


def margins(vectors: npt.ArrayLike, labels: npt.ArrayLike) -> Floats:
    """Give by how much each image is more like its own cluster than like the next one.

    That is the cosine similarity to the mean of its cluster, less that to the mean which is most similar to this one
    (less nothing, where there is a single cluster). The silhouette asks much the same, of all pairs of images.

    Args:
        vectors: ``(N, D)`` vectors, those that were clustered.
        labels: ``(N,)`` clusters ``0..C-1``, none of them empty; negative for images in none.

    Returns:
        ``(N,)`` float32 in -2..2, the larger the surer; nan for images in no cluster.

    Raises:
        DataError: As `centroids` does.
    """
    rows, owners = np.asarray(vectors, dtype=np.float32), np.asarray(labels, dtype=np.int64)
    means = centroids(rows, owners, normalize=True)
    directions = means - means[_most_similar(means)] if len(means) > 1 else means
    found: Floats = np.full(len(rows), np.nan, np.float32)
    inside = np.flatnonzero(owners >= 0)
    for start in range(0, len(inside), _BLOCK):
        part = inside[start : start + _BLOCK]
        found[part] = np.einsum("nd,nd->n", normalize(rows[part]), directions[owners[part]])
    return found


def means_by_cluster(values: npt.ArrayLike, labels: npt.ArrayLike) -> Doubles:
    """Give the mean of ``(N,)`` values over each cluster, ``(C,)``; images in none do not count."""
    owners = np.asarray(labels, dtype=np.int64)
    inside = owners >= 0
    sums = np.bincount(owners[inside], np.asarray(values, dtype=np.float64)[inside])
    return sums / np.maximum(np.bincount(owners[inside]), 1)


def _most_similar(means: Floats) -> Ints:
    """Give for each of ``(C, D)`` means the row of another that is most similar to it."""
    found = np.empty(len(means), np.int64)
    for start in range(0, len(means), _BLOCK):
        block = means[start : start + _BLOCK] @ means.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -np.inf
        found[start : start + _BLOCK] = block.argmax(1)
    return found
