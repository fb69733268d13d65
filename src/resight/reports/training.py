"""The page of a training run: did it help, what did its clusters do, and what does a search now find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from resight.records import Features, Ranking, Report
from resight.reports import figures, strips
from resight.reports.page import (
    Section,
    figure_section,
    hardest_section,
    limits_section,
    problems_section,
    render_page,
    scores_table,
    settings_section,
    strips_section,
    warnings_section,
)

STRIPS = 12
"""How many ranked strips are shown, spread evenly from the best found query to the worst."""


def training_page(
    reports: Mapping[str, Report],
    metrics: Sequence[Mapping[str, Any]],
    *,
    title: str,
    found: tuple[Features, Features, Ranking] | None = None,
    problems: Sequence[tuple[str, str]] = (),
    settings: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """Build the page of a training run.

    Args:
        reports: Scores ``before``, ``last`` and ``best``; empty where there are no labels.
        metrics: One line an epoch.
        title: The page's title.
        found: Queries, gallery and the ranking of the best encoder, for the strips.
        problems: Images that could not be read, with the reason.
        settings: What the run was made with.
        warnings: What went wrong on the way.

    Returns:
        The HTML text.
    """
    sections = []
    if warnings:
        sections.append(warnings_section(list(warnings)))
    if reports:
        sections.append(scores_table(reports, title="Before and after"))
        curves = {name: figures.match_curve(report) for name, report in reports.items()}
        sections.append(
            figure_section("Right match within rank", figures.cmc_figure(curves), "The share of queries found so far.")
        )
    if metrics:
        sections += [
            figure_section(
                "Clusters",
                figures.cluster_figure(metrics),
                "Clusters stand in for people. A healthy run gathers more images into clusters from epoch to epoch.",
            ),
            figure_section("Training", figures.training_figure(metrics)),
        ]
    if found is not None and "best" in reports:
        sections += _strips(reports["best"], found)
    if problems:
        sections.append(problems_section(list(problems)))
    if settings:
        sections.append(settings_section(settings))
    sections.append(limits_section())
    return render_page(title, sections, subtitle=f"{len(metrics)} epochs")


def _strips(report: Report, found: tuple[Features, Features, Ranking]) -> list[Section]:
    queries, gallery, ranking = found
    precision = report.per_query["average_precision"]
    order = np.argsort(-np.nan_to_num(precision, nan=-1.0), kind="stable")
    order = order[~np.isnan(precision[order])]
    sample = [int(order[i]) for i in np.unique(np.linspace(0, len(order) - 1, STRIPS).round().astype(int))]
    drawn = strips.query_strips(queries.table, gallery.table, ranking, rows=sample, report=report)
    return [
        strips_section(
            "Ranked strips",
            drawn,
            "A sample of queries after training, spread evenly from the best found to the worst.",
        ),
        hardest_section(report, queries.table, gallery.table, ranking),
    ]
