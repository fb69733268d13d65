"""K-Means: clusters of a given number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.errors import ConfigError
from resight.numerics.distances import as_vectors
from resight.records import Ints

SEED = 0
"""Seed of the first centers: the same vectors give the same clusters."""


def kmeans(vectors: npt.ArrayLike, clusters: int) -> Ints:
    """Cluster vectors by Lloyd's iterations from k-means++ centers.

    Args:
        vectors: ``(N, D)`` float32.
        clusters: Number of clusters, 1 to N.

    Returns:
        ``(N,)`` int64 in ``0..C-1`` without a gap, numbered by their first vector. C is below ``clusters`` only if
        there are fewer different vectors.

    Raises:
        ConfigError: ``clusters`` is below 1 or above the number of vectors.
        DataError: The vectors are not finite.

    References:
        Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, 2007.
    """
    rows = as_vectors(vectors)
    if not 1 <= clusters <= len(rows):
        raise ConfigError(f"K-Means needs 1 to {len(rows):,} clusters, at most one per image, found {clusters}")
    from sklearn.cluster import KMeans  # slow to load

    num_different = len({row.tobytes() for row in rows})
    predicted = KMeans(min(clusters, num_different), n_init=1, random_state=SEED).fit_predict(rows)
    _, first, labels = np.unique(predicted, return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(first))
    renumbered: Ints = numbers[labels].astype(np.int64)
    return renumbered
