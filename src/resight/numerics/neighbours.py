"""Exact nearest neighbours, block by block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.numerics.distances import as_vectors, block_distances, squared_lengths
from resight.numerics.kernels import select_nearest
from resight.records import Floats, Ints

BLOCK_ENTRIES = 2**26
"""The most distances held at once (256 MiB of float32), whatever the block of rows asked for."""


def k_nearest(
    vectors: npt.ArrayLike, k: int, *, queries: npt.ArrayLike | None = None, block: int = 2048
) -> tuple[Floats, Ints]:
    """Find the ``k`` nearest vectors of each query, exactly.

    A blockwise float32 matrix product proposes every row that may be among the nearest, within the bound of
    its own rounding; the distances of those are then measured from the vectors in float64 and rounded once.
    The result is therefore the same for every block size, number of threads and linear algebra library, and
    equal vectors are at distance exactly 0. Ties ascend by id. Memory is ``block * N`` numbers, never ``N *
    N``.

    Args:
        vectors: ``(N, D)`` the rows that are searched.
        k: How many to find, ``1..N``.
        queries: ``(Q, D)`` the rows to search for; ``vectors`` themselves by default, and then each row's
            first neighbour is itself, before any duplicate of it.
        block: Queries to handle at once, at most.

    Returns:
        Squared Euclidean distances ``(Q, k)`` float32, ascending along each row, and ids ``(Q, k)`` int64,
        rows of ``vectors``.

    Raises:
        DataError: No vectors (or one alone that is to search itself), ``k`` or ``block`` out of range, dimensions
            that differ, or values that are not finite.
    """
    distances, ids, _ = search(vectors, k, queries=queries, block=block)
    return distances, ids


def search(
    vectors: npt.ArrayLike, k: int, *, queries: npt.ArrayLike | None = None, block: int = 2048
) -> tuple[Floats, Ints, Floats]:
    """Find the ``k`` nearest vectors of each query, and its distance to the farthest one, in one pass.

    Args:
        vectors: As in `k_nearest`.
        k: As in `k_nearest`.
        queries: As in `k_nearest`.
        block: As in `k_nearest`.

    Returns:
        The distances and ids of `k_nearest`, and ``(Q,)`` float32, the largest squared distance of each query
        (to float32 rounding of the squared lengths).

    Raises:
        DataError: As in `k_nearest`.
    """
    rows, asked = _checked(vectors, queries)
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    distances = np.empty((len(asked), k), np.float32)
    ids = np.empty((len(asked), k), np.int64)
    farthest = np.empty(len(asked), np.float32)
    lengths = squared_lengths(rows)
    # The worst case of a float32 product of D terms and three additions, twice over for the two ends of a
    # pair.
    rounding = 2 * (rows.shape[1] + 8) * 2.0**-24
    for low, high, approximate in _blocks(asked, rows, lengths, block):
        farthest[low:high] = approximate.max(axis=1)
        part = asked[low:high]
        slack = (rounding * (squared_lengths(part) + lengths.max())).astype(np.float32)
        own = low if queries is None else -1
        select_nearest(approximate, slack, part, rows, own, distances[low:high], ids[low:high])
    return distances, ids, np.maximum(farthest, 0)


def farthest_distances(vectors: npt.ArrayLike, *, queries: npt.ArrayLike | None = None, block: int = 2048) -> Floats:
    """Give each query's squared Euclidean distance to the vector farthest from it.

    Args:
        vectors: ``(N, D)`` the rows that are searched.
        queries: ``(Q, D)``; ``vectors`` themselves by default.
        block: Queries to handle at once, at most.

    Returns:
        ``(Q,)`` float32, to float32 rounding of the squared lengths.

    Raises:
        DataError: As in `k_nearest`.
    """
    rows, asked = _checked(vectors, queries)
    farthest = np.empty(len(asked), np.float32)
    for low, high, approximate in _blocks(asked, rows, squared_lengths(rows), block):
        farthest[low:high] = approximate.max(axis=1)
    return np.maximum(farthest, 0)


def _checked(vectors: npt.ArrayLike, queries: npt.ArrayLike | None) -> tuple[Floats, Floats]:
    rows = as_vectors(vectors)
    least = 1 if queries is not None else 2
    if len(rows) < least:
        raise DataError(f"a search needs at least {least} vector{'s' * (least > 1)}, found {len(rows)}")
    asked = rows if queries is None else as_vectors(queries, "queries")
    if asked.shape[1] != rows.shape[1]:
        raise DataError(f"queries and vectors must have the same dimension, found {asked.shape[1]} and {rows.shape[1]}")
    return rows, asked


def _blocks(asked: Floats, rows: Floats, lengths: Floats, block: int) -> Iterator[tuple[int, int, Floats]]:
    if block < 1:
        raise DataError(f"block must be at least 1, found {block}")
    step = max(1, min(block, BLOCK_ENTRIES // len(rows)))
    for low in range(0, len(asked), step):
        high = min(low + step, len(asked))
        yield low, high, block_distances(asked[low:high], rows, lengths)
