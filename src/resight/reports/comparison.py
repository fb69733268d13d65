"""The page that shows two models side by side: scores, differences, and the queries that gain and lose most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resight.errors import counted
from resight.numerics.bootstrap import Interval
from resight.records import Features, Ints, Ranking, Report
from resight.reports import figures, tables
from resight.reports.page import (
    Section,
    figure_section,
    limits_section,
    ranked_lists_section,
    render_page,
    scores_table,
    settings_section,
)
from resight.reports.ranked_lists import RankedList, draw_query_lists
from resight.reports.tiles import Names, display_name
from resight.retrieval.comparison import Comparison

_SHOWN = 8  # queries that gain, and that lose
_HEIGHT = 140


class Side(NamedTuple):
    """One of the two models.

    Attributes:
        name: Its name, plain text.
        report: Its evaluation.
        queries: Its embeddings of the queries.
        gallery: Its embeddings of the gallery.
        ranking: Its ranking, a row for each query.
    """

    name: str
    report: Report
    queries: Features
    gallery: Features
    ranking: Ranking


def difference_rows(comparison: Comparison, cameras: Sequence[str] = ()) -> list[tuple[str, str, str, str]]:
    """Return the cells of the table of differences, in points of percent.

    Args:
        comparison: The comparison.
        cameras: The names of the cameras, in the order of the ids, if the data set has any.

    Returns:
        For each score, and for mAP by each camera: its name, the difference, its interval, and what the interval says.
    """
    rows = [(name, *_cells(interval)) for name, interval in comparison.differences.items()]
    if len(comparison.by_camera) > 1:
        for camera, interval in comparison.by_camera.items():
            name = display_name(camera, cameras, "camera") or "camera unknown"
            rows.append((f"mAP, queries of {name}", *_cells(interval)))
    return rows


def comparison_page(comparison: Comparison, sides: tuple[Side, Side], *, title: str, names: Names | None = None) -> str:
    """Build the page of a comparison.

    Args:
        comparison: The comparison, the second model minus the first.
        sides: The two models.
        title: The page's title.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.

    Returns:
        The page: scores, differences, matching curves, and the queries that gain and lose most with both ranked lists.
    """
    first, second = sides
    reports = {side.name: side.report for side in sides}
    rows = difference_rows(comparison, (names or {}).get("cameras", ()))
    wins = counted(comparison.wins, "query gains", "queries gain")
    losses = counted(comparison.losses, "loses", "lose")
    body = tables.html_table(("", "difference", "95 % interval", ""), rows, style="scores")
    differences = Section(
        "Differences",
        body,
        f"{second.name} minus {first.name}, in points of percent. The interval is a bootstrap over people: if "
        f"it holds 0, another choice of people could turn the sign. {wins} average precision, {losses}.",
    )
    curves = {side.name: figures.match_curve(side.report) for side in sides}
    sections = [
        scores_table(reports),
        differences,
        figure_section("Cumulative match curves", figures.cmc_figure(curves)),
        figure_section(
            "Gains and losses",
            figures.gain_histogram(comparison.gains),
            "The change in average precision of each query. The mean hides how much single queries change.",
        ),
        _lists_section(f"Where {second.name} wins", comparison.gained, sides, names),
        _lists_section(f"Where {first.name} wins", comparison.lost, sides, names),
        settings_section({side.name: _provenance(side.report) for side in sides}),
        limits_section(),
    ]
    subtitle = f"{len(first.queries):,} queries against {len(first.gallery):,} gallery images"
    return render_page(title, sections, subtitle=subtitle)


def _lists_section(title: str, rows: Ints, sides: tuple[Side, Side], names: Names | None) -> Section:
    """Build the section of some queries: the two ranked lists of each, one below the other."""
    shown = [int(row) for row in rows[:_SHOWN]]
    drawn = [
        draw_query_lists(
            side.queries, side.gallery, side.ranking, rows=shown, report=side.report, names=names, height=_HEIGHT
        )
        for side in sides
    ]
    lists = [
        RankedList(ranked.image, f"{side.name} · {ranked.heading}", ranked.verdicts)
        for pair in zip(*drawn, strict=True)
        for side, ranked in zip(sides, pair, strict=True)
    ]
    intro = f"The largest differences of {len(rows):,} first. Each query has two lists, one of each model."
    return ranked_lists_section(title, lists, intro if lists else "")


def _cells(interval: Interval) -> tuple[str, str, str]:
    mean, low, high = (f"{100 * value:+.1f}".replace("-0.0", "0.0").replace("+0.0", "0.0") for value in interval)
    verdict = "better" if interval.low > 0 else "worse" if interval.high < 0 else "may be chance"
    return mean, f"{low} to {high}", verdict


def _provenance(report: Report) -> dict[str, object]:
    return {name: value for name, value in report.provenance.items() if name != "cmc"}
