"""Two models on the same queries, worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from test_evaluation import GALLERY, QUERIES

from messages import one_line
from resight.errors import DataError
from resight.records import Features
from resight.retrieval.comparison import compare
from resight.retrieval.evaluation import evaluate

FIRST = evaluate(QUERIES, GALLERY)
"""Average precisions of the hand table: 0.756, 0.7, 0.5, and a query without a match."""


def perfect() -> Features:
    """The gallery at the angles of the people: every query finds its own first."""
    angle = {1: 0.0, 2: 90.0, -1: 180.0}
    radians = np.radians([angle[person] for person in GALLERY.table.person_ids.tolist()])
    return Features(GALLERY.table, np.stack([np.cos(radians), np.sin(radians)], 1))


def best_queries() -> Features:
    radians = np.radians([{1: 0.0, 2: 90.0, 9: 200.0}[person] for person in QUERIES.table.person_ids.tolist()])
    return Features(QUERIES.table, np.stack([np.cos(radians), np.sin(radians)], 1))


SECOND = evaluate(best_queries(), perfect())


def test_differences_are_those_of_the_hand_table() -> None:
    comparison = compare(FIRST, SECOND, QUERIES.table)
    gains = [1 - (1 + 2 / 3 + 3 / 5) / 3, 1 - 0.7, 1 - 0.5]
    assert comparison.gains[:3] == pytest.approx(gains)
    assert np.isnan(comparison.gains[3])
    assert (comparison.wins, comparison.losses) == (3, 0)
    assert comparison.gained.tolist() == [2, 1, 0]
    assert comparison.lost.tolist() == []
    assert comparison.differences["mAP"].mean == pytest.approx(np.mean(gains))
    assert comparison.differences["rank-1"].mean == pytest.approx(1 / 3)
    # Camera 0 saw the first two queries, of two people: the interval lies between their gains.
    assert comparison.by_camera.keys() == {0, 1}
    camera = comparison.by_camera[0]
    assert camera.mean == pytest.approx(np.mean(gains[:2]))
    assert (camera.low, camera.high) == pytest.approx((gains[0], gains[1]))
    assert json.loads(json.dumps(comparison.to_json()))["gains"][3] is None


def test_the_other_way_round_only_the_sign_changes() -> None:
    there, back = compare(FIRST, SECOND, QUERIES.table), compare(SECOND, FIRST, QUERIES.table)
    for name, (mean, low, high) in there.differences.items():
        assert back.differences[name] == pytest.approx((-mean, -high, -low))
    assert back.lost.tolist() == there.gained.tolist()
    same = compare(FIRST, FIRST, QUERIES.table)
    assert set(same.differences.values()) == {(0.0, 0.0, 0.0)}
    assert (same.wins, same.losses, len(same.gained)) == (0, 0, 0)


def test_other_queries_are_not_compared() -> None:
    fewer = evaluate(QUERIES[:2], GALLERY)
    smaller = evaluate(QUERIES, GALLERY[:4])
    for other in (fewer, smaller):
        with pytest.raises(DataError, match="same queries and gallery") as raised:
            compare(FIRST, other, QUERIES.table)
        assert one_line(raised)
