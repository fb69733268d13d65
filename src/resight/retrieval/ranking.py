"""From embeddings to ranked lists."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch

from resight.errors import ConfigError, DataError, check_given, whole_number, yes_or_no
from resight.numerics.distances import measure_distances, normalize, squared_distances
from resight.numerics.jaccard import rerank as reranked_distances
from resight.numerics.neighbors import k_nearest
from resight.numerics.spatiotemporal import TravelTimes
from resight.records import Features, Floats, Mask, Ranking, check_features
from resight.retrieval.joint import joint_rows

BLOCK = 512
"""Queries to compare with the gallery at once, if the distance is not the squared Euclidean one."""

PAIR_ENTRIES = 2**22
"""Numbers in the embeddings of pairs whose similarities are computed at once (16 MiB)."""


def rank(
    queries: Features,
    gallery: Features,
    *,
    k: int = 10,
    rerank: bool | TravelTimes = False,
    distance_fn: Callable[[Floats, Floats], Floats] = squared_distances,
    device: torch.device | str = "cpu",
) -> Ranking:
    """Find the nearest gallery rows of each query.

    Args:
        queries: ``Q`` embeddings.
        gallery: ``G`` embeddings by the same encoder.
        k: Number of results; fewer if the gallery is smaller.
        rerank: Whether to re-rank k-reciprocally, which needs memory for ``Q x G`` distances; or travel times, as in
            `evaluate`.
        distance_fn: Returns the distances ``(Q, G)`` between rows ``(Q, D)`` and ``(G, D)``, as in `evaluate`.
        device: Where to search, see `resight.numerics.neighbors.k_nearest`; other distances run on the CPU.

    Returns:
        Gallery rows and distances, nearest first, and cosine similarities. Distances are squared Euclidean by default
        (0 to 4 for unit vectors).

    Raises:
        DataError: The two come from different encoders, the gallery is empty, or ``distance_fn`` returns no distances.
        ConfigError: ``queries`` or ``gallery`` is no Features, or ``k`` is no whole number above 0.
    """
    check_features(queries=queries, gallery=gallery)
    k, times = whole_number("k", k, least=1), rerank if isinstance(rerank, TravelTimes) else None
    reranks = times is not None or yes_or_no("rerank", rerank)
    check_given("distance_fn", distance_fn, Callable, "a function of two arrays, (Q, D) and (G, D)")
    if len(gallery) == 0:
        raise DataError("the gallery is empty: there is nothing to search")
    k = min(k, len(gallery))
    if reranks and distance_fn is not squared_distances:
        raise ConfigError("re-ranking needs the squared Euclidean distance: leave out distance_fn or rerank")
    if reranks and times is None:
        reranked = reranked_distances(queries.embeddings, gallery.embeddings, device=device)
        indices = np.argsort(reranked, axis=1, kind="stable")[:, :k]
        distances = np.take_along_axis(reranked, indices, axis=1)
    elif times is None and distance_fn is squared_distances:
        distances, indices = k_nearest(gallery.embeddings, k, queries=queries.embeddings, device=device)
    else:
        joint = None if times is None else joint_rows(queries, gallery, times, device)
        indices, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        for start in range(0, len(queries), BLOCK):
            rows = slice(start, start + BLOCK)
            if joint is not None:
                block = joint(rows)
            else:
                block = measure_distances(distance_fn, queries.embeddings[rows], gallery.embeddings)
            indices[rows] = np.argsort(block, axis=1, kind="stable")[:, :k]
            distances[rows] = np.take_along_axis(block, indices[rows], axis=1)
    return add_similarities(Ranking(indices, distances), queries, gallery)


def rank_others(
    queries: Features, gallery: Features, *, k: int = 10, device: torch.device | str = "cpu"
) -> tuple[Ranking, Mask]:
    """Find the nearest gallery rows of each query, as `rank`, without the query's own file.

    A file is the same under every path or link, and one that does not exist here under its path. A copy is another.

    Args:
        queries: As in `rank`.
        gallery: As in `rank`; it may hold the queries' files.
        k: Number of results.
        device: Where to search.

    Returns:
        The ranking by squared distances, with ``-1``, inf and nan if a query has fewer results than others; and a mask
        ``(Q,)`` of the queries whose own file was in the gallery.
    """
    spare = 1
    while True:
        ranking = rank(queries, gallery, k=k + spare, device=device)
        is_own = _find_own_files(queries, gallery, ranking)
        most = int(is_own.sum(axis=1).max(initial=0))
        if most <= spare or ranking.indices.shape[1] < k + spare:
            break
        spare = 2 * most  # a gallery that links to one file many times
    order = np.argsort(is_own, axis=1, kind="stable")[:, :k]
    indices, distances, similarities = (
        np.take_along_axis(np.where(is_own, missing, column), order, axis=1)
        for missing, column in ((-1, ranking.indices), (np.inf, ranking.distances), (np.nan, ranking.similarities))
    )
    filled = (indices >= 0).any(axis=0)
    left_out: Mask = np.any(is_own, axis=1)
    return Ranking(indices[:, filled], distances[:, filled], similarities[:, filled]), left_out


def _find_own_files(queries: Features, gallery: Features, ranking: Ranking) -> Mask:
    """Return which results, ``(Q, K)``, are the query's own file."""
    names = gallery.table.paths[np.unique(ranking.indices)]
    files = {name: _identify_file(name) for name in [*names.tolist(), *queries.table.paths.tolist()]}
    query_files = [files[name] for name in queries.table.paths.tolist()]
    rows = zip(query_files, gallery.table.paths[ranking.indices].tolist(), strict=True)
    is_own = [[files[name] == file for name in names] for file, names in rows]
    return np.array(is_own, np.bool_).reshape(ranking.indices.shape)


def _identify_file(path: str) -> tuple[int, int] | str:
    """Return what a file is known by; a file that does not exist is known by its path."""
    try:
        status = os.stat(path)  # noqa: PTH116  (a Path for each result is slow)
    except OSError:
        return path
    return status.st_dev, status.st_ino


def add_similarities(ranking: Ranking, queries: Features, gallery: Features) -> Ranking:
    """Return a ranking with the cosine similarities of queries and results, whatever distance ranked them.

    Args:
        ranking: A ranking, one row per query.
        queries: Its ``Q`` queries.
        gallery: Its gallery.

    Returns:
        The ranking with ``similarities``, ``(Q, K)`` in -1..1; nan if a query has fewer than ``K`` results.

    Raises:
        DataError: The ranking does not fit the queries or the gallery, or the two come from different encoders.
    """
    check_features(queries=queries, gallery=gallery)
    check_ranking(ranking, queries, gallery)
    num_queries, k = ranking.indices.shape
    dim = queries.embeddings.shape[1]
    num_results = max(1, PAIR_ENTRIES // dim)
    # Each result is normalized once, however many queries it answers.
    distinct, positions = np.unique(ranking.indices.clip(0), return_inverse=True)
    positions = positions.reshape(ranking.indices.shape)
    results = np.empty((len(distinct), dim), np.float32)
    for low in range(0, len(distinct), num_results):
        results[low : low + num_results] = normalize(gallery.embeddings[distinct[low : low + num_results]])
    similarities = np.empty((num_queries, k), np.float32)
    num_rows = max(1, num_results // max(1, k))
    for row in range(0, num_queries, num_rows):
        block_queries = normalize(queries.embeddings[row : row + num_rows])
        for column in range(0, k, num_results):
            block = slice(row, row + num_rows), slice(column, column + num_results)
            similarities[block] = np.einsum("rd,rkd->rk", block_queries, results[positions[block]])
    similarities.clip(-1, 1, out=similarities)
    similarities[ranking.indices < 0] = np.nan
    return Ranking(ranking.indices, ranking.distances, similarities)


def check_ranking(ranking: Ranking, queries: Features, gallery: Features) -> None:
    """Check that a ranking fits its queries and its gallery.

    Raises:
        ConfigError: It is no Ranking.
        DataError: It has another number of queries, or names rows that the gallery does not have.
    """
    check_given("ranking", ranking, Ranking, "a Ranking, as resight.rank(queries, gallery) returns it")
    if ranking.indices.max(initial=-1) >= len(gallery):
        raise DataError(f"the ranking names gallery row {ranking.indices.max()} of {len(gallery)}: rank this gallery")
    if len(queries) != len(ranking):
        raise DataError(f"expected a row of the ranking for each of the {len(queries)} queries, found {len(ranking)}")


def compare(first: Features, second: Features) -> Floats:
    """Compute the cosine similarity of every image of one set to every image of another.

    Args:
        first: ``N`` unit vectors.
        second: ``M`` unit vectors by the same encoder.

    Returns:
        ``(N, M)`` float32 in -1..1, larger is more similar. It ranks; it is no probability.

    Raises:
        DataError: The two come from different encoders.
        ConfigError: ``first`` or ``second`` is no Features.
    """
    check_features(first=first, second=second)
    similarities: Floats = first.embeddings @ second.embeddings.T
    return np.clip(similarities, -1, 1, out=similarities)
