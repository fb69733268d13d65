"""Two models on the same queries: what differs, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from resight.errors import DataError, check_given
from resight.numerics.bootstrap import Interval, bootstrap_mean
from resight.records import Doubles, ImageTable, Ints, Report


@dataclass(frozen=True, eq=False)
class Comparison:
    """The differences of two evaluations, the second minus the first.

    Attributes:
        differences: For ``mAP``, ``mINP`` and ``rank-1`` the mean difference with its 95 % interval over people, in
            -1..1.
        by_camera: For each camera id of the queries the difference in mAP with its interval.
        gains: ``(Q,)`` the difference in average precision of each query; nan without a possible match.
        wins: Queries with a higher average precision by the second model.
        losses: Queries with a lower one.
    """

    differences: Mapping[str, Interval]
    by_camera: Mapping[int, Interval]
    gains: Doubles
    wins: int
    losses: int

    @property
    def gained(self) -> Ints:
        """The rows of the queries that gain, those that gain most first."""
        order = np.argsort(-self.gains, kind="stable")
        rows: Ints = order[self.gains[order] > 0]
        return rows

    @property
    def lost(self) -> Ints:
        """The rows of the queries that lose, those that lose most first."""
        order = np.argsort(self.gains, kind="stable")
        rows: Ints = order[self.gains[order] < 0]
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as data for `json.dumps`."""
        return {
            "differences": {name: interval._asdict() for name, interval in self.differences.items()},
            "by_camera": {str(camera): interval._asdict() for camera, interval in self.by_camera.items()},
            "wins": self.wins,
            "losses": self.losses,
            "gains": [None if np.isnan(gain) else float(gain) for gain in self.gains],
        }


def compare(first: Report, second: Report, queries: ImageTable, *, samples: int = 10_000, seed: int = 1) -> Comparison:
    """Compare two evaluations of the same queries.

    Args:
        first: The evaluation to compare with.
        second: The other evaluation.
        queries: The ``Q`` queries of both; their people are what the intervals are over.
        samples: The number of bootstrap samples.
        seed: The seed of the bootstrap.

    Returns:
        The differences, the second minus the first.

    Raises:
        DataError: The two have other queries or another gallery: a different number, or other possible matches.
    """
    for name, report in (("first", first), ("second", second)):
        check_given(name, report, Report, "a Report, as resight.evaluate returns")
    matches = first.per_query["matches"]
    if len(queries) != len(matches) or not np.array_equal(matches, second.per_query["matches"]):
        raise DataError(
            f"two models are compared on the same queries and gallery: found {len(matches):,} queries with "
            f"{int(matches.sum()):,} possible matches, and {len(second.per_query['matches']):,} with "
            f"{int(second.per_query['matches'].sum()):,}"
        )
    values = [_values(report) for report in (first, second)]
    differences = {
        name: bootstrap_mean(values[1][name] - values[0][name], queries.person_ids, samples=samples, seed=seed)
        for name in values[0]
    }
    gains = values[1]["mAP"] - values[0]["mAP"]
    by_camera = {}
    for camera in np.unique(queries.camera_ids[~np.isnan(gains)]):
        rows = queries.camera_ids == camera
        by_camera[int(camera)] = bootstrap_mean(gains[rows], queries.person_ids[rows], samples=samples, seed=seed)
    return Comparison(differences, by_camera, gains, int((gains > 0).sum()), int((gains < 0).sum()))


def _values(report: Report) -> dict[str, Doubles]:
    """Return the value of each query in each score."""
    first_rank = report.per_query["first_rank"]
    return {
        "mAP": np.asarray(report.per_query["average_precision"]),
        "mINP": np.asarray(report.per_query["inverse_negative_penalty"]),
        "rank-1": np.where(first_rank < 0, np.nan, first_rank == 0),
    }
