"""One threshold on embeddings whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from resight.errors import DataError
from resight.records import Features, ImageTable
from resight.retrieval import thresholds
from resight.retrieval.thresholds import score_thresholds

PEOPLE = 12


def side(camera: int, noise: float, *, seed: int, people: int = PEOPLE) -> Features:
    """A vector of each person: its own axis, and noise."""
    random = np.random.default_rng(seed)
    table = ImageTable(np.full(people, "x.jpg"), np.arange(1, people + 1), np.full(people, camera))
    return Features(table, (np.eye(PEOPLE)[:people] + noise * random.normal(size=(people, PEOPLE))).astype(np.float32))


def test_clear_embeddings_make_no_error_and_random_ones_do() -> None:
    clear = score_thresholds(side(1, 0.05, seed=1), side(2, 0.05, seed=2))
    assert clear["EER"] == 0
    assert {clear[name] for name in clear if name != "EER"} == {1.0}
    vague = score_thresholds(side(1, 5.0, seed=1), side(2, 5.0, seed=2))
    assert vague["EER"] == pytest.approx(0.5, abs=0.25)
    assert vague["DIR@1%"] <= vague["DIR@10%"] < 0.7
    assert vague["TAR@0.1%"] <= vague["TAR@1%"] < 0.7


def test_blocks_of_queries_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = side(1, 0.6, seed=1), side(2, 0.6, seed=2)
    whole = score_thresholds(queries, gallery)
    monkeypatch.setattr(thresholds, "BLOCK", 5)
    assert score_thresholds(queries, gallery) == pytest.approx(whole)


def test_a_single_person_has_no_stranger() -> None:
    one = side(1, 0.1, seed=1, people=1), side(2, 0.1, seed=2, people=1)
    with pytest.raises(DataError, match="no pair of two people"):
        score_thresholds(*one)
    distractors = ImageTable(np.full(3, "x.jpg"), np.zeros(3, np.int64), np.full(3, 2))
    table = ImageTable.concatenate(one[1].table, distractors)
    gallery = Features(table, np.concatenate([one[1].embeddings, side(3, 0.5, seed=4).embeddings[1:4]]))
    scores = score_thresholds(one[0], gallery, distractor_id=0)
    assert scores["EER"] == 0
    assert math.isnan(scores["DIR@1%"])
