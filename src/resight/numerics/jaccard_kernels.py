"""The compiled loops of the Jaccard distance; the rules of `resight.numerics.kernels` hold here too."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from resight.numerics.compiled import njit
from resight.numerics.kernels import Columns, squared_distance
from resight.records import Doubles, Floats, Ints

CHUNK = 64
"""Fewest rows that share one scratch array. It does not depend on the number of threads, so neither do the results."""

CHUNKS = 1024
"""About the largest number of scratch arrays: each has one entry per row of the matrix, and must be cleared."""

PANEL = 2**15
"""Columns to sum up at once: their sums fit into the processor's cache (256 kB)."""

SPAN_BITS = 4
"""``2**SPAN_BITS`` columns share one mark that says whether a sum has touched them."""

RESOLUTION = 1e-6
"""Jaccard distances below this are 0: rounded float32 weights do not sum to exactly one."""


@njit(cache=True, parallel=True)
def mutual(ids: Columns, width: int) -> tuple[Columns, Ints]:
    """Return ``(N, width)`` mutual neighbors and their number in each row.

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


@njit(cache=True)
def _drop_zeros(columns: Columns, values: Floats) -> int:
    """Move the entries of a row above 0 to its front and return their number: a weight may underflow to 0."""
    size = 0
    for e in range(len(values)):
        if values[e] > 0.0:
            columns[size] = columns[e]
            values[size] = values[e]
            size += 1
    return size


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

    Row ``i`` starts at ``starts[i - low]`` of ``columns`` and ``values``; columns ascend. Its set equals
    ``R(i).union(*(H(j) for j in R(i) if len(H(j) & R(i)) > 2 / 3 * len(H(j))))``, R and H the full and half
    mutual neighbors, and ``d = squared_distance(i, j) * scales[i]``.
    """
    rows = len(starts)
    size = max(CHUNK, len(full) // CHUNKS)
    for chunk in prange((rows + size - 1) // size):
        # 2i marks a member of R(i), 2i + 1 an addition of the expansion. So one scratch array is never cleared.
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
            for a in range(end - start):
                values[start + a] = weights[a] / total
            counts[r] = _drop_zeros(columns[start:end], values[start:end])


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
    """Fill the rows ``low..`` of the local query expansion: row ``i`` equals ``V[ids[i, :k2]].mean(0)``."""
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
            for e in range(start, end):
                values[e] = total[columns[e]] / k2
                total[columns[e]] = 0.0
            counts[r] = _drop_zeros(columns[start:end], values[start:end])


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
    ``1 - t / (2 - t)`` with ``t = np.minimum(V[i], W[j]).sum()``, clipped at 0. Entries above ``limit`` are left out.
    The sum runs over ascending columns, so ``(i, j)`` and ``(j, i)`` are the same number.
    """
    rows = len(starts)
    for chunk in prange((rows + CHUNK - 1) // CHUNK):
        total = np.zeros(min(width, PANEL), np.float64)
        touched = np.zeros((len(total) >> SPAN_BITS) + 1, np.bool_)
        spans = np.empty(len(touched), np.int32)
        for r in range(chunk * CHUNK, min(rows, (chunk + 1) * CHUNK)):
            first = pointers[low + r]
            row = entries[first : pointers[low + r + 1]]
            nexts = column_pointers[row]
            end = starts[r]
            for left in range(0, width, PANEL):
                num_spans = 0
                for e in range(len(row)):
                    weight = weights[first + e]
                    f = nexts[e]
                    stop = column_pointers[row[e] + 1]
                    while f < stop and column_rows[f] - left < PANEL:
                        j = column_rows[f] - left
                        total[j] += min(weight, column_weights[f])
                        if not touched[j >> SPAN_BITS]:
                            touched[j >> SPAN_BITS] = True
                            spans[num_spans] = j >> SPAN_BITS
                            num_spans += 1
                        f += 1
                    nexts[e] = f
                spans[:num_spans].sort()
                for span in spans[:num_spans]:
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
    """Join the ``counts[r]`` entries from each ``starts[r]`` on."""
    ends = np.cumsum(counts)
    packed_columns = np.empty(ends[-1], np.int32)
    packed_values = np.empty(ends[-1], np.float32)
    for r in prange(len(starts)):
        low = ends[r] - counts[r]
        packed_columns[low : ends[r]] = columns[starts[r] : starts[r] + counts[r]]
        packed_values[low : ends[r]] = values[starts[r] : starts[r] + counts[r]]
    return packed_columns, packed_values
