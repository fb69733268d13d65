"""Scores of one threshold: is this the same person (verification), and is this person known at all (open-set search).

A ranking always has a first result. A threshold on the similarity also says "nobody". These scores tell how well one
threshold for all queries does that. Pairs are counted in bins of similarity, so memory does not grow with their number.

References:
    Phillips et al., "Face recognition vendor test", 2002 (true accept rate, equal error rate);
    Liao et al., "Open-set person re-identification", 2014 (detection and identification rate).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from resight.arrays import id_column, real_numbers
from resight.errors import ConfigError, DataError, number_within
from resight.records import EXCLUSIONS, UNKNOWN, Doubles, Exclude, Floats, Ints, Mask

BINS = 2**16
"""Bins of similarity, from -1 to 1: 0.00003 wide."""


class Pairs(NamedTuple):
    """Counts of pairs by their similarity.

    Attributes:
        same: ``(BINS,)`` pairs of one person.
        other: ``(BINS,)`` pairs of two people.
    """

    same: Ints
    other: Ints


class Sides(NamedTuple):
    """Whose the rows and columns of similarities are.

    Attributes:
        query_people: ``(Q,)`` person ids.
        query_cameras: ``(Q,)`` camera ids, -1 unknown.
        gallery_people: ``(G,)`` person ids, -1 junk.
        gallery_cameras: ``(G,)`` camera ids, -1 unknown.
    """

    query_people: Ints
    query_cameras: Ints
    gallery_people: Ints
    gallery_cameras: Ints


def count_pairs(
    similarities: Floats, sides: Sides, *, exclude: Exclude = "same-camera", distractor_id: int | None = None
) -> Pairs:
    """Count the pairs of queries and gallery by their similarity.

    Args:
        similarities: ``(Q, G)`` cosine similarities, a block of queries at a time is enough.
        sides: Their people and cameras.
        exclude: ``"same-camera"`` leaves out pairs of one person by one camera, ``"none"`` only junk.
        distractor_id: The person id of distractors, who are always other people; None if there are none.

    Raises:
        DataError: Shapes disagree, or a similarity is nan.
        ConfigError: ``exclude`` is unknown.
    """
    matrix, same, valid = _pairs(similarities, sides, exclude, distractor_id)
    bins = np.clip((matrix + 1) * (BINS / 2), 0, BINS - 1).astype(np.int64)
    return Pairs(*(np.bincount(bins[valid & kind], minlength=BINS) for kind in (same, ~same)))


def join_pairs(parts: Iterable[Pairs]) -> Pairs:
    """Add the counts of successive blocks of queries."""
    same, other = (np.sum(counts, axis=0) for counts in zip(*parts, strict=True))
    return Pairs(same, other)


def true_accept_rate(pairs: Pairs, false_accept_rate: float) -> float:
    """Return the share of pairs of one person that a threshold accepts which accepts few pairs of two people.

    Args:
        pairs: The counts.
        false_accept_rate: The largest share of pairs of two people to accept, in 0..1.

    Raises:
        DataError: There is no pair of one of the two kinds.
    """
    allowed = number_within("false_accept_rate", false_accept_rate, 0, 1)
    accepted_same, accepted_other = _accepted(pairs)
    # Accepting nothing is always allowed, and comes first.
    threshold = np.searchsorted(accepted_other, allowed, side="right") - 1
    return float(accepted_same[threshold])


def equal_error_rate(pairs: Pairs) -> float:
    """Return the error of the threshold that rejects one person as often as it accepts two, in 0..1.

    Between two bins it is the crossing of the straight lines.

    Raises:
        DataError: There is no pair of one of the two kinds.
    """
    accepted_same, accepted_other = _accepted(pairs)
    gap = (1 - accepted_same) - accepted_other  # from 1 down to -1
    last = int(np.flatnonzero(gap >= 0)[-1])
    if last + 1 == len(gap):
        return float(accepted_other[last])
    share = gap[last] / (gap[last] - gap[last + 1])
    return float(accepted_other[last] + share * (accepted_other[last + 1] - accepted_other[last]))


class OpenSet(NamedTuple):
    """The best match of each query in each trial of an open-set search.

    Attributes:
        known: ``(T, Q)`` bool: the query's person is in the gallery of the trial, with an image that counts.
        right: ``(T, Q)`` bool: the best match is the query's person.
        similarity: ``(T, Q)`` of the best match; -inf if the gallery holds no image that counts.
    """

    known: Mask
    right: Mask
    similarity: Floats


def draw_known(people: npt.ArrayLike, *, trials: int, seed: int) -> Mask:
    """Draw which half of the people each trial of an open-set search knows.

    Args:
        people: ``(P,)`` person ids, each once.
        trials: The number of trials.
        seed: The seed of the draws.

    Returns:
        ``(T, P)`` bool.
    """
    count = len(id_column(people, "people"))
    order = np.argsort(np.random.default_rng(seed).random((trials, count)), axis=1)
    drawn: Mask = order < count // 2
    return drawn


def best_matches(
    similarities: Floats, sides: Sides, people: Ints, known: Mask, *, exclude: Exclude = "same-camera"
) -> OpenSet:
    """Find the best match of each query among the people that each trial knows.

    Args:
        similarities: ``(Q, G)`` cosine similarities, a block of queries at a time is enough.
        sides: Their people and cameras.
        people: ``(P,)`` ascending ids of the gallery's people, without junk and distractors.
        known: ``(T, P)`` who is in the gallery of each trial.
        exclude: As in `count_pairs`.

    Raises:
        DataError: Shapes disagree, or a similarity is nan.
        ConfigError: ``exclude`` is unknown.
    """
    matrix, _, valid = _pairs(similarities, sides, exclude, None)
    order = np.argsort(sides.gallery_people, kind="stable")
    order = order[np.isin(sides.gallery_people[order], people)]
    starts = np.searchsorted(sides.gallery_people[order], people)
    hidden = np.where(valid, matrix, -np.inf)[:, order]
    by_person = np.maximum.reduceat(hidden, starts, axis=1)  # (Q, P)
    columns = np.searchsorted(people, sides.query_people)
    columns[columns == len(people)] = 0
    own = people[columns] == sides.query_people
    has_match = own & np.isfinite(by_person[np.arange(len(columns)), columns])
    parts = []
    for members in known:
        among = np.where(members, by_person, -np.inf)
        best = among.argmax(axis=1)
        similarity = among[np.arange(len(columns)), best]
        parts.append((has_match & members[columns], own & (best == columns) & np.isfinite(similarity), similarity))
    known_parts, right, similarity = (np.stack(part) for part in zip(*parts, strict=True))
    return OpenSet(known_parts, right, similarity.astype(np.float32))


def identification_rate(open_set: OpenSet, false_alarm_rate: float) -> Doubles:
    """Return the share of known people whom an open-set search finds first and above its threshold, by trial.

    The threshold of a trial is the lowest that at most a share of the unknown queries passes.

    Args:
        open_set: The best matches.
        false_alarm_rate: The largest share of unknown queries that may pass, in 0..1.

    Returns:
        ``(T,)`` in 0..1; nan for a trial without known or without unknown queries.
    """
    allowed = number_within("false_alarm_rate", false_alarm_rate, 0, 1)
    rates = np.full(len(open_set.known), np.nan)
    for trial, (known, right, similarity) in enumerate(zip(*open_set, strict=True)):
        strangers = np.sort(similarity[~known])[::-1]
        if not known.any() or not len(strangers):
            continue
        passing = int(allowed * len(strangers) + 1e-9)
        threshold = strangers[passing] if passing < len(strangers) else -np.inf
        rates[trial] = (right & (similarity > threshold))[known].mean()
    return rates


def _pairs(
    similarities: Floats, sides: Sides, exclude: Exclude, distractor_id: int | None
) -> tuple[Floats, Mask, Mask]:
    """Return the similarities, which pairs are of one person, and which count."""
    if exclude not in EXCLUSIONS:
        raise ConfigError(f"exclude must be one of {', '.join(EXCLUSIONS)}, found '{exclude}'")
    matrix = real_numbers(similarities, "similarities")
    shape = (len(sides.query_people), len(sides.gallery_people))
    if matrix.shape != shape:
        raise DataError(f"similarities must have shape {shape}, found {matrix.shape}")
    if np.isnan(matrix).any():
        raise DataError("similarities hold nan: check the embeddings behind them")
    same = sides.query_people[:, None] == sides.gallery_people
    valid = np.broadcast_to((sides.gallery_people != UNKNOWN), shape) & (sides.query_people != UNKNOWN)[:, None]
    if exclude == "same-camera":
        camera = (sides.query_cameras[:, None] == sides.gallery_cameras) & (sides.gallery_cameras != UNKNOWN)
        valid = valid & ~(same & camera)
    if distractor_id is not None:
        same = same & (sides.gallery_people != distractor_id)
        valid = valid & (sides.query_people != distractor_id)[:, None]
    return matrix, same, valid


def _accepted(pairs: Pairs) -> tuple[Doubles, Doubles]:
    """Return the shares of pairs at or above each threshold, from the highest down: ``(BINS + 1,)``, 0 to 1."""
    shares = []
    for name, counts in (("one person", pairs.same), ("two people", pairs.other)):
        if not counts.any():
            raise DataError(f"there is no pair of {name}: a threshold cannot be scored")
        shares.append(np.concatenate([[0.0], np.cumsum(counts[::-1]) / counts.sum()]))
    return shares[0], shares[1]
