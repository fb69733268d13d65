"""Scores of one threshold beside scikit-learn's curve and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from resight.errors import ConfigError, DataError
from resight.numerics.verification import (
    BINS,
    OpenSet,
    Pairs,
    Sides,
    best_matches,
    count_pairs,
    draw_known,
    equal_error_rate,
    identification_rate,
    join_pairs,
    true_accept_rate,
)
from resight.records import UNKNOWN

RANDOM = np.random.default_rng(7)
QUERIES, GALLERY = 40, 90
SIDES = Sides(
    RANDOM.integers(1, 9, QUERIES), RANDOM.integers(0, 3, QUERIES),
    RANDOM.choice([-1, 0, 1, 2, 3, 4, 5, 6, 7, 8], GALLERY), RANDOM.integers(0, 3, GALLERY),
)  # fmt: skip
SAME = SIDES.query_people[:, None] == SIDES.gallery_people
# In the middle of bins, so that binning changes no order.
DRAWN = np.sort(RANDOM.permutation(BINS)[: QUERIES * GALLERY])
ORDER = np.argsort(np.argsort((RANDOM.random(SAME.shape) + 0.3 * SAME).ravel()))
SIMILARITIES = ((DRAWN[ORDER] + 0.5) / (BINS / 2) - 1).reshape(SAME.shape)
"""All different, and larger for pairs of one person more often than not."""


def naive_pairs(similarities: np.ndarray = SIMILARITIES) -> tuple[list[float], list[bool]]:
    values, labels = [], []
    for q in range(QUERIES):
        for g in range(GALLERY):
            person, camera = SIDES.gallery_people[g], SIDES.gallery_cameras[g]
            own = person == SIDES.query_people[q]
            if person == UNKNOWN or (own and camera == SIDES.query_cameras[q]):
                continue
            values.append(float(similarities[q, g]))
            labels.append(bool(own))
    return values, labels


def test_rates_are_those_of_the_curve_of_scikit_learn() -> None:
    pairs = count_pairs(SIMILARITIES, SIDES, distractor_id=0)
    values, labels = naive_pairs()
    assert (pairs.same.sum(), pairs.other.sum()) == (sum(labels), len(labels) - sum(labels))
    false, true, _ = roc_curve(labels, values, drop_intermediate=False)
    for allowed in (0.0, 0.001, 0.01, 0.1, 0.5, 1.0):
        assert true_accept_rate(pairs, allowed) == pytest.approx(true[false <= allowed].max())
    grid = np.linspace(0, 1, 200_001)
    crossing = grid[np.argmin(np.abs(1 - np.interp(grid, false, true) - grid))]
    assert equal_error_rate(pairs) == pytest.approx(crossing, abs=2e-3)


def test_blocks_of_queries_add_up() -> None:
    blocks = []
    for start in range(0, QUERIES, 7):
        rows = slice(start, start + 7)
        sides = Sides(SIDES.query_people[rows], SIDES.query_cameras[rows], *SIDES[2:])
        blocks.append(count_pairs(SIMILARITIES[rows], sides, distractor_id=0))
    whole, joined = count_pairs(SIMILARITIES, SIDES, distractor_id=0), join_pairs(blocks)
    assert all(np.array_equal(one, other) for one, other in zip(whole, joined, strict=True))


def test_a_perfect_threshold_makes_no_error_and_a_useless_one_half() -> None:
    perfect = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    perfect[0][-5], perfect[1][9] = 3, 50
    assert equal_error_rate(Pairs(*perfect)) == 0
    assert true_accept_rate(Pairs(*perfect), 0.0) == 1
    same = np.ones(BINS, np.int64)
    assert equal_error_rate(Pairs(same, same)) == pytest.approx(0.5, abs=1e-4)
    worst = Pairs(perfect[1], perfect[0])
    assert equal_error_rate(worst) == 1


def naive_best(known: np.ndarray, people: np.ndarray) -> OpenSet:
    rows = []
    for members in known:
        enrolled = set(people[members].tolist())
        trial = []
        for q in range(QUERIES):
            person, camera = SIDES.query_people[q], SIDES.query_cameras[q]
            counted = [
                (SIMILARITIES[q, g], SIDES.gallery_people[g])
                for g in range(GALLERY)
                if not (SIDES.gallery_people[g] == person and SIDES.gallery_cameras[g] == camera)
                and SIDES.gallery_people[g] in enrolled
            ]
            best = max(counted)
            trial.append((any(owner == person for _, owner in counted), best[1] == person, best[0]))
        rows.append(trial)
    known_, right, similarity = (np.array([[q[i] for q in trial] for trial in rows]) for i in range(3))
    return OpenSet(known_, right, similarity)


def test_open_set_search_is_that_of_a_naive_loop() -> None:
    people = np.arange(1, 9)
    known = draw_known(people, trials=6, seed=2)
    assert known.sum(1).tolist() == [4] * 6
    found, expected = best_matches(SIMILARITIES, SIDES, people, known), naive_best(known, people)
    assert np.array_equal(found.known, expected.known)
    assert np.array_equal(found.right, expected.right)
    assert found.similarity == pytest.approx(expected.similarity, abs=1e-6)
    for allowed in (0.0, 0.1, 0.5, 1.0):
        rates = identification_rate(found, allowed)
        for rate, knows, right, similarity in zip(rates, *found, strict=True):
            thresholds = [-np.inf, *similarity.tolist()]
            passing = [t for t in thresholds if (similarity[~knows] > t).mean() <= allowed]
            assert rate == pytest.approx((right & (similarity > min(passing)))[knows].mean())
    assert (np.diff([identification_rate(found, far).mean() for far in (0.0, 0.1, 0.5, 1.0)]) >= 0).all()
    closed = found.right[found.known].mean()
    assert identification_rate(found, 1.0).mean() == pytest.approx(closed, abs=0.05), "no threshold: rank-1"


def test_what_cannot_be_scored_is_said() -> None:
    nothing = np.zeros(BINS, np.int64)
    with pytest.raises(DataError, match="no pair of two people"):
        equal_error_rate(Pairs(nothing + 1, nothing))
    with pytest.raises(DataError, match="shape"):
        count_pairs(SIMILARITIES[1:], SIDES)
    with pytest.raises(DataError, match="nan"):
        count_pairs(np.full_like(SIMILARITIES, np.nan), SIDES)
    with pytest.raises(ConfigError, match="exclude"):
        count_pairs(SIMILARITIES, SIDES, exclude="all")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="false_accept_rate"):
        true_accept_rate(Pairs(nothing + 1, nothing + 1), 2.0)
    alone = best_matches(SIMILARITIES, SIDES, np.arange(1, 9), np.zeros((1, 8), np.bool_))
    assert np.isnan(identification_rate(alone, 0.1)).all()
