"""The compiled loops of the numerics, numba kernels over plain arrays.

Each kernel says in its docstring the plain numpy text that it equals; ``tests/reference.py`` holds that text
and the tests compare the two. Results never depend on the number of threads: a parallel loop runs over rows
(or over fixed chunks of rows), and no row reads what another one writes.

Kernels check nothing: shapes, types and ranges are the duty of the public functions that call them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import prange

from resight.numerics.compiled import njit
from resight.records import Doubles, Floats, Ints

Columns = npt.NDArray[np.int32]

CHUNK = 64
"""Rows that share one scratch array, at least; the same for every number of threads, so that the work is cut alike."""

CHUNKS = 1024
"""Scratch arrays are cleared about so often at most: each is as long as there are rows."""

SPAN = 64
"""Columns of a row that are looked at together first: most hold no candidate."""

PANEL = 2**15
"""Columns whose sums are held at once, in the processor's cache (256 kB)."""

SPAN_BITS = 4
"""``2**SPAN_BITS`` columns share one mark of having been touched."""

RESOLUTION = 1e-6
"""Jaccard distances below this are 0: rounded float32 weights do not sum to exactly one."""


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
    own: Ints,
    distances: Floats,
    ids: Ints,
) -> None:
    """Fill ``(B, k)`` exact distances and ids from ``(B, N)`` approximate squared distances.

    Everything that may be among the ``k`` nearest, given that an approximate value is off by ``slack`` at
    most, is measured again from the vectors. Equals ``np.lexsort((arange(N), exact))[:k]`` for each row, with
    the query's own row, ``own[r]`` where it is not -1, put first.
    """
    for r in prange(len(approximate)):
        row = approximate[r]
        first = 0
        skip = own[r]
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
    """Keep the candidates that may still be among the ``k`` nearest; give their number and the limit."""
    limit = np.float32(_kth_smallest(values[:size], k, -1) + 2.0 * slack)
    kept = 0
    for a in range(size):
        if values[a] <= limit:
            values[kept] = values[a]
            ids[kept] = ids[a]
            kept += 1
    return kept, float(limit)


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _any_within(dots: Floats, lengths: Floats, limit: float) -> bool:
    """Compute ``(~(lengths - 2 * dots > limit)).any()``, in float32, of which a processor counts many at a time."""
    found = np.float32(0)
    for c in range(len(dots)):
        found += np.float32(0) if lengths[c] - np.float32(2.0) * dots[c] > limit else np.float32(1)
    return bool(found > 0)


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
    """Let the vectors ``columns`` be candidates of the vectors ``rows``, given the products of the ones and the others.

    A row holds what may be among its ``k`` nearest others, as far as it has seen, given that an approximate
    squared distance, ``lengths[i] + lengths[j] - 2 * dots``, is off by ``slack[i]`` at most: its ``counts[i]``
    candidates in ``values`` and ``ids``. One with more of them than there is room for has a count of -1.
    """
    room = ids.shape[1]
    near = lengths[columns]
    for r in prange(len(rows)):
        i = rows[r]
        before = counts[i]
        limit = limits[i]
        if before < 0 or k == 0:
            continue
        size = before
        for low in range(0, len(columns), SPAN):
            high = min(low + SPAN, len(columns))
            if not _any_within(dots[r, low:high], near[low:high], limit - lengths[i]):
                continue
            for c in range(low, high):
                value = lengths[i] + near[c] - np.float32(2.0) * dots[r, c]
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
        if size > max(k, before):
            size, limit = _narrow(values[i], ids[i], size, k, slack[i])
        counts[i] = size
        limits[i] = limit


@njit(cache=True, parallel=True)
def raise_farthest(dots: Floats, rows: Ints, columns: Ints, lengths: Floats, farthest: Floats) -> None:
    """Raise ``farthest`` of ``rows`` to their largest squared distance to one of ``columns``, from the products."""
    for r in prange(len(rows)):
        most = farthest[rows[r]]
        for c in range(len(columns)):
            most = max(most, lengths[rows[r]] + lengths[columns[c]] - np.float32(2.0) * dots[r, c])
        farthest[rows[r]] = most


@njit(cache=True, parallel=True)
def measure_held(vectors: Floats, own: Ints, candidates: Columns, counts: Ints, distances: Floats, ids: Ints) -> None:
    """Fill ``(Q, k)`` exact distances and ids of the rows ``own`` from their candidates, the row itself first.

    Rows with a count below 0 are left as they are. Equals ``np.lexsort((candidates, exact))`` for each row.
    """
    k = ids.shape[1] - 1
    for i in prange(len(own)):
        if counts[i] < 0:
            continue
        near = np.sort(candidates[i, : counts[i]])
        exact = np.empty(len(near), np.float32)
        for a in range(len(near)):
            exact[a] = squared_distance(vectors[own[i]], vectors[near[a]])
        # Candidates ascend by id, so a stable sort by distance leaves ties in that order.
        order = np.argsort(exact, kind="mergesort")
        ids[i, 0] = own[i]
        distances[i, 0] = 0.0
        for a in range(k):
            ids[i, 1 + a] = near[order[a]]
            distances[i, 1 + a] = exact[order[a]]


@njit(cache=True, parallel=True)
def mutual(ids: Columns, width: int) -> tuple[Columns, Ints]:
    """Give ``(N, width)`` mutual neighbors and how many of them each row has.

    Row ``i`` equals ``[j for j in ids[i, :width] if i in ids[j, :width]]``.
    """
    members = np.zeros((len(ids), width), np.int32)
    counts = np.zeros(len(ids), np.int64)
    for i in prange(len(ids)):
        size = 0
        for a in range(width):
            j = ids[i, a]
            for b in range(width):
                if ids[j, b] == i:
                    members[i, size] = j
                    size += 1
                    break
        counts[i] = size
    return members, counts


@njit(cache=True, parallel=True)
def neighbor_weights(
    full: Columns,
    full_counts: Ints,
    half: Columns,
    half_counts: Ints,
    vectors: Floats,
    scales: Doubles,
    low: int,
    starts: Ints,
    columns: Columns,
    values: Floats,
    counts: Ints,
) -> None:
    """Fill the rows ``low..`` of V: the expanded mutual neighbors and ``exp(-d) / sum`` for each.

    Row ``i`` goes to ``columns``, ``values`` from ``starts[i - low]`` on, columns ascending. Its set equals
    ``R(i).union(*(H(j) for j in R(i) if len(H(j) & R(i)) > 2 / 3 * len(H(j))))``, R and H the full and half
    mutual neighbors, and ``d = squared_distance(i, j) * scales[i]``.
    """
    rows = len(starts)
    size = max(CHUNK, len(full) // CHUNKS)
    for chunk in prange((rows + size - 1) // size):
        # 2i marks a member of R(i), 2i + 1 what the expansion adds: one scratch array, never cleared.
        mark = np.full(len(full), -1, np.int64)
        for r in range(chunk * size, min(rows, (chunk + 1) * size)):
            i = low + r
            start = starts[r]
            end = start
            for a in range(full_counts[i]):
                mark[full[i, a]] = 2 * i
                columns[end] = full[i, a]
                end += 1
            for a in range(full_counts[i]):
                j = full[i, a]
                common = 0
                for b in range(half_counts[j]):
                    if mark[half[j, b]] == 2 * i:
                        common += 1
                if 3 * common > 2 * half_counts[j]:
                    for b in range(half_counts[j]):
                        m = half[j, b]
                        if mark[m] < 2 * i:
                            mark[m] = 2 * i + 1
                            columns[end] = m
                            end += 1
            columns[start:end].sort()
            weights = np.empty(end - start, np.float64)
            total = 0.0
            for a in range(end - start):
                distance = squared_distance(vectors[i], vectors[columns[start + a]])
                weights[a] = math.exp(-distance * scales[i])
                total += weights[a]
            kept = start
            for a in range(end - start):
                value = np.float32(weights[a] / total)
                if value > 0.0:  # a weight may underflow; what is stored is never 0
                    columns[kept] = columns[start + a]
                    values[kept] = value
                    kept += 1
            counts[r] = kept - start


@njit(cache=True, parallel=True)
def mean_rows(
    pointers: Ints,
    entries: Columns,
    weights: Floats,
    ids: Columns,
    k2: int,
    low: int,
    starts: Ints,
    columns: Columns,
    values: Floats,
    counts: Ints,
) -> None:
    """Fill the rows ``low..`` of the local query expansion; row ``i`` equals ``V[ids[i, :k2]].mean(0)``."""
    rows = len(starts)
    size = max(CHUNK, len(ids) // CHUNKS)
    for chunk in prange((rows + size - 1) // size):
        total = np.zeros(len(ids), np.float64)
        for r in range(chunk * size, min(rows, (chunk + 1) * size)):
            start = starts[r]
            end = start
            for a in range(k2):
                j = ids[low + r, a]
                for e in range(pointers[j], pointers[j + 1]):
                    if total[entries[e]] == 0.0:
                        columns[end] = entries[e]
                        end += 1
                    total[entries[e]] += weights[e]
            columns[start:end].sort()
            kept = start
            for e in range(start, end):
                column = columns[e]
                value = np.float32(total[column] / k2)
                total[column] = 0.0
                if value > 0.0:
                    columns[kept] = column
                    values[kept] = value
                    kept += 1
            counts[r] = kept - start


@njit(cache=True, parallel=True)
def jaccard_rows(
    pointers: Ints,
    entries: Columns,
    weights: Floats,
    column_pointers: Ints,
    column_rows: Columns,
    column_weights: Floats,
    width: int,
    limit: float,
    low: int,
    starts: Ints,
    columns: Columns,
    values: Floats,
    counts: Ints,
) -> None:
    """Fill the rows ``low..`` of the Jaccard distances below 1 between the rows of two sparse matrices.

    The left matrix is given by rows, the right one, of ``width`` rows, by columns. Entry ``(i, j)`` equals
    ``1 - t / (2 - t)`` with ``t = np.minimum(V[i], W[j]).sum()``, clipped at 0; those above ``limit`` are left out.
    The sum runs over ascending columns, so ``(i, j)`` and ``(j, i)`` are the same number.
    """
    rows = len(starts)
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        total = np.zeros(min(width, PANEL), np.float64)
        touched = np.zeros((len(total) >> SPAN_BITS) + 1, np.bool_)
        spans = np.empty(len(touched), np.int32)
        for r in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            first = pointers[low + r]
            own = entries[first : pointers[low + r + 1]]
            nexts = column_pointers[own]
            end = starts[r]
            for left in range(0, width, PANEL):
                many = 0
                for e in range(len(own)):
                    weight = weights[first + e]
                    f = nexts[e]
                    stop = column_pointers[own[e] + 1]
                    while f < stop and column_rows[f] - left < PANEL:
                        j = column_rows[f] - left
                        total[j] += min(weight, column_weights[f])
                        if not touched[j >> SPAN_BITS]:
                            touched[j >> SPAN_BITS] = True
                            spans[many] = j >> SPAN_BITS
                            many += 1
                        f += 1
                    nexts[e] = f
                spans[:many].sort()
                for span in spans[:many]:
                    touched[span] = False
                    for j in range(span << SPAN_BITS, min(len(total), (span + 1) << SPAN_BITS)):
                        if total[j] == 0.0:
                            continue
                        value = np.float32(1.0 - total[j] / (2.0 - total[j]))
                        total[j] = 0.0
                        if value < 1.0 and value <= limit:
                            columns[end] = left + j
                            values[end] = value if value >= RESOLUTION else np.float32(0.0)
                            end += 1
            counts[r] = end - starts[r]


@njit(cache=True, parallel=True)
def pack_rows(starts: Ints, counts: Ints, columns: Columns, values: Floats) -> tuple[Columns, Floats]:
    """Give the first ``counts[r]`` entries from each ``starts[r]``, joined."""
    ends = np.cumsum(counts)
    packed_columns = np.empty(ends[-1], np.int32)
    packed_values = np.empty(ends[-1], np.float32)
    for r in prange(len(starts)):
        low = ends[r] - counts[r]
        packed_columns[low : ends[r]] = columns[starts[r] : starts[r] + counts[r]]
        packed_values[low : ends[r]] = values[starts[r] : starts[r] + counts[r]]
    return packed_columns, packed_values
