"""From vectors to ranked lists."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from resight.errors import DataError, check_given, whole_number
from resight.numerics.distances import squared_distances
from resight.numerics.neighbours import k_nearest
from resight.records import Features, Floats, Ranking, check_features

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
        ConfigError: One of the two is no Features, or k is no whole number above 0.
    """
    check_features(queries=queries, gallery=gallery)
    k = whole_number("k", k, least=1)
    check_given("distance", distance, Callable, "a function of two arrays, (Q, D) and (G, D)")
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


def compare(first: Features, second: Features) -> Floats:
    """Give the cosine similarity of every image of one set to every image of another.

    Args:
        first: ``N`` unit vectors.
        second: ``M`` unit vectors of the same encoder.

    Returns:
        ``(N, M)`` float32 in -1..1, larger is more similar. It ranks; it is no probability.

    Raises:
        DataError: The two were made by different encoders.
        ConfigError: One of the two is no Features.
    """
    check_features(first=first, second=second)
    similarities: Floats = first.vectors @ second.vectors.T
    return np.clip(similarities, -1, 1, out=similarities)
