"""Exact nearest neighbors, block by block.

A matrix product proposes and exact distances decide: whatever may be among the nearest, within the bound of the
product's own rounding, is measured again from the vectors. So the product may be as coarse as is fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resight.errors import DataError
from resight.numerics import gpu
from resight.numerics.distances import as_vectors, block_distances, squared_lengths
from resight.numerics.kernels import measure_held, offer_nearest, raise_farthest, select_nearest
from resight.numerics.processor import cpu_has_bfloat16
from resight.records import Doubles, Floats, Ints

BLOCK_ENTRIES = 2**26
"""The most distances held at once (256 MiB of float32), whatever the block of rows asked for."""

BLOCK = 1000
"""Rows handled at once: of tiles whose side is a power of two, a column's numbers would all compete for the same few
places of the processor's cache."""

ROOM = 128
"""Candidates that are held for each vector at least; four times k where that is more."""


def k_nearest(
    vectors: npt.ArrayLike,
    k: int,
    *,
    queries: npt.ArrayLike | None = None,
    block: int = BLOCK,
    device: torch.device | str = "cpu",
) -> tuple[Floats, Ints]:
    """Find the ``k`` nearest vectors of each query, exactly.

    The distances of what a blockwise product proposes are measured from the vectors in float64 and rounded once. The
    result is therefore the same for every block size, number of threads, precision of the product and linear algebra
    library, and equal vectors are at distance exactly 0. Ties ascend by id. Where vectors search themselves only
    half of the product is formed, in bfloat16 where the processor multiplies in it. Memory is ``block * N`` numbers,
    never ``N * N``.

    Args:
        vectors: ``(N, D)`` the rows that are searched.
        k: How many to find, ``1..N``.
        queries: ``(Q, D)`` the rows to search for; ``vectors`` themselves by default, and then each row's
            first neighbor is itself, before any duplicate of it.
        block: Queries to handle at once, at most.
        device: Where to search. The result is the same, but for the last bit of one distance in some hundred million.

    Returns:
        Squared Euclidean distances ``(Q, k)`` float32, ascending along each row, and ids ``(Q, k)`` int64,
        rows of ``vectors``.

    Raises:
        DataError: No vectors (or one alone that is to search itself), ``k`` or ``block`` out of range, dimensions
            that differ, or values that are not finite.
    """
    rows, asked = _checked(vectors, queries, k, block)
    if gpu.used_for(device):
        held = gpu.on_device(rows, device)
        others = None if queries is None else gpu.on_device(asked, device)
        return gpu.k_nearest(held, k, queries=others, block=block)[:2]
    if queries is None:
        return search_itself(rows, k, squares(len(rows), block), block=block)
    return search_for(asked, rows, k, block=block)


def k_nearest_and_farthest(
    vectors: npt.ArrayLike, k: int, *, block: int = BLOCK, device: torch.device | str = "cpu"
) -> tuple[Floats, Ints, Floats]:
    """Find the ``k`` nearest vectors of each vector, and its distance to the farthest one, in one pass.

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
    rows, _ = _checked(vectors, None, k, block)
    if gpu.used_for(device):
        return gpu.k_nearest(gpu.on_device(rows, device), k, block=block, farthest=True)
    farthest = np.zeros(len(rows), np.float32)
    found = search_itself(rows, k, squares(len(rows), block), block=block, farthest=farthest)
    return *found, farthest


def k_nearest_by_camera(
    vectors: npt.ArrayLike, cameras: Ints, own: int, others: int, *, device: torch.device | str = "cpu"
) -> tuple[Floats, Ints]:
    """Find for each vector the nearest of its own camera and the nearest of all other cameras, in one list.

    The two mix evenly along the list, so that any first part of it holds them in the same shares. Where a camera, or
    all others together, have too few images, the rest of the list is of the other side.

    Args:
        vectors: ``(N, D)``.
        cameras: ``(N,)``.
        own: How many of the own camera, the vector itself, which comes first, included; at least 1.
        others: How many of the other cameras.
        device: As in `k_nearest`.

    Returns:
        Squared Euclidean distances ``(N, own + others)`` float32 and ids ``(N, own + others)`` int64, rows of
        ``vectors``. Distances do not ascend.

    Raises:
        DataError: There are fewer than ``own + others`` vectors, or what `k_nearest` raises.

    References:
        The camera-aware neighbors of Chen et al., "CA-Jaccard: camera-aware Jaccard distance for person
            re-identification", CVPR 2024.
    """
    rows, _ = _checked(vectors, None, own + others, block=1)
    distances, ids = np.empty((len(rows), own + others), np.float32), np.empty((len(rows), own + others), np.int64)
    for camera in np.unique(cameras):
        inside, outside = np.flatnonzero(cameras == camera), np.flatnonzero(cameras != camera)
        theirs = min(own + others - min(own, len(inside)), len(outside))
        mine = own + others - theirs
        places = np.concatenate([np.arange(mine) / mine, (np.arange(theirs) + 0.5) / max(1, theirs)])
        order = np.argsort(places, kind="stable")
        near = np.zeros((len(inside), 1), np.float32), np.zeros((len(inside), 1), np.int64)
        if len(inside) > 1:
            near = k_nearest(rows[inside], mine, device=device)
        far = np.empty((len(inside), 0), np.float32), np.empty((len(inside), 0), np.int64)
        if theirs:
            far = k_nearest(rows[outside], theirs, queries=rows[inside], device=device)
        distances[inside] = np.concatenate([near[0], far[0]], axis=1)[:, order]
        ids[inside] = np.concatenate([inside[near[1]], outside[far[1]]], axis=1)[:, order]
    return distances, ids


def farthest_distances(vectors: npt.ArrayLike, *, block: int = BLOCK, device: torch.device | str = "cpu") -> Floats:
    """Give each vector's squared Euclidean distance to the vector farthest from it.

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


def _checked(vectors: npt.ArrayLike, queries: npt.ArrayLike | None, k: int, block: int) -> tuple[Floats, Floats]:
    rows = as_vectors(vectors)
    least = 1 if queries is not None else 2
    if len(rows) < least:
        raise DataError(f"a search needs at least {least} vector{'s' * (least > 1)}, found {len(rows)}")
    asked = rows if queries is None else as_vectors(queries, "queries")
    if asked.shape[1] != rows.shape[1]:
        raise DataError(f"queries and vectors must have the same dimension, found {asked.shape[1]} and {rows.shape[1]}")
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    if block < 1:
        raise DataError(f"block must be at least 1, found {block}")
    return rows, asked


# -- others search -----------------------------------------------------------------------------------------------------


def search_for(
    asked: Floats, rows: Floats, k: int, *, block: int = BLOCK, own: Ints | None = None
) -> tuple[Floats, Ints]:
    """Search ``(N, D)`` rows for ``(Q, D)`` others, or for the rows ``own`` of them, all checked before."""
    distances, ids = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
    lengths = squared_lengths(rows)
    slack = _slack(squared_lengths(asked), lengths.max(), rows.shape[1])
    own = np.full(len(asked), -1) if own is None else own
    step = max(1, min(block, BLOCK_ENTRIES // len(rows)))
    for low in range(0, len(asked), step):
        part = slice(low, low + step)
        approximate = block_distances(asked[part], rows, lengths)
        select_nearest(approximate, slack[part], asked[part], rows, own[part], distances[part], ids[part])
    return distances, ids


def _slack(lengths: Floats, longest: float, dim: int) -> Floats:
    """Bound how far off a squared distance from a float32 product is, for vectors of such squared lengths."""
    # The worst case of a product of D terms and three additions, twice over for the two ends of a pair.
    bound: Floats = (2 * (dim + 8) * 2.0**-24 * (lengths + longest)).astype(np.float32)
    return bound


# -- vectors search themselves -----------------------------------------------------------------------------------------

Tile = tuple[Ints, Ints, bool]
"""Which vectors look for neighbors among which others, rows ascending, and whether the others look at them too."""


def search_itself(
    rows: Floats,
    k: int,
    tiles: Iterable[Tile],
    *,
    block: int = BLOCK,
    farthest: Floats | None = None,
    coarse: bool | None = None,
) -> tuple[Floats, Ints]:
    """Search vectors among themselves, each among those that it looks at.

    Args:
        rows: ``(N, D)``, checked before.
        k: How many to find, the vector itself first.
        tiles: Who looks at whom, nobody twice; a vector that looks at too few is then compared with all.
        block: Rows to handle at once where tiles do not say.
        farthest: ``(N,)``, raised to the largest distance of each vector in its tiles, to float32 rounding; the product
            is not coarse then.
        coarse: Whether the product is in bfloat16; by default where the processor multiplies in it.

    Returns:
        As `k_nearest`.
    """
    size, room = len(rows), max(ROOM, 4 * k)
    values, candidates = np.empty((size, room), np.float32), np.empty((size, room), np.int32)
    counts, limits = np.zeros(size, np.int64), np.full(size, np.inf, np.float32)
    factor: Tensor | Floats = rows
    if farthest is None and (cpu_has_bfloat16() if coarse is None else coarse):
        factor, lengths, slack = _coarse(rows, block)
    else:
        lengths = squared_lengths(rows)
        slack = _slack(lengths, lengths.max(), rows.shape[1])
    for these, those, dots in _products(factor, tiles):
        offer_nearest(dots, these, those, lengths, slack, k - 1, values, candidates, counts, limits)
        if farthest is not None:
            raise_farthest(dots, these, those, lengths, farthest)
    distances, ids = np.empty((size, k), np.float32), np.empty((size, k), np.int64)
    counts[counts < k - 1] = -1
    measure_held(rows, np.arange(size), candidates, counts, distances, ids)
    unsure = np.flatnonzero(counts < 0)
    if len(unsure):
        distances[unsure], ids[unsure] = search_for(rows[unsure], rows, k, block=block, own=unsure)
    return distances, ids


def squares(size: int, block: int) -> Iterator[Tile]:
    """Cut all pairs of ``size`` vectors into tiles, those below the diagonal left out."""
    rows = np.arange(size)
    for top in range(0, size, block):
        for left in range(top, size, block):
            yield rows[top : top + block], rows[left : left + block], left > top


def _products(factor: Tensor | Floats, tiles: Iterable[Tile]) -> Iterator[tuple[Ints, Ints, Floats]]:
    """Give the products of each tile, ``(A, B)`` float32, and then of the tile turned, where both sides look."""
    for these, those, both in tiles:
        dots = _part(factor, these) @ _part(factor, those).T
        if isinstance(dots, Tensor):
            dots = dots.float().numpy()
        yield these, those, dots
        if both:
            yield those, these, np.ascontiguousarray(dots.T)


def _part(factor: Tensor | Floats, rows: Ints) -> Tensor | Floats:
    first, last = int(rows[0]), int(rows[-1])
    if last - first == len(rows) - 1:  # they follow each other: no copy
        return factor[first : last + 1]
    return factor.index_select(0, torch.from_numpy(rows)) if isinstance(factor, Tensor) else factor[rows]


def _coarse(rows: Floats, block: int) -> tuple[Tensor, Floats, Floats]:
    """Round vectors to bfloat16 for a product of half the cost.

    They are centered first, which changes no distance and makes the roundings smaller.

    Args:
        rows: ``(N, D)``.
        block: Rows to handle at once.

    Returns:
        The centered vectors, rounded, ``(N, D)``; the squared lengths ``(N,)`` of the centered ones; and a bound
        ``(N,)`` of how far off a squared distance is that is made of these.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    factor = torch.empty(rows.shape, dtype=torch.bfloat16)
    lengths, lost = np.empty(len(rows)), np.empty(len(rows))
    for low in range(0, len(rows), block):
        part = slice(low, low + block)
        centered = rows[part] - mean
        factor[part] = torch.from_numpy(centered)
        lengths[part] = np.sqrt(np.einsum("nd,nd->n", centered, centered))
        centered -= factor[part].double().numpy()
        lost[part] = np.sqrt(np.einsum("nd,nd->n", centered, centered))
    longest = lengths.max()
    # a b - a' b' = a (b - b') + (a - a') b', each at most a product of lengths (Cauchy-Schwarz); a' is no longer than
    # a and what it lost. Then the sum of D products in float32, and its rounding to the 8 bits of a bfloat16.
    whole = lengths + lost
    product: Doubles = lengths * lost.max() + lost * whole.max()
    product += (2.0**-9 + (rows.shape[1] + 8) * 2.0**-24) * whole * whole.max()
    slack = 2 * product + 8 * 2.0**-24 * (lengths**2 + longest**2)
    return factor, (lengths**2).astype(np.float32), slack.astype(np.float32)
