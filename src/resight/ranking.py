"""From vectors to ranked lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from resight.errors import DataError
from resight.numerics.distances import normalise, squared_distances
from resight.numerics.neighbours import k_nearest
from resight.records import Features, Floats, Ranking

BLOCK = 512
"""Queries whose distances are held at once, where they are not the squared ones."""


def rank(
    queries: Features,
    gallery: Features,
    *,
    k: int = 10,
    distance: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
) -> Ranking:
    """Find the nearest gallery rows of each query.

    Args:
        queries: ``Q`` vectors.
        gallery: ``G`` vectors of the same encoder.
        k: How many to find; fewer where the gallery is smaller.
        distance: What gives the distances ``(Q, G)`` between rows ``(Q, D)`` and ``(G, D)``, as for `evaluate`.
        device: Where to search, see `resight.numerics.neighbours.k_nearest`; another distance is the CPU's.

    Returns:
        Rows and distances, nearest first; by default squared Euclidean ones (0 to 4 for unit vectors).

    Raises:
        DataError: The two were made by different encoders, or the gallery is empty.
    """
    queries.check_comparable(gallery)
    if len(gallery) == 0:
        raise DataError("the gallery is empty: there is nothing to search")
    k = min(k, len(gallery))
    if distance is squared_distances:
        distances, ids = k_nearest(gallery.vectors, k, queries=queries.vectors, device=device)
        return Ranking(ids, distances)
    ids, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        block = distance(queries.vectors[rows], gallery.vectors)
        ids[rows] = np.argsort(block, axis=1, kind="stable")[:, :k]
        distances[rows] = np.take_along_axis(block, ids[rows], axis=1)
    return Ranking(ids, distances)


def similarities(queries: Features, gallery: Features, ranking: Ranking, *, rows: Sequence[int]) -> Floats:
    """Give how similar queries are to their results, whatever distance ranked them.

    Args:
        queries: ``Q`` vectors.
        gallery: What they were ranked against.
        ranking: The ranking, one row a query.
        rows: ``R`` of the queries.

    Returns:
        ``(R, K)`` cosine similarities in -1..1; nan where a query has fewer than ``K`` results.
    """
    ids = ranking.ids[list(rows)]
    first, second = normalise(queries.vectors[list(rows)]), normalise(gallery.vectors[ids.clip(0).ravel()])
    found: Floats = np.einsum("rd,rkd->rk", first, second.reshape(*ids.shape, first.shape[1])).clip(-1, 1)
    found[ids < 0] = np.nan
    return found


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
