"""Retrieval scores from the ranks of the positives, counted and never sorted.

Average precision, the inverse negative penalty and the matching curve need one thing of each query: at which
rank each of its positives stands. `positive_ranks` counts the valid gallery items that are closer than each,
so a gallery is never sorted, and a large evaluation runs in blocks of queries:

>>> parts = [positive_ranks(distances, ...) for distances in blocks]  # doctest: +SKIP
>>> ranks, offsets = join_ranks(parts)  # doctest: +SKIP

References:
    Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015 (the protocol);
    Ye et al., "Deep learning for person re-identification: a survey and outlook", TPAMI 2021 (mINP).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

import numpy as np
import numpy.typing as npt
from numba import prange

from resight.arrays import id_column, real_numbers
from resight.errors import ConfigError, DataError
from resight.numerics.compiled import njit
from resight.numerics.distances import read_only
from resight.records import EXCLUSIONS, UNKNOWN, Doubles, Exclude, Floats, Ints, Mask

if TYPE_CHECKING:
    from torch import Tensor

PrecisionVariant = Literal["step", "trapezoid"]

FEW = 128
"""Up to this many positives, a pass over the row for each of them is the faster way to rank them."""


def positive_ranks(
    distances: npt.ArrayLike | Tensor,
    query_people: npt.ArrayLike,
    query_cameras: npt.ArrayLike,
    gallery_people: npt.ArrayLike,
    gallery_cameras: npt.ArrayLike,
    *,
    exclude: Exclude = "same-camera",
    distractor_id: int | None = 0,
) -> tuple[Ints, Ints]:
    """Give the rank of every positive of every query among its valid gallery items.

    Junk (person -1) is never valid. Under ``"same-camera"`` the images of the query's person by the query's
    camera are not valid either; an unknown camera, -1, is never the same. What is valid and not a positive is
    a negative. Ties ascend by gallery row.

    Args:
        distances: ``(Q, G)`` float32, smaller is closer; a block of queries at a time is enough. A tensor is ranked
            on its device.
        query_people: ``(Q,)`` person ids; an unknown one, -1, has no positives.
        query_cameras: ``(Q,)`` camera ids, -1 unknown.
        gallery_people: ``(G,)`` person ids, -1 junk.
        gallery_cameras: ``(G,)`` camera ids, -1 unknown.
        exclude: ``"same-camera"`` or ``"none"`` (only junk is removed).
        distractor_id: The person id that means "nobody of the queries" (0 in Market-1501): never a positive,
            always a negative. None where every id from 0 up is a person.

    Returns:
        Ranks from 0, flat int64, ascending for each query, and offsets ``(Q + 1,)`` int64: query q owns
        ``ranks[offsets[q]:offsets[q + 1]]``.

    Raises:
        DataError: Shapes disagree, or a distance is nan.
        ConfigError: `exclude` is not known.
    """
    if exclude not in EXCLUSIONS:
        raise ConfigError(f"exclude must be one of {', '.join(EXCLUSIONS)}, found '{exclude}'")
    matrix = distances if _is_tensor(distances) else np.ascontiguousarray(real_numbers(distances, "distances"))
    if matrix.ndim != 2:
        raise DataError(f"distances must have shape (Q, G), found {tuple(matrix.shape)}")
    columns = []
    for name, values, size in (
        ("query_people", query_people, matrix.shape[0]),
        ("query_cameras", query_cameras, matrix.shape[0]),
        ("gallery_people", gallery_people, matrix.shape[1]),
        ("gallery_cameras", gallery_cameras, matrix.shape[1]),
    ):
        columns.append(id_column(values, name, size).copy())
    same = exclude == "same-camera"
    if _is_tensor(matrix):
        from resight.numerics import gpu

        ranks, offsets, broken = gpu.positive_ranks(matrix, *columns, same=same, distractor_id=distractor_id)
    else:
        assert isinstance(matrix, np.ndarray)
        ranks, offsets, broken = _positive_ranks(read_only(matrix), *columns, same=same, distractor_id=distractor_id)
    if broken.any():
        raise DataError(f"the distances of query {int(broken.argmax())} hold nan: check the vectors behind them")
    return ranks, offsets


def _is_tensor(values: Any) -> TypeGuard[Tensor]:
    # Who has a tensor has loaded torch; an array is ranked in less time than that takes.
    return "torch" in sys.modules and isinstance(values, sys.modules["torch"].Tensor)


def join_ranks(parts: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Join what `positive_ranks` gave for successive blocks of queries.

    Args:
        parts: Ranks and offsets of each block, in order.

    Returns:
        The ranks and offsets of all queries, as one call would have given them.
    """
    counts = [np.diff(offsets) for _, offsets in parts]
    ranks = np.concatenate([np.empty(0, np.int64), *(ranks for ranks, _ in parts)])
    return ranks, np.concatenate([[0], np.cumsum(np.concatenate([np.empty(0, np.int64), *counts]))])


def average_precision(ranks: Ints, offsets: Ints, *, variant: PrecisionVariant = "step") -> Doubles:
    """Return the average precision of each query.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.
        variant: ``"step"``: the mean of the precisions at the positives, what is reported today.
            ``"trapezoid"``: the area under the precision-recall line, as the first Market-1501 code measured
            it; about a point of mAP lower on the same ranking.

    Returns:
        ``(Q,)`` float64 in (0, 1]; nan where a query has no positive.

    Raises:
        ConfigError: The variant is not known.
    """
    if variant not in get_args(PrecisionVariant):
        raise ConfigError(f"variant must be one of {', '.join(get_args(PrecisionVariant))}, found '{variant}'")
    counts = np.diff(offsets)
    before = np.arange(len(ranks)) - np.repeat(offsets[:-1], counts)
    precision = (before + 1) / (ranks + 1)
    if variant == "trapezoid":
        # The precision just above this positive; 1 at the top of the list, where nothing has been seen.
        above = np.divide(before, ranks, out=np.ones(len(ranks)), where=ranks > 0)
        precision = (precision + above) / 2
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), precision, minlength=len(counts))
    return _share(sums, counts)


def inverse_negative_penalty(ranks: Ints, offsets: Ints) -> Doubles:
    """Return each query's positives over the length of the list that holds them all; its mean is mINP.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.

    Returns:
        ``(Q,)`` float64 in (0, 1]; nan where a query has no positive.

    References:
        Ye et al. 2021, the inverse negative penalty.
    """
    counts = np.diff(offsets)
    hardest = np.zeros(len(counts), np.int64)
    hardest[counts > 0] = ranks[offsets[1:][counts > 0] - 1] + 1
    return _share(counts, hardest)


def first_ranks(ranks: Ints, offsets: Ints) -> Ints:
    """Return the rank of each query's first positive.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.

    Returns:
        ``(Q,)`` int64 from 0; -1 where a query has no positive.
    """
    first = np.full(len(offsets) - 1, -1, np.int64)
    found = np.diff(offsets) > 0
    first[found] = ranks[offsets[:-1][found]]
    return first


def cumulative_matches(first: Ints, top: int = 50) -> Doubles:
    """Return the cumulative matching characteristic.

    Args:
        first: ``(Q,)`` from `first_ranks`.
        top: How many ranks, at least 1.

    Returns:
        ``(top,)`` float64: entry ``k`` is the share of queries with a positive among the first ``k + 1``
        items, of the queries that have one at all (entry 0 is rank-1). All nan where no query has one.

    Raises:
        ConfigError: ``top`` is below 1.
    """
    if top < 1:
        raise ConfigError(f"top must be at least 1, found {top}")
    found = first[first >= 0]
    hits = np.cumsum(np.bincount(found[found < top], minlength=top))
    return _share(hits, np.full(top, len(found)))


def matches_within(ranks: Ints, offsets: Ints, top: int) -> Doubles:
    """Return whether each query has a positive among its first results; the mean is rank-``top``.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.
        top: How many results count.

    Returns:
        ``(Q,)`` float64, 0 or 1; nan if a query has no positive.
    """
    first = first_ranks(ranks, offsets)
    return np.where(first < 0, np.nan, first < top)


Metric = Callable[[Ints, Ints], Doubles]
"""From the ranks and offsets of `positive_ranks`, a value for each query, ``(Q,)``; nan for one without a positive.

The positives of query ``q`` have the ranks ``ranks[offsets[q]:offsets[q + 1]]``, from 0, ascending.
"""

METRICS: dict[str, Metric] = {
    "mAP": average_precision,
    "mINP": inverse_negative_penalty,
    **{f"rank-{top}": partial(matches_within, top=top) for top in (1, 5, 10)},
}
"""The scores of an evaluation, each the mean over the queries that have a positive. Add an entry to add a score."""


def _share(parts: npt.NDArray[np.number], wholes: Ints) -> Doubles:
    shares: Doubles = np.full(len(wholes), np.nan)
    np.divide(parts, wholes, out=shares, where=wholes > 0)
    return shares


def _positive_ranks(
    matrix: Floats,
    asked: Ints,
    asked_cameras: Ints,
    held: Ints,
    held_cameras: Ints,
    *,
    same: bool,
    distractor_id: int | None,
) -> tuple[Ints, Ints, Mask]:
    """Give ranks and offsets, and which rows hold nan."""
    groups, pointers, members = _groups(asked, held, distractor_id)
    counts = _count_positives(asked_cameras, groups, pointers, members, held_cameras, same)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    ranks = np.empty(offsets[-1], np.int64)
    junk = np.flatnonzero(held == UNKNOWN)
    broken = _rank_positives(matrix, asked_cameras, groups, pointers, members, held_cameras, same, junk, offsets, ranks)
    return ranks, offsets, broken


def _groups(asked: Ints, held: Ints, distractor_id: int | None) -> tuple[Ints, Ints, Ints]:
    """Group gallery rows by person: each query's group or -1, where groups start, and all their rows."""
    members = np.argsort(held, kind="stable")
    people, starts = np.unique(held[members], return_index=True)
    pointers = np.append(starts, len(held)).astype(np.int64)
    places = np.searchsorted(people, asked)
    found = places < len(people)
    found[found] = people[places[found]] == asked[found]
    found &= asked != UNKNOWN
    if distractor_id is not None:
        found &= asked != distractor_id
    return np.where(found, places, -1), pointers, members


@njit(cache=True, parallel=True)
def _count_positives(
    query_cameras: Ints, groups: Ints, pointers: Ints, members: Ints, gallery_cameras: Ints, same: bool
) -> Ints:
    """Give how many positives each query has.

    ``groups[q]`` is the query's group of gallery rows, ``members[pointers[g]:pointers[g + 1]]``, or -1. With
    ``same``, rows of the query's own (known) camera do not count.
    """
    counts = np.zeros(len(groups), np.int64)
    for q in prange(len(groups)):
        if groups[q] >= 0:
            for a in range(pointers[groups[q]], pointers[groups[q] + 1]):
                camera = gallery_cameras[members[a]]
                if not (same and camera >= 0 and camera == query_cameras[q]):
                    counts[q] += 1
    return counts


@njit(cache=True)
def _not_above(row: Floats, limit: float) -> int:
    """Compute ``(row <= limit).sum()``."""
    count = 0
    for g in range(len(row)):
        count += row[g] <= limit
    return count


@njit(cache=True, fastmath={"reassoc", "contract", "nsz"})
def _below_four(row: Floats, a: float, b: float, c: float, d: float) -> tuple[int, int, int, int]:
    """Compute ``(row < limit).sum()`` for four limits.

    The row is read once for the four, and counts are float32, of which a vector register holds twice as many as of
    whole numbers; they are exact up to 2^24, and the row is no longer.
    """
    w = x = y = z = np.float32(0)
    one, none = np.float32(1), np.float32(0)
    for g in range(len(row)):
        value = row[g]
        w += one if value < a else none
        x += one if value < b else none
        y += one if value < c else none
        z += one if value < d else none
    return int(w), int(x), int(y), int(z)


@njit(cache=True)
def _count_each(row: Floats, positives: Ints, ranks: Ints) -> None:
    """Rank ascending positives by passes over the row, four at a time.

    Before a positive its equals are closer, behind it they are not; between two of the four nothing changes, so each
    such stretch is counted with limits of its own: what is not above a number is below the next one.
    """
    limits = np.empty(4, np.float32)
    for first in range(0, len(positives), 4):
        many = min(4, len(positives) - first)
        ranks[first : first + many] = 0
        start = 0
        for turn in range(many + 1):
            stop = positives[first + turn] if turn < many else len(row)
            for a in range(4):
                # Fewer than four are filled up: nothing is below -inf.
                limits[a] = row[positives[first + a]] if a < many else -np.inf
                if turn <= a < many:
                    limits[a] = np.nextafter(limits[a], np.float32(np.inf))
            for low in range(start, stop, 2**24):
                part = row[low : min(low + 2**24, stop)]
                counts = _below_four(part, limits[0], limits[1], limits[2], limits[3])
                for a in range(many):
                    ranks[first + a] += counts[a]
            start = stop
    ranks.sort()


@njit(cache=True)
def _count_all(row: Floats, positives: Ints, ranks: Ints) -> None:
    """Rank many positives in one pass, finding each item's place among them by bisection."""
    order = np.argsort(row[positives], kind="mergesort")
    people = positives[order]
    limits = row[people]
    closer = np.zeros(len(people) + 1, np.int64)
    for g in range(len(row)):
        if row[g] != row[g]:
            continue
        low = 0
        high = len(people)
        while low < high:
            middle = (low + high) // 2
            if limits[middle] < row[g] or (limits[middle] == row[g] and people[middle] <= g):
                low = middle + 1
            else:
                high = middle
        closer[low] += 1  # a positive lands behind itself, and so does not count itself
    total = 0
    for a in range(len(people)):
        total += closer[a]
        ranks[a] = total


@njit(cache=True, parallel=True)
def _rank_positives(
    distances: Floats,
    query_cameras: Ints,
    groups: Ints,
    pointers: Ints,
    members: Ints,
    gallery_cameras: Ints,
    same: bool,
    junk: Ints,
    offsets: Ints,
    ranks: Ints,
) -> npt.NDArray[np.bool_]:
    """Fill the ranks of each query's positives, ascending, and say which rows hold nan.

    A rank equals ``((row < d) | ((row == d) & (arange(G) < p))).sum()`` over the valid gallery rows, for the
    positive ``p`` at distance ``d``: counting costs far less than sorting the row.
    """
    broken = np.zeros(len(groups), np.bool_)
    for q in prange(len(groups)):
        row = distances[q].copy()
        broken[q] = _not_above(row, np.inf) < len(row)
        if offsets[q] == offsets[q + 1]:
            continue
        # nan is never closer than anything: it takes what is not valid out of every count below.
        for a in range(len(junk)):
            row[junk[a]] = np.nan
        positives = np.empty(offsets[q + 1] - offsets[q], np.int64)
        size = 0
        for a in range(pointers[groups[q]], pointers[groups[q] + 1]):
            p = members[a]
            if same and gallery_cameras[p] >= 0 and gallery_cameras[p] == query_cameras[q]:
                row[p] = np.nan
            else:
                positives[size] = p
                size += 1
        # Above an infinite distance there is no next number, which counting by passes asks for.
        if size <= FEW and not np.isinf(row[positives]).any():
            _count_each(row, positives, ranks[offsets[q] : offsets[q + 1]])
        else:
            _count_all(row, positives, ranks[offsets[q] : offsets[q + 1]])
    return broken
