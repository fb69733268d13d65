"""A map of vectors on a plane, to look at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.numerics.distances import as_vectors
from resight.records import Doubles

PERPLEXITY = 30.0
"""How many neighbors count, or a third of the vectors if there are few."""


def tsne(vectors: npt.ArrayLike, *, seed: int = 0) -> Doubles:
    """Place vectors on a plane so that near ones stay near, by t-SNE.

    Args:
        vectors: ``(N, D)`` float32; the Euclidean distance counts.
        seed: The seed; the same seed gives the same map.

    Returns:
        ``(N, 2)``. Distances between groups mean little, and neither does the direction.

    Raises:
        DataError: There are fewer than 4 vectors, or they are not finite.

    References:
        van der Maaten and Hinton, Visualizing data using t-SNE, 2008; thesis, figure 6.9.
    """
    rows = as_vectors(vectors)
    if len(rows) < 4:
        raise DataError(f"a map needs 4 vectors or more, found {len(rows)}")
    from sklearn.manifold import TSNE  # slow to load

    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    placed: Doubles = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows).astype(np.float64)
    return placed
