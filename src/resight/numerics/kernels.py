"""The compiled loops of the numerics: numba kernels over plain arrays.

Each kernel states in its docstring the plain numpy expression that it equals. ``tests/reference`` has that
expression, and the tests compare the two. Results never depend on the number of threads: a parallel loop runs over
rows (or over fixed chunks of rows), and no row reads what another one writes.

Kernels check nothing. The public functions that call them check shapes, types and ranges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import prange

from resight.numerics.compiled import njit
from resight.records import Floats, Ints

Columns = npt.NDArray[np.int32]

SPAN = 64
"""Columns of a row to test together first: most such spans hold no candidate."""


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def squared_distance(a: Floats, b: Floats) -> float:
    """Compute ``((a.astype(float) - b) ** 2).sum()``; exactly 0 for equal rows."""
    total = 0.0
    for i in range(len(a)):
        difference = np.float64(a[i]) - np.float64(b[i])
        total += difference * difference
    return total


@njit(cache=True)
def _kth_smallest(row: Floats, k: int, skip: int) -> float:
    heap = np.full(k, np.inf, np.float32)  # a max-heap of the k smallest so far
    for j in range(len(row)):
        value = row[j]
        if value < heap[0] and j != skip:
            parent = 0
            while 2 * parent + 1 < k:
                child = 2 * parent + 1
                if child + 1 < k and heap[child + 1] > heap[child]:
                    child += 1
                if heap[child] <= value:
                    break
                heap[parent] = heap[child]
                parent = child
            heap[parent] = value
    return float(heap[0])


@njit(cache=True, parallel=True)
def select_nearest(
    approximate: Floats,
    slack: Floats,
    queries: Floats,
    vectors: Floats,
    own_rows: Ints,
    distances: Floats,
    ids: Ints,
) -> None:
    """Fill ``(B, k)`` exact distances and ids from ``(B, N)`` approximate squared distances.

    An approximate value is off by at most ``slack``. Every vector that may therefore be among the ``k`` nearest is
    measured again. Equals ``np.lexsort((arange(N), exact))[:k]`` for each row, with the query's own row,
    ``own_rows[r]`` unless it is -1, put first.
    """
    for r in prange(len(approximate)):
        row = approximate[r]
        first = 0
        skip = own_rows[r]
        if skip >= 0:
            first = 1
            ids[r, 0] = skip
            distances[r, 0] = 0.0
        k = ids.shape[1] - first
        if k == 0:
            continue
        limit = _kth_smallest(row, k, skip) + 2.0 * slack[r]
        size = 0
        for j in range(len(row)):
            if row[j] <= limit:
                size += 1
        candidates = np.empty(size, np.int64)
        exact = np.empty(size, np.float32)
        size = 0
        for j in range(len(row)):
            if row[j] <= limit and j != skip:
                candidates[size] = j
                exact[size] = squared_distance(queries[r], vectors[j])
                size += 1
        # Candidates ascend by id, so a stable sort by distance leaves ties in that order.
        order = np.argsort(exact[:size], kind="mergesort")
        for a in range(k):
            ids[r, first + a] = candidates[order[a]]
            distances[r, first + a] = exact[order[a]]


@njit(cache=True)
def _narrow(values: Floats, ids: Columns, size: int, k: int, slack: float) -> tuple[int, float]:
    """Keep the candidates that may still be among the ``k`` nearest; return their number and the limit."""
    limit = np.float32(_kth_smallest(values[:size], k, -1) + 2.0 * slack)
    narrowed = 0
    for a in range(size):
        if values[a] <= limit:
            values[narrowed] = values[a]
            ids[narrowed] = ids[a]
            narrowed += 1
    return narrowed, float(limit)


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _any_within(dots: Floats, lengths: Floats, limit: float) -> bool:
    """Compute ``(~(lengths - 2 * dots > limit)).any()``. Counts are float32, of which processors add many at once."""
    count = np.float32(0)
    for c in range(len(dots)):
        count += np.float32(0) if lengths[c] - np.float32(2.0) * dots[c] > limit else np.float32(1)
    return bool(count > 0)


@njit(cache=True, parallel=True)
def offer_nearest(
    dots: Floats,
    rows: Ints,
    columns: Ints,
    lengths: Floats,
    slack: Floats,
    k: int,
    values: Floats,
    ids: Columns,
    counts: Ints,
    limits: Floats,
) -> None:
    """Offer the vectors ``columns`` to the vectors ``rows`` as candidates, given the dot products of both.

    The ``counts[i]`` candidates of vector ``i`` are in ``values`` and ``ids``. They are all vectors offered so far that
    may be among its ``k`` nearest others, if an approximate squared distance, ``lengths[i] + lengths[j] - 2 * dots``,
    is off by at most ``slack[i]``. A vector with more candidates than fit has a count of -1.
    """
    room = ids.shape[1]
    column_lengths = lengths[columns]
    for r in prange(len(rows)):
        i = rows[r]
        previous_size = counts[i]
        limit = limits[i]
        if previous_size < 0 or k == 0:
            continue
        size = previous_size
        for low in range(0, len(columns), SPAN):
            high = min(low + SPAN, len(columns))
            if not _any_within(dots[r, low:high], column_lengths[low:high], limit - lengths[i]):
                continue
            for c in range(low, high):
                value = lengths[i] + column_lengths[c] - np.float32(2.0) * dots[r, c]
                if value > limit or size < 0 or columns[c] == i:
                    continue
                if size == room:
                    size, limit = _narrow(values[i], ids[i], size, k, slack[i])
                    if 4 * size > 3 * room:
                        size = -1
                    if size < 0 or value > limit:
                        continue
                values[i, size] = value
                ids[i, size] = columns[c]
                size += 1
        if size > max(k, previous_size):
            size, limit = _narrow(values[i], ids[i], size, k, slack[i])
        counts[i] = size
        limits[i] = limit


@njit(cache=True, parallel=True)
def raise_farthest(dots: Floats, rows: Ints, columns: Ints, lengths: Floats, farthest: Floats) -> None:
    """Raise ``farthest`` of ``rows`` to their largest squared distance to ``columns``, given the dot products."""
    for r in prange(len(rows)):
        largest = farthest[rows[r]]
        for c in range(len(columns)):
            largest = max(largest, lengths[rows[r]] + lengths[columns[c]] - np.float32(2.0) * dots[r, c])
        farthest[rows[r]] = largest


@njit(cache=True, parallel=True)
def select_candidates(
    vectors: Floats, own_rows: Ints, candidates: Columns, counts: Ints, distances: Floats, ids: Ints
) -> None:
    """Fill ``(Q, k)`` exact distances and ids of the rows ``own_rows`` from their candidates, the row itself first.

    Rows with a count below 0 do not change. Equals ``np.lexsort((candidates, exact))`` for each row.
    """
    k = ids.shape[1] - 1
    for i in prange(len(own_rows)):
        if counts[i] < 0:
            continue
        near = np.sort(candidates[i, : counts[i]])
        exact = np.empty(len(near), np.float32)
        for a in range(len(near)):
            exact[a] = squared_distance(vectors[own_rows[i]], vectors[near[a]])
        # Candidates ascend by id, so a stable sort by distance leaves ties in that order.
        order = np.argsort(exact, kind="mergesort")
        ids[i, 0] = own_rows[i]
        distances[i, 0] = 0.0
        for a in range(k):
            ids[i, 1 + a] = near[order[a]]
            distances[i, 1 + a] = exact[order[a]]
