"""Retrieval scores from the ranks of the positives.

Average precision, the inverse negative penalty and the matching curve need one thing of each query: the rank of each
of its positives. `positive_ranks` counts the valid gallery items that are closer, and never sorts a gallery. So a large
evaluation runs in blocks of queries:

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

from resight.arrays import id_column, real_numbers
from resight.errors import ConfigError, DataError
from resight.numerics.distances import read_only
from resight.numerics.metrics_kernels import count_positives, rank_positives
from resight.records import EXCLUSIONS, UNKNOWN, Doubles, Exclude, Floats, Ints, Mask

if TYPE_CHECKING:
    from torch import Tensor

PrecisionVariant = Literal["step", "trapezoid"]


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
    """Compute the rank of every positive of every query among its valid gallery items.

    Junk (person -1) is never valid. Under ``"same-camera"`` the images of the query's person by the query's
    camera are not valid either; an unknown camera, -1, is never the same. Every other valid item that is not a
    positive is a negative. Ties ascend by gallery row.

    Args:
        distances: ``(Q, G)`` float32, smaller is closer; a block of queries at a time is enough. A tensor is ranked
            on its device.
        query_people: ``(Q,)`` person ids; an unknown one, -1, has no positives.
        query_cameras: ``(Q,)`` camera ids, -1 unknown.
        gallery_people: ``(G,)`` person ids, -1 junk.
        gallery_cameras: ``(G,)`` camera ids, -1 unknown.
        exclude: ``"same-camera"`` or ``"none"`` (only junk is removed).
        distractor_id: The person id of distractors (0 in Market-1501): never a positive, always a negative. None if
            every id from 0 up is a person.

    Returns:
        Ranks from 0, flat int64, ascending for each query, and offsets ``(Q + 1,)`` int64: query q owns
        ``ranks[offsets[q]:offsets[q + 1]]``.

    Raises:
        DataError: Shapes disagree, or a distance is nan.
        ConfigError: `exclude` is unknown.
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
    same_camera = exclude == "same-camera"
    if _is_tensor(matrix):
        from resight.numerics import gpu

        ranks, offsets, has_nan = gpu.positive_ranks(
            matrix, *columns, same_camera=same_camera, distractor_id=distractor_id
        )
    else:
        assert isinstance(matrix, np.ndarray)
        ranks, offsets, has_nan = _positive_ranks(
            read_only(matrix), *columns, same_camera=same_camera, distractor_id=distractor_id
        )
    if has_nan.any():
        raise DataError(f"the distances of query {int(has_nan.argmax())} hold nan: check the embeddings behind them")
    return ranks, offsets


def _is_tensor(values: Any) -> TypeGuard[Tensor]:
    # A caller with a tensor has loaded torch; ranking an array takes less time than loading it.
    return "torch" in sys.modules and isinstance(values, sys.modules["torch"].Tensor)


def join_ranks(parts: Sequence[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Join the results of `positive_ranks` for successive blocks of queries.

    Args:
        parts: Ranks and offsets of each block, in order.

    Returns:
        The ranks and offsets of all queries, as a single call would return them.
    """
    counts = [np.diff(offsets) for _, offsets in parts]
    ranks = np.concatenate([np.empty(0, np.int64), *(ranks for ranks, _ in parts)])
    return ranks, np.concatenate([[0], np.cumsum(np.concatenate([np.empty(0, np.int64), *counts]))])


def average_precision(ranks: Ints, offsets: Ints, *, variant: PrecisionVariant = "step") -> Doubles:
    """Return the average precision of each query.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.
        variant: ``"step"``: the mean of the precisions at the positives, as papers report it today.
            ``"trapezoid"``: the area under the precision-recall line, as the first Market-1501 code measured
            it; about a point of mAP lower on the same ranking.

    Returns:
        ``(Q,)`` float64 in (0, 1]; nan for a query without a positive.

    Raises:
        ConfigError: The variant is unknown.
    """
    if variant not in get_args(PrecisionVariant):
        raise ConfigError(f"variant must be one of {', '.join(get_args(PrecisionVariant))}, found '{variant}'")
    counts = np.diff(offsets)
    earlier_positives = np.arange(len(ranks)) - np.repeat(offsets[:-1], counts)
    precision = (earlier_positives + 1) / (ranks + 1)
    if variant == "trapezoid":
        # The precision just above this positive; 1 at the top of the list, with nothing above.
        above = np.divide(earlier_positives, ranks, out=np.ones(len(ranks)), where=ranks > 0)
        precision = (precision + above) / 2
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), precision, minlength=len(counts))
    return _divide(sums, counts)


def inverse_negative_penalty(ranks: Ints, offsets: Ints) -> Doubles:
    """Return each query's number of positives over the length of the shortest list with all of them.

    Its mean is mINP.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.

    Returns:
        ``(Q,)`` float64 in (0, 1]; nan for a query without a positive.

    References:
        Ye et al. 2021, the inverse negative penalty.
    """
    counts = np.diff(offsets)
    lengths = np.zeros(len(counts), np.int64)
    lengths[counts > 0] = ranks[offsets[1:][counts > 0] - 1] + 1
    return _divide(counts, lengths)


def first_ranks(ranks: Ints, offsets: Ints) -> Ints:
    """Return the rank of each query's first positive.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.

    Returns:
        ``(Q,)`` int64 from 0; -1 for a query without a positive.
    """
    first = np.full(len(offsets) - 1, -1, np.int64)
    has_positive = np.diff(offsets) > 0
    first[has_positive] = ranks[offsets[:-1][has_positive]]
    return first


def cumulative_matches(first: Ints, top: int = 50) -> Doubles:
    """Return the cumulative matching characteristic.

    Args:
        first: ``(Q,)`` from `first_ranks`.
        top: Number of ranks, at least 1.

    Returns:
        ``(top,)`` float64: entry ``k`` is the share of queries with a positive among the first ``k + 1``
        items, of the queries that have one at all (entry 0 is rank-1). All nan if no query has one.

    Raises:
        ConfigError: ``top`` is below 1.
    """
    if top < 1:
        raise ConfigError(f"top must be at least 1, found {top}")
    ranks = first[first >= 0]
    hits = np.cumsum(np.bincount(ranks[ranks < top], minlength=top))
    return _divide(hits, np.full(top, len(ranks)))


def matches_within(ranks: Ints, offsets: Ints, top: int) -> Doubles:
    """Return whether each query has a positive among its first results; the mean is rank-``top``.

    Args:
        ranks: Flat, from `positive_ranks`.
        offsets: ``(Q + 1,)``, from `positive_ranks`.
        top: Number of results that count.

    Returns:
        ``(Q,)`` float64, 0 or 1; nan for a query without a positive.
    """
    first = first_ranks(ranks, offsets)
    return np.where(first < 0, np.nan, first < top)


Metric = Callable[[Ints, Ints], Doubles]
"""A function of the ranks and offsets of `positive_ranks`: one value per query, ``(Q,)``, nan without a positive.

The positives of query ``q`` have the ranks ``ranks[offsets[q]:offsets[q + 1]]``, from 0, ascending.
"""

METRICS: dict[str, Metric] = {
    "mAP": average_precision,
    "mINP": inverse_negative_penalty,
    **{f"rank-{top}": partial(matches_within, top=top) for top in (1, 5, 10)},
}
"""The scores of an evaluation: each is the mean over the queries with a positive. Add an entry to add a score."""


def _divide(numerators: npt.NDArray[np.number], denominators: Ints) -> Doubles:
    """Return ``(Q,)`` quotients, nan for a denominator of 0."""
    quotients: Doubles = np.full(len(denominators), np.nan)
    np.divide(numerators, denominators, out=quotients, where=denominators > 0)
    return quotients


def _positive_ranks(
    matrix: Floats,
    query_people: Ints,
    query_cameras: Ints,
    gallery_people: Ints,
    gallery_cameras: Ints,
    *,
    same_camera: bool,
    distractor_id: int | None,
) -> tuple[Ints, Ints, Mask]:
    """Return ranks and offsets, and a mask of the rows that hold nan."""
    groups, pointers, members = _group_by_person(query_people, gallery_people, distractor_id)
    counts = count_positives(query_cameras, groups, pointers, members, gallery_cameras, same_camera)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    ranks = np.empty(offsets[-1], np.int64)
    junk = np.flatnonzero(gallery_people == UNKNOWN)
    has_nan = rank_positives(
        matrix, query_cameras, groups, pointers, members, gallery_cameras, same_camera, junk, offsets, ranks
    )
    return ranks, offsets, has_nan


def _group_by_person(query_people: Ints, gallery_people: Ints, distractor_id: int | None) -> tuple[Ints, Ints, Ints]:
    """Group gallery rows by person: return each query's group or -1, where groups start, and all their rows."""
    members = np.argsort(gallery_people, kind="stable")
    people, starts = np.unique(gallery_people[members], return_index=True)
    pointers = np.append(starts, len(gallery_people)).astype(np.int64)
    groups = np.searchsorted(people, query_people)
    matched = groups < len(people)
    matched[matched] = people[groups[matched]] == query_people[matched]
    matched &= query_people != UNKNOWN
    if distractor_id is not None:
        matched &= query_people != distractor_id
    return np.where(matched, groups, -1), pointers, members
