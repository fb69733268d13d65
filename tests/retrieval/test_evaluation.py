"""Scores beside a table worked out by hand."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import reference
from messages import one_line
from resight.errors import ConfigError, DataError
from resight.numerics.metrics import METRICS
from resight.records import Features, ImageTable
from resight.reports.tables import score_columns, score_rows
from resight.retrieval.evaluation import evaluate


def features(*rows: tuple[float, int, int], encoder: str = "e") -> Features:
    """Unit vectors at angles (degrees), with people and cameras."""
    angles, people, cameras = (np.array(column) for column in zip(*rows, strict=True))
    vectors = np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], 1)
    paths = np.array([f"{i}.jpg" for i in range(len(rows))])
    return Features(ImageTable(paths, people, cameras), vectors, encoder)


GALLERY = features(
    (5, 1, 1), (10, 2, 1), (20, 1, 2), (40, 2, 2), (60, 1, 2),
    (1, 1, 0),  # the first query's person by its own camera
    (3, -1, 2),  # junk
)  # fmt: skip

QUERIES = features((0, 1, 0), (12, 2, 0), (52, 2, 1), (0, 9, 0))
"""What each finds, nearest first, without its own camera's and the junk:

0: 5 hit, 10, 20 hit, 40, 60 hit                    hits at ranks 0, 2, 4
1: 10 hit, 5, 20, 1 (camera 0, another's), 40 hit   hits at ranks 0, 4
2: 60, 40 hit (10 is its own camera's)              hits at rank 1
3: nobody is person 9
"""


def test_scores_are_those_of_the_hand_table() -> None:
    report = evaluate(QUERIES, GALLERY, provenance={"data": "made up"})
    precision = [(1 + 2 / 3 + 3 / 5) / 3, (1 + 2 / 5) / 2, 1 / 2]
    penalty = [3 / 5, 2 / 5, 1 / 2]
    assert report.scores == pytest.approx(
        {
            "mAP": np.mean(precision),
            "mINP": np.mean(penalty),
            "rank-1": 2 / 3,
            "rank-5": 1.0,
            "rank-10": 1.0,
            "queries": 4,
            "queries_without_match": 1,
        }
    )
    columns = report.per_query
    assert columns["average_precision"][:3] == pytest.approx(precision)
    assert columns["inverse_negative_penalty"][:3] == pytest.approx(penalty)
    assert columns["first_rank"].tolist() == [0, 0, 1, -1]
    assert columns["matches"].tolist() == [3, 2, 1, 0]
    assert columns["query"].tolist() == [0, 1, 2, 3]
    assert math.isnan(columns["average_precision"][3])
    assert report.provenance["data"] == "made up"
    assert report.provenance["encoder"] == "e"
    assert report.provenance["cmc"][:2] == pytest.approx([2 / 3, 1.0])
    assert report.to_json()["per_query"]["average_precision"][3] is None


def test_without_the_rule_the_own_cameras_images_count() -> None:
    report = evaluate(QUERIES[:1], GALLERY, exclude="none")
    # 1 hit, 5 hit, 10, 20 hit, 40, 60 hit
    assert report.scores["mAP"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)
    assert report.scores["mINP"] == pytest.approx(4 / 6)


def test_blocks_of_queries_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(QUERIES, GALLERY)
    monkeypatch.setattr("resight.retrieval.evaluation.BLOCK", 1)
    parts = evaluate(QUERIES, GALLERY)
    assert whole.scores == parts.scores
    assert whole.per_query["first_rank"].tolist() == parts.per_query["first_rank"].tolist()


def test_another_distance_is_the_one_that_ranks() -> None:
    farthest_first = evaluate(QUERIES[:1], GALLERY, distance_fn=lambda asked, held: asked @ held.T)
    # 60 hit, 40, 20 hit, 10, 5 hit
    assert farthest_first.scores["mAP"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert farthest_first.scores["rank-1"] == 1
    nearest = evaluate(QUERIES[1:2], GALLERY, distance_fn=lambda asked, held: asked @ held.T)
    assert nearest.scores["mAP"] == pytest.approx((1 / 2 + 2 / 6) / 2), "60, 40 hit, 1, 20, 5, 10 hit"
    with pytest.raises(ConfigError, match="leave out distance_fn or rerank"):
        evaluate(QUERIES, GALLERY, distance_fn=lambda asked, held: asked @ held.T, rerank=True)


def test_a_perfect_ranking_scores_one() -> None:
    perfect = features((0, 1, 1), (1, 1, 2), (90, 2, 1), (91, 2, 2))
    scores = evaluate(features((0, 1, 0), (90, 2, 0)), perfect).scores
    assert (scores["mAP"], scores["mINP"], scores["rank-1"]) == (1, 1, 1)


def test_re_ranked_scores_are_those_of_the_naive_re_ranked_distances() -> None:
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(1, 9), 8)
    vectors = np.repeat(random.normal(size=(8, 6)), 8, axis=0) + 0.7 * random.normal(size=(64, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = ImageTable(np.arange(64).astype(str), people, np.tile(np.arange(4), 16))
    made = Features(table, vectors.astype(np.float32), "e")
    asked = np.arange(64) % 8 == 0
    queries, gallery = made[asked], made[~asked]
    report = evaluate(queries, gallery, rerank=True)
    distances = reference.rerank(queries.embeddings.astype(float), gallery.embeddings.astype(float), 20, 6, 0.3)
    pairs = [
        list(zip(f.table.person_ids.tolist(), f.table.camera_ids.tolist(), strict=True)) for f in (queries, gallery)
    ]
    ranks = reference.ranks(distances, *pairs)
    assert report.scores["mAP"] == pytest.approx(np.mean([reference.average_precision(r) for r in ranks]), abs=1e-6)
    assert report.scores["rank-1"] == pytest.approx(np.mean([r[0] == 0 for r in ranks]))
    assert report.provenance["rerank"] is True
    assert report.scores["mAP"] != evaluate(queries, gallery).scores["mAP"]


def test_what_cannot_be_compared_or_scored_is_refused() -> None:
    other = dataclasses.replace(GALLERY, encoder="f")
    for queries, gallery, words in (
        (QUERIES, other, "different encoders"),
        (QUERIES[:0], GALLERY, "found 0 and 7"),
        (QUERIES, GALLERY[:0], "found 4 and 0"),
        (QUERIES, Features(GALLERY.table, np.eye(7, 3), "e"), "lengths 2 and 3"),
        (QUERIES[3:], GALLERY, "the gallery holds none of their people"),
        (QUERIES[:1], GALLERY[6:], "the gallery holds none of their people"),  # junk alone
        (QUERIES[:1], GALLERY[5:6], "one camera only"),
        (QUERIES[[0, 3]], GALLERY[5:6], "one camera only"),
    ):
        with pytest.raises(DataError, match=words) as error:
            evaluate(queries, gallery)
        one_line(error)


def test_a_distractor_is_nobodys_match() -> None:
    assert evaluate(QUERIES, GALLERY, distractor_id=1).scores["queries_without_match"] == 2
    with pytest.raises(DataError, match="the gallery holds none of their people"):
        evaluate(QUERIES[:1], GALLERY, distractor_id=1)


def test_a_metric_is_added_by_an_entry(monkeypatch):
    """The share of positives among the first two results, for example: in the scores, and in tables."""

    def recall_at_two(ranks, offsets):
        counts = np.diff(offsets)
        hits = np.bincount(np.repeat(np.arange(len(counts)), counts), ranks < 2, minlength=len(counts))
        return np.where(counts, hits / np.maximum(counts, 1), np.nan)

    monkeypatch.setitem(METRICS, "recall-2", recall_at_two)
    report = evaluate(features((0, 1, 0)), features((5, 2, 1), (10, 1, 1), (40, 1, 2), (60, 2, 2)))
    assert report.scores["recall-2"] == 0.5
    assert report.scores["rank-1"] == 0
    assert report.scores["rank-5"] == 1
    assert score_columns({"best": report})[5] == "recall-2"
    assert score_rows({"best": report})[0][6] == "50.0"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda count: 0.5, r"one number for each query, shape \(1,\); found float64 \(\)"),
        (lambda count: np.zeros(count + 1), r"shape \(1,\); found float64 \(2,\)"),
        (lambda count: ["high"] * count, "one number for each query"),
        (lambda count: np.full(count, np.nan), "nan or inf for a query that has a positive"),
    ],
)
def test_an_added_metric_that_returns_something_else_is_an_error(monkeypatch, values, words):
    """Numpy would average any of these without a word."""
    monkeypatch.setitem(METRICS, "mine", lambda ranks, offsets: values(len(offsets) - 1))
    with pytest.raises(ConfigError, match=f"metric 'mine' .*{words}"):
        evaluate(features((0, 1, 0)), features((5, 2, 1), (10, 1, 1)))
