"""From vectors to ranked lists."""

from __future__ import annotations

import numpy as np
import torch

from resight.errors import DataError
from resight.numerics.neighbours import k_nearest
from resight.records import Features, Floats, Ranking


def rank(queries: Features, gallery: Features, *, k: int = 10, device: torch.device | str = "cpu") -> Ranking:
    """Find the nearest gallery rows of each query.

    Args:
        queries: ``Q`` vectors.
        gallery: ``G`` vectors of the same encoder.
        k: How many to find; fewer where the gallery is smaller.
        device: Where to search, see `resight.numerics.neighbours.k_nearest`.

    Returns:
        Rows and squared Euclidean distances (0 to 4 for unit vectors), nearest first.

    Raises:
        DataError: The two were made by different encoders, or the gallery is empty.
    """
    queries.check_comparable(gallery)
    if len(gallery) == 0:
        raise DataError("the gallery is empty: there is nothing to search")
    distances, ids = k_nearest(gallery.vectors, min(k, len(gallery)), queries=queries.vectors, device=device)
    return Ranking(ids, distances)


def compare(first: Features, second: Features) -> Floats:
    """Give the cosine similarity of every image of one set to every image of another.

    Args:
        first: ``N`` unit vectors.
        second: ``M`` unit vectors of the same encoder.

    Returns:
        ``(N, M)`` float32 in -1..1, larger is more similar. It ranks; it is no probability.

    Raises:
        DataError: The two were made by different encoders.
    """
    first.check_comparable(second)
    similarities: Floats = first.vectors @ second.vectors.T
    return np.clip(similarities, -1, 1, out=similarities)
