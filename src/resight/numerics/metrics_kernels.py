"""The compiled loops of `resight.numerics.metrics`; the rules of `resight.numerics.kernels` hold here too."""

from __future__ import annotations

import numpy as np
from numba import prange

from resight.numerics.compiled import njit
from resight.records import Floats, Ints, Mask

FEW = 128
"""Up to this many positives, one pass over the row per positive ranks them faster than bisection."""


@njit(cache=True, parallel=True)
def count_positives(
    query_cameras: Ints, groups: Ints, pointers: Ints, members: Ints, gallery_cameras: Ints, same_camera: bool
) -> Ints:
    """Count the positives of each query.

    ``groups[q]`` is the query's group of gallery rows, ``members[pointers[g]:pointers[g + 1]]``, or -1. With
    ``same_camera``, rows of the query's own (known) camera do not count.
    """
    counts = np.zeros(len(groups), np.int64)
    for q in prange(len(groups)):
        if groups[q] >= 0:
            for a in range(pointers[groups[q]], pointers[groups[q] + 1]):
                camera = gallery_cameras[members[a]]
                if not (same_camera and camera >= 0 and camera == query_cameras[q]):
                    counts[q] += 1
    return counts


@njit(cache=True, parallel=True)
def rank_positives(
    distances: Floats,
    query_cameras: Ints,
    groups: Ints,
    pointers: Ints,
    members: Ints,
    gallery_cameras: Ints,
    same_camera: bool,
    junk: Ints,
    offsets: Ints,
    ranks: Ints,
) -> Mask:
    """Fill the ranks of each query's positives, ascending, and return which rows hold nan.

    A rank equals ``((row < d) | ((row == d) & (arange(G) < p))).sum()`` over the valid gallery rows, for the
    positive ``p`` at distance ``d``. Counting costs far less than sorting the row.
    """
    has_nan = np.zeros(len(groups), np.bool_)
    for q in prange(len(groups)):
        row = distances[q].copy()
        has_nan[q] = _count_not_above(row, np.inf) < len(row)
        if offsets[q] == offsets[q + 1]:
            continue
        # nan is never closer than anything: it takes invalid rows out of every count below.
        for a in range(len(junk)):
            row[junk[a]] = np.nan
        positives = np.empty(offsets[q + 1] - offsets[q], np.int64)
        size = 0
        for a in range(pointers[groups[q]], pointers[groups[q] + 1]):
            p = members[a]
            if same_camera and gallery_cameras[p] >= 0 and gallery_cameras[p] == query_cameras[q]:
                row[p] = np.nan
            else:
                positives[size] = p
                size += 1
        # _rank_by_passes needs a next larger number, which an infinite distance does not have.
        if size <= FEW and not np.isinf(row[positives]).any():
            _rank_by_passes(row, positives, ranks[offsets[q] : offsets[q + 1]])
        else:
            _rank_by_bisection(row, positives, ranks[offsets[q] : offsets[q + 1]])
    return has_nan


@njit(cache=True)
def _count_not_above(row: Floats, limit: float) -> int:
    """Compute ``(row <= limit).sum()``."""
    count = 0
    for g in range(len(row)):
        count += row[g] <= limit
    return count


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _count_below_four(row: Floats, a: float, b: float, c: float, d: float) -> tuple[int, int, int, int]:
    """Compute ``(row < limit).sum()`` for four limits.

    One pass over the row serves all four. Counts are float32, because a vector register holds twice as many of them as
    of integers. They are exact up to 2^24, and rows are no longer than that.
    """
    w = x = y = z = np.float32(0)
    one, zero = np.float32(1), np.float32(0)
    for g in range(len(row)):
        value = row[g]
        w += one if value < a else zero
        x += one if value < b else zero
        y += one if value < c else zero
        z += one if value < d else zero
    return int(w), int(x), int(y), int(z)


@njit(cache=True)
def _rank_by_passes(row: Floats, positives: Ints, ranks: Ints) -> None:
    """Rank ascending positives by passes over the row, four at a time.

    Of items at a positive's own distance, those before it are closer and those behind it are not. The positives cut the
    row into stretches, and each stretch has its own limits: "not above a number" is "below the next larger number".
    """
    limits = np.empty(4, np.float32)
    for first in range(0, len(positives), 4):
        batch = min(4, len(positives) - first)
        ranks[first : first + batch] = 0
        start = 0
        for stretch in range(batch + 1):
            stop = positives[first + stretch] if stretch < batch else len(row)
            for a in range(4):
                # Nothing is below -inf, so it fills up a batch of fewer than four.
                limits[a] = row[positives[first + a]] if a < batch else -np.inf
                if stretch <= a < batch:
                    limits[a] = np.nextafter(limits[a], np.float32(np.inf))
            for low in range(start, stop, 2**24):
                part = row[low : min(low + 2**24, stop)]
                counts = _count_below_four(part, limits[0], limits[1], limits[2], limits[3])
                for a in range(batch):
                    ranks[first + a] += counts[a]
            start = stop
    ranks.sort()


@njit(cache=True)
def _rank_by_bisection(row: Floats, positives: Ints, ranks: Ints) -> None:
    """Rank many positives in one pass: a bisection among the sorted positives finds the slot of each item."""
    order = np.argsort(row[positives], kind="mergesort")
    sorted_positives = positives[order]
    limits = row[sorted_positives]
    closer = np.zeros(len(sorted_positives) + 1, np.int64)
    for g in range(len(row)):
        if row[g] != row[g]:
            continue
        low = 0
        high = len(sorted_positives)
        while low < high:
            middle = (low + high) // 2
            if limits[middle] < row[g] or (limits[middle] == row[g] and sorted_positives[middle] <= g):
                low = middle + 1
            else:
                high = middle
        closer[low] += 1  # a positive lands behind itself, and so does not count itself
    total = 0
    for a in range(len(sorted_positives)):
        total += closer[a]
        ranks[a] = total
