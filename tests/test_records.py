"""The records refuse what does not fit together, and never change."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from resight.errors import DataError
from resight.records import Features, ImageTable, PseudoLabels, Ranking, Report

TABLE = ImageTable(np.array(["a", "b", "c"]), np.array([4, 4, -1]), np.array([0, 1, 2]))


def features(*, dim: int = 3, encoder: str = "") -> Features:
    return Features(TABLE, np.eye(3, dim), encoder)


def test_a_column_that_is_not_given_is_unknown() -> None:
    assert TABLE.tracklet_ids.tolist() == TABLE.frame_ids.tolist() == [-1, -1, -1]
    assert TABLE.person_ids.dtype == TABLE.frame_ids.dtype == np.int64
    assert TABLE.has_people
    assert TABLE.has_cameras
    assert not ImageTable(np.array(["a", "b"]), camera_ids=np.array([1, -1])).has_cameras
    assert not ImageTable(np.array(["a"])).has_people
    assert not TABLE[:0].has_cameras


def test_columns_must_be_of_one_length() -> None:
    with pytest.raises(DataError, match=r"camera_ids must have shape \(2,\), found \(3,\)"):
        ImageTable(np.array(["a", "b"]), camera_ids=np.arange(3))
    with pytest.raises(DataError, match=r"paths must have shape \(N,\)"):
        ImageTable(np.array([["a"], ["b"]]))


def test_nothing_changes_a_table_in_place() -> None:
    given = np.array([1, 2, 3])
    table = ImageTable(np.array(["a", "b", "c"]), given)
    given[0] = 9
    assert table.person_ids.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        table.person_ids[0] = 9
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.person_ids = given  # type: ignore[misc]


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([1, 2]), np.array([False, True, True])])
def test_rows_are_chosen_from_every_column(rows: slice | np.ndarray) -> None:
    chosen = features()[rows]
    assert chosen.table.paths.tolist() == ["b", "c"]
    assert chosen.table.person_ids.tolist() == [4, -1]
    assert chosen.table.camera_ids.tolist() == [1, 2]
    assert chosen.embeddings.tolist() == [[0, 1, 0], [0, 0, 1]]


def test_tables_are_joined_in_order() -> None:
    joined = ImageTable.concatenate(TABLE[1:], TABLE[:1], TABLE[:0])
    assert joined.paths.tolist() == ["b", "c", "a"]
    assert joined.person_ids.tolist() == [4, -1, 4]


def test_vectors_are_finite_and_one_a_row() -> None:
    with pytest.raises(DataError, match=r"shape \(3, D\), found \(2, 3\)"):
        Features(TABLE, np.eye(2, 3))
    for bad in (np.nan, np.inf, 1e39):
        with pytest.raises(DataError, match="nan or inf"), np.errstate(over="ignore"):
            Features(TABLE, np.full((3, 2), bad))
    with pytest.raises(ValueError, match="read-only"):
        features().embeddings[0] = 1


def test_only_vectors_of_one_encoder_and_length_compare() -> None:
    for other in (features(), features(encoder="e"), features(encoder="e")[:0]):
        features(encoder="e").check_comparable(other)
    with pytest.raises(DataError, match="different encoders e and f"):
        features(encoder="e").check_comparable(features(encoder="f"))
    with pytest.raises(DataError, match="lengths 3 and 2"):
        features().check_comparable(features(dim=2))


def test_clusters_are_counted() -> None:
    assert PseudoLabels(np.array([0, 2, -1, 1, 2]), 0.5).num_clusters == 3
    assert PseudoLabels(np.array([-1, -1]), 0.5).num_clusters == 0
    assert PseudoLabels(np.array([], np.int64), 0.5).num_clusters == 0
    with pytest.raises(DataError, match="labels must have shape"):
        PseudoLabels(np.zeros((2, 2)), 0.5)


@pytest.mark.parametrize("distances", [[[0.2, 0.1]], [[np.nan, 0.1]], [[0.1, np.nan]]])
def test_a_ranking_ascends(distances: list[list[float]]) -> None:
    with pytest.raises(DataError, match="ascend"):
        Ranking(np.array([[0, 1]]), np.array(distances))
    with pytest.raises(DataError, match="one \\(Q, K\\) shape"):
        Ranking(np.array([[0, 1]]), np.array([[0.1]]))
    assert len(Ranking(np.array([[3, 1, -1]]), np.array([[0.1, 0.1, np.inf]]))) == 1
    with pytest.raises(DataError, match=r"similarities must have shape \(1, 2\), found \(1, 1\)"):
        Ranking(np.array([[0, 1]]), np.array([[0.1, 0.2]]), np.array([[0.9]]))


def test_a_report_becomes_plain_json() -> None:
    report = Report(
        {"mAP": np.float64(0.5), "mINP": float("nan")},
        {"first_rank": np.array([0, -1]), "average_precision": np.array([1.0, np.nan])},
        {"root": Path("a/b"), "images": np.int64(3), "cmc": (0.5, np.nan), "more": {"data": Path("c")}, "none": None},
    )
    assert json.loads(json.dumps(report.to_json(), allow_nan=False)) == {
        "scores": {"mAP": 0.5, "mINP": None},
        "per_query": {"first_rank": [0, -1], "average_precision": [1.0, None]},
        "provenance": {
            "root": str(Path("a/b")), "images": 3, "cmc": [0.5, None], "more": {"data": "c"}, "none": None,
        },
    }  # fmt: skip
