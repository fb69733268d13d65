"""From vectors to ranked lists."""

from __future__ import annotations

from resight.errors import DataError
from resight.numerics.neighbours import k_nearest
from resight.records import Features, Ranking


def rank(queries: Features, gallery: Features, *, k: int = 10) -> Ranking:
    """Find the nearest gallery rows of each query.

    Args:
        queries: ``Q`` vectors.
        gallery: ``G`` vectors of the same encoder.
        k: How many to find; fewer where the gallery is smaller.

    Returns:
        Rows and squared Euclidean distances (0 to 4 for unit vectors), nearest first.

    Raises:
        DataError: The two were made by different encoders, or the gallery is empty.
    """
    if queries.encoder and gallery.encoder and queries.encoder != gallery.encoder:
        raise DataError(
            f"queries were embedded by encoder {queries.encoder} and the gallery by {gallery.encoder}: "
            "vectors of different encoders cannot be compared; extract one of them again"
        )
    if len(gallery) == 0:
        raise DataError("the gallery is empty: there is nothing to search")
    distances, ids = k_nearest(gallery.vectors, min(k, len(gallery)), queries=queries.vectors)
    return Ranking(ids, distances)
