"""Exact nearest neighbors, block by block.

A matrix product proposes candidates, and exact distances decide: every vector that may be among the nearest, within
the bound of the product's rounding errors, is measured again. So a coarse and fast product is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resight.arrays import id_column
from resight.errors import DataError
from resight.numerics import gpu
from resight.numerics.distances import as_vectors, block_distances, squared_lengths
from resight.numerics.kernels import offer_nearest, raise_farthest, select_candidates, select_nearest
from resight.numerics.processor import cpu_has_bfloat16
from resight.records import Doubles, Floats, Ints

BLOCK_ENTRIES = 2**26
"""The most distances in memory at once (256 MiB of float32), whatever ``block`` is."""

BLOCK = 1000
"""Rows to handle at once. It is no power of two: the numbers of a column of such a tile would all compete for the same
few places of the processor's cache."""

FEW_QUERIES = 16
"""Up to this many queries are answered by numpy: loading the compiled loops would take longer than the search."""

ROOM = 128
"""Room for candidates of each vector, at least; four times k if that is more."""


def k_nearest(
    vectors: npt.ArrayLike,
    k: int,
    *,
    queries: npt.ArrayLike | None = None,
    block: int = BLOCK,
    device: torch.device | str = "cpu",
) -> tuple[Floats, Ints]:
    """Find the ``k`` nearest vectors of each query, exactly.

    A blockwise product proposes candidates. Their distances are computed from the vectors in float64 and rounded once.
    So the result is the same for every block size, number of threads, precision of the product and linear algebra
    library. Only a search for a few queries adds in another order, which changes the last bit of one distance in some
    hundred million. Equal vectors are at distance exactly 0. Ties ascend by id. When vectors search themselves, only
    half of the product is computed, in bfloat16 if the processor multiplies in it. Memory is ``block * N`` numbers,
    never ``N * N``.

    Args:
        vectors: ``(N, D)``, the rows to search in.
        k: Number of neighbors, ``1..N``.
        queries: ``(Q, D)``, the rows to search for; by default ``vectors`` themselves. Then each row's first neighbor
            is itself, before any duplicate of it.
        block: Queries to handle at once, at most.
        device: Where to search. The result is the same, except for the last bit of one distance in some hundred
            million.

    Returns:
        Squared Euclidean distances ``(Q, k)`` float32, ascending along each row, and ids ``(Q, k)`` int64,
        rows of ``vectors``.

    Raises:
        DataError: There are no vectors (or a single one to search itself), ``k`` or ``block`` is out of range, the
            dimensions differ, or a value is not finite.
    """
    rows, query_rows = _check(vectors, queries, k, block)
    if gpu.used_for(device):
        query_tensor = None if queries is None else gpu.on_device(query_rows, device)
        return gpu.k_nearest(gpu.on_device(rows, device), k, queries=query_tensor, block=block)[:2]
    if queries is None:
        return search_itself(rows, k, squares(len(rows), block), block=block)
    return search_for(query_rows, rows, k, block=block)


def k_nearest_and_farthest(
    vectors: npt.ArrayLike, k: int, *, block: int = BLOCK, device: torch.device | str = "cpu"
) -> tuple[Floats, Ints, Floats]:
    """Find the ``k`` nearest vectors of each vector, and its distance to the farthest vector, in one pass.

    Args:
        vectors: As in `k_nearest`.
        k: As in `k_nearest`.
        block: As in `k_nearest`.
        device: As in `k_nearest`.

    Returns:
        The distances and ids of `k_nearest`, and ``(N,)`` float32, the largest squared distance of each vector
        (to float32 rounding of the squared lengths).

    Raises:
        DataError: As in `k_nearest`.
    """
    rows, _ = _check(vectors, None, k, block)
    if gpu.used_for(device):
        return gpu.k_nearest(gpu.on_device(rows, device), k, block=block, farthest=True)
    farthest = np.zeros(len(rows), np.float32)
    distances, ids = search_itself(rows, k, squares(len(rows), block), block=block, farthest=farthest)
    return distances, ids, farthest


def k_nearest_by_camera(
    vectors: npt.ArrayLike, cameras: Ints, own: int, others: int, *, device: torch.device | str = "cpu"
) -> tuple[Floats, Ints]:
    """Find for each vector the nearest of its own camera and the nearest of all other cameras, in one list.

    The two mix evenly along the list, so every first part of it holds both in the same proportion. If a camera, or all
    other cameras together, have too few images, the other side fills the rest of the list.

    Args:
        vectors: ``(N, D)``.
        cameras: ``(N,)`` camera ids; -1 counts as a camera.
        own: Number of neighbors of the own camera, at least 1. The vector itself is one of them, and comes first.
        others: Number of neighbors of the other cameras.
        device: As in `k_nearest`.

    Returns:
        Squared Euclidean distances ``(N, own + others)`` float32 and ids ``(N, own + others)`` int64, rows of
        ``vectors``. Distances do not ascend.

    Raises:
        DataError: There are fewer than ``own + others`` vectors, ``cameras`` has another length, or as in `k_nearest`.

    References:
        The camera-aware neighbors of Chen et al., "CA-Jaccard: camera-aware Jaccard distance for person
            re-identification", CVPR 2024.
    """
    rows, _ = _check(vectors, None, own + others, block=1)
    camera_ids = id_column(cameras, "cameras", len(rows))
    distances, ids = np.empty((len(rows), own + others), np.float32), np.empty((len(rows), own + others), np.int64)
    for camera in np.unique(camera_ids):
        inside, outside = np.flatnonzero(camera_ids == camera), np.flatnonzero(camera_ids != camera)
        num_others = min(own + others - min(own, len(inside)), len(outside))
        num_own = own + others - num_others
        positions = np.concatenate([np.arange(num_own) / num_own, (np.arange(num_others) + 0.5) / max(1, num_others)])
        order = np.argsort(positions, kind="stable")
        near = np.zeros((len(inside), 1), np.float32), np.zeros((len(inside), 1), np.int64)
        if len(inside) > 1:
            near = k_nearest(rows[inside], num_own, device=device)
        far = np.empty((len(inside), 0), np.float32), np.empty((len(inside), 0), np.int64)
        if num_others:
            far = k_nearest(rows[outside], num_others, queries=rows[inside], device=device)
        distances[inside] = np.concatenate([near[0], far[0]], axis=1)[:, order]
        ids[inside] = np.concatenate([inside[near[1]], outside[far[1]]], axis=1)[:, order]
    return distances, ids


def farthest_distances(vectors: npt.ArrayLike, *, block: int = BLOCK, device: torch.device | str = "cpu") -> Floats:
    """Compute each vector's squared Euclidean distance to the vector farthest from it.

    Args:
        vectors: ``(N, D)``.
        block: Vectors to handle at once, at most.
        device: As in `k_nearest`.

    Returns:
        ``(N,)`` float32, to float32 rounding of the squared lengths.

    Raises:
        DataError: As in `k_nearest`.
    """
    return k_nearest_and_farthest(vectors, 1, block=block, device=device)[2]


def _check(vectors: npt.ArrayLike, queries: npt.ArrayLike | None, k: int, block: int) -> tuple[Floats, Floats]:
    """Return the vectors and the queries as arrays.

    Raises:
        DataError: As in `k_nearest`.
    """
    rows = as_vectors(vectors)
    least = 1 if queries is not None else 2
    if len(rows) < least:
        raise DataError(f"a search needs at least {least} vector{'s' * (least > 1)}, found {len(rows)}")
    query_rows = rows if queries is None else as_vectors(queries, "queries")
    if query_rows.shape[1] != rows.shape[1]:
        raise DataError(
            f"queries and vectors must have the same dimension, found {query_rows.shape[1]} and {rows.shape[1]}"
        )
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    if block < 1:
        raise DataError(f"block must be at least 1, found {block}")
    return rows, query_rows


# -- queries search vectors --------------------------------------------------------------------------------------------


def search_for(
    queries: Floats, rows: Floats, k: int, *, block: int = BLOCK, own_rows: Ints | None = None
) -> tuple[Floats, Ints]:
    """Find the ``k`` nearest of ``(N, D)`` rows for ``(Q, D)`` queries; callers check the arguments.

    Args:
        queries: The rows to search for.
        rows: The rows to search in.
        k: Number of neighbors.
        block: Queries to handle at once, at most.
        own_rows: ``(Q,)``, the row of ``rows`` that each query is, or -1; it comes first.

    Returns:
        As `k_nearest`.
    """
    distances, ids = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    lengths = squared_lengths(rows)
    slack = _slack(squared_lengths(queries), lengths.max(), rows.shape[1])
    few = own_rows is None and len(queries) <= FEW_QUERIES
    own_rows = np.full(len(queries), -1) if own_rows is None else own_rows
    step = max(1, min(block, BLOCK_ENTRIES // len(rows)))
    for low in range(0, len(queries), step):
        part = slice(low, low + step)
        approximate = block_distances(queries[part], rows, lengths)
        if few:
            _select_few(approximate, slack[part], queries[part], rows, distances[part], ids[part])
        else:
            select_nearest(approximate, slack[part], queries[part], rows, own_rows[part], distances[part], ids[part])
    return distances, ids


def _select_few(
    approximate: Floats, slack: Floats, queries: Floats, vectors: Floats, distances: Floats, ids: Ints
) -> None:
    """Fill what `kernels.select_nearest` fills, for queries that are not among the vectors."""
    k = ids.shape[1]
    for r, row in enumerate(approximate):
        limit = np.float64(np.partition(row, k - 1)[k - 1]) + 2.0 * np.float64(slack[r])
        candidates = np.flatnonzero(row <= limit)
        exact = np.empty(len(candidates), np.float32)
        for low in range(0, len(candidates), BLOCK):
            differences = vectors[candidates[low : low + BLOCK]].astype(np.float64) - queries[r]
            exact[low : low + BLOCK] = np.square(differences).sum(1)
        # Candidates ascend by id, so a stable sort by distance leaves ties in that order.
        order = np.argsort(exact, kind="stable")[:k]
        ids[r], distances[r] = candidates[order], exact[order]


def _slack(lengths: Floats, longest: float, dim: int) -> Floats:
    """Bound the error of squared distances from a float32 product, for vectors of these squared lengths."""
    # The worst case of a product of D terms and three additions, doubled for the two ends of a pair.
    bound: Floats = (2 * (dim + 8) * 2.0**-24 * (lengths + longest)).astype(np.float32)
    return bound


# -- vectors search themselves -----------------------------------------------------------------------------------------

Tile = tuple[Ints, Ints, bool]
"""Which vectors search in which others, both ascending, and whether the others search in the first ones too."""


def search_itself(
    rows: Floats,
    k: int,
    tiles: Iterable[Tile],
    *,
    block: int = BLOCK,
    farthest: Floats | None = None,
    coarse: bool | None = None,
) -> tuple[Floats, Ints]:
    """Search vectors among themselves, each among the vectors of its tiles.

    Args:
        rows: ``(N, D)``; callers check them.
        k: Number of neighbors, the vector itself first.
        tiles: Which vectors search in which, each pair at most once. A vector with too few candidates is then compared
            with all.
        block: Rows to handle at once outside of tiles.
        farthest: ``(N,)``, raised to the largest distance of each vector in its tiles, to float32 rounding. The product
            is in float32 then.
        coarse: Whether the product is in bfloat16; by default if the processor multiplies in it.

    Returns:
        As `k_nearest`.
    """
    size, room = len(rows), max(ROOM, 4 * k)
    values, candidates = np.empty((size, room), np.float32), np.empty((size, room), np.int32)
    counts, limits = np.zeros(size, np.int64), np.full(size, np.inf, np.float32)
    factor: Tensor | Floats = rows
    if farthest is None and (cpu_has_bfloat16() if coarse is None else coarse):
        factor, lengths, slack = _to_bfloat16(rows, block)
    else:
        lengths = squared_lengths(rows)
        slack = _slack(lengths, lengths.max(), rows.shape[1])
    for searching, searched, dots in _products(factor, tiles):
        offer_nearest(dots, searching, searched, lengths, slack, k - 1, values, candidates, counts, limits)
        if farthest is not None:
            raise_farthest(dots, searching, searched, lengths, farthest)
    distances, ids = np.empty((size, k), np.float32), np.empty((size, k), np.int64)
    counts[counts < k - 1] = -1
    select_candidates(rows, np.arange(size), candidates, counts, distances, ids)
    unfinished = np.flatnonzero(counts < 0)
    if len(unfinished):
        distances[unfinished], ids[unfinished] = search_for(rows[unfinished], rows, k, block=block, own_rows=unfinished)
    return distances, ids


def squares(size: int, block: int) -> Iterator[Tile]:
    """Cut all pairs of ``size`` vectors into tiles, without those below the diagonal."""
    rows = np.arange(size)
    for top in range(0, size, block):
        for left in range(top, size, block):
            yield rows[top : top + block], rows[left : left + block], left > top


def _products(factor: Tensor | Floats, tiles: Iterable[Tile]) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Yield the dot products of each tile, ``(A, B)`` float32; if both sides search, also those of its transpose."""
    for searching, searched, both in tiles:
        dots = _select_rows(factor, searching) @ _select_rows(factor, searched).T
        if isinstance(dots, Tensor):
            dots = dots.float().numpy()
        yield searching, searched, dots
        if both:
            yield searched, searching, np.ascontiguousarray(dots.T)


def _select_rows(factor: Tensor | Floats, rows: Ints) -> Tensor | Floats:
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1:  # consecutive rows need no copy
        return factor[first : last + 1]
    return factor.index_select(0, torch.from_numpy(rows)) if isinstance(factor, Tensor) else factor[rows]


def _to_bfloat16(rows: Floats, block: int) -> tuple[Tensor, Floats, Floats]:
    """Round vectors to bfloat16, which halves the cost of a product.

    Centering first changes no distance and makes the rounding errors smaller.

    Args:
        rows: ``(N, D)``.
        block: Rows to handle at once.

    Returns:
        The rounded centered vectors ``(N, D)``, the squared lengths ``(N,)`` of the centered vectors, and a bound
        ``(N,)`` of the error of squared distances computed from both.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    factor = torch.empty(rows.shape, dtype=torch.bfloat16)
    lengths, errors = np.empty(len(rows)), np.empty(len(rows))
    for low in range(0, len(rows), block):
        part = slice(low, low + block)
        centered = rows[part] - mean
        factor[part] = torch.from_numpy(centered)
        lengths[part] = np.sqrt(np.einsum("nd,nd->n", centered, centered))
        centered -= factor[part].double().numpy()
        errors[part] = np.sqrt(np.einsum("nd,nd->n", centered, centered))
    longest = lengths.max()
    # a b - a' b' = a (b - b') + (a - a') b', each at most a product of lengths (Cauchy-Schwarz); a' is no longer than
    # a plus its error. Then the sum of D products in float32, and its rounding to the 8 bits of a bfloat16.
    reach = lengths + errors
    product: Doubles = lengths * errors.max() + errors * reach.max()
    product += (2.0**-9 + (rows.shape[1] + 8) * 2.0**-24) * reach * reach.max()
    slack = 2 * product + 8 * 2.0**-24 * (lengths**2 + longest**2)
    return factor, (lengths**2).astype(np.float32), slack.astype(np.float32)
