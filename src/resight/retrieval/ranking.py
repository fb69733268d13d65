"""From vectors to ranked lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import torch

from resight.errors import ConfigError, DataError, check_given, whole_number, yes_or_no
from resight.numerics.distances import measure_distances, normalize, squared_distances
from resight.numerics.jaccard import rerank as reranked_distances
from resight.numerics.neighbors import k_nearest
from resight.records import Features, Floats, Mask, Ranking, check_features

BLOCK = 512
"""Queries whose distances are held at once, where they are not the squared ones."""


def rank(
    queries: Features,
    gallery: Features,
    *,
    k: int = 10,
    rerank: bool = False,
    distance_fn: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
) -> Ranking:
    """Find the nearest gallery rows of each query.

    Args:
        queries: ``Q`` vectors.
        gallery: ``G`` vectors of the same encoder.
        k: How many to find; fewer where the gallery is smaller.
        rerank: Whether to re-rank k-reciprocally first; needs the whole ``Q x G``.
        distance_fn: What gives the distances ``(Q, G)`` between rows ``(Q, D)`` and ``(G, D)``, as for `evaluate`.
        device: Where to search, see `resight.numerics.neighbors.k_nearest`; another distance is the CPU's.

    Returns:
        Rows and distances, nearest first; by default squared Euclidean ones (0 to 4 for unit vectors).

    Raises:
        DataError: The two were made by different encoders, the gallery is empty, or the distances are none.
        ConfigError: One of the two is no Features, or k is no whole number above 0.
    """
    check_features(queries=queries, gallery=gallery)
    k, rerank = whole_number("k", k, least=1), yes_or_no("rerank", rerank)
    check_given("distance_fn", distance_fn, Callable, "a function of two arrays, (Q, D) and (G, D)")
    if len(gallery) == 0:
        raise DataError("the gallery is empty: there is nothing to search")
    k = min(k, len(gallery))
    if rerank:
        if distance_fn is not squared_distances:
            raise ConfigError("re-ranking needs the squared Euclidean distance: leave out distance_fn or rerank")
        reranked = reranked_distances(queries.embeddings, gallery.embeddings, device=device)
        indices = np.argsort(reranked, axis=1, kind="stable")[:, :k]
        return Ranking(indices, np.take_along_axis(reranked, indices, axis=1))
    if distance_fn is squared_distances:
        distances, ids = k_nearest(gallery.embeddings, k, queries=queries.embeddings, device=device)
        return Ranking(ids, distances)
    ids, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), BLOCK):
        rows = slice(start, start + BLOCK)
        block = measure_distances(distance_fn, queries.embeddings[rows], gallery.embeddings)
        ids[rows] = np.argsort(block, axis=1, kind="stable")[:, :k]
        distances[rows] = np.take_along_axis(block, ids[rows], axis=1)
    return Ranking(ids, distances)


def rank_others(
    queries: Features, gallery: Features, *, k: int = 10, device: torch.device | str = "cpu"
) -> tuple[Ranking, Mask]:
    """Find the nearest gallery rows of each query, as `rank`, but for the query's own file.

    A file is the same under whatever path or link; a copy of it is another one.

    Args:
        queries: As in `rank`.
        gallery: As in `rank`; it may hold the queries' files.
        k: How many to find.
        device: Where to search.

    Returns:
        The ranking by squared distances, with ``-1`` and inf where a query has fewer results than others; and ``(Q,)``
        whether its own file was left out.
    """
    spare = 1
    while True:
        found = rank(queries, gallery, k=k + spare, device=device)
        own = _own_files(queries, gallery, found)
        most = int(own.sum(axis=1).max(initial=0))
        if most <= spare or found.indices.shape[1] < k + spare:
            break
        spare = 2 * most  # a gallery that links to one file many times
    order = np.argsort(own, axis=1, kind="stable")[:, :k]
    ids = np.take_along_axis(np.where(own, -1, found.indices), order, axis=1)
    distances = np.take_along_axis(np.where(own, np.inf, found.distances), order, axis=1)
    filled = (ids >= 0).any(axis=0)
    left_out: Mask = np.any(own, axis=1)
    return Ranking(ids[:, filled], distances[:, filled]), left_out


def _own_files(queries: Features, gallery: Features, ranking: Ranking) -> Mask:
    """Say which results, ``(Q, K)``, are the query's own file."""
    names = gallery.table.paths[np.unique(ranking.indices)]
    files = {name: _file(name) for name in [*names.tolist(), *queries.table.paths.tolist()]}
    mine = [files[name] for name in queries.table.paths.tolist()]
    rows = zip(mine, gallery.table.paths[ranking.indices].tolist(), strict=True)
    own = [[one is not None and files[name] == one for name in names] for one, names in rows]
    return np.array(own, np.bool_).reshape(ranking.indices.shape)


def _file(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each result is slow)
    except OSError:
        return None
    return status.st_dev, status.st_ino


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
    ids = ranking.indices[list(rows)]
    first, second = normalize(queries.embeddings[list(rows)]), normalize(gallery.embeddings[ids.clip(0).ravel()])
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
        ConfigError: One of the two is no Features.
    """
    check_features(first=first, second=second)
    similarities: Floats = first.embeddings @ second.embeddings.T
    return np.clip(similarities, -1, 1, out=similarities)
