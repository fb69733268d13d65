"""The report of a training run: scores before and after, clusters, curves and ranked lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resight.data.clusters_csv import Clusters
from resight.records import Features, Ranking, Report
from resight.reports import figures
from resight.reports.clusters import clusters_section
from resight.reports.page import (
    changes_section,
    figure_section,
    limits_section,
    problems_section,
    query_sections,
    render_page,
    scores_table,
    settings_section,
    unlabeled_section,
    warnings_section,
)
from resight.reports.parts import parts_sections
from resight.reports.tiles import Names
from resight.retrieval.explain import PartSimilarities

_CLUSTERED = "Clusters stand in for people. A healthy run gathers more images into clusters from epoch to epoch."


def training_page(
    reports: Mapping[str, Report],
    metrics: Sequence[Mapping[str, Any]],
    *,
    title: str,
    ranked: tuple[Features, Features, Ranking] | None = None,
    names: Names | None = None,
    clusters: Clusters | None = None,
    parts: PartSimilarities | None = None,
    problems: Sequence[tuple[str, str]] = (),
    settings: Mapping[str, object] | None = None,
    warnings: Sequence[str] = (),
) -> str:
    """Build the page of a training run.

    Args:
        reports: The scores ``before``, ``last`` and ``best``; empty if the data set has no queries.
        metrics: A line for each epoch.
        title: The page's title.
        ranked: Queries, gallery and ranking of the best encoder, for the ranked lists.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.
        clusters: The clusters that the best encoder learned from.
        parts: The similarities of the parts in that ranking.
        problems: The images that could not be read, with the reason.
        settings: The settings of the run.
        warnings: The warnings of the run.

    Returns:
        The HTML text.
    """
    sections = []
    if warnings:
        sections.append(warnings_section(list(warnings)))
    if clusters is not None and not reports:
        sections.append(unlabeled_section())
    if reports:
        sections.append(scores_table(reports, title="Before and after"))
        curves = {name: figures.match_curve(report) for name, report in reports.items()}
        sections.append(
            figure_section("Right match within rank", figures.cmc_figure(curves), "The share of queries found so far.")
        )
    if metrics:
        clustered = any("clusters" in line for line in metrics)
        caption = (
            _CLUSTERED
            if clustered
            else "Means of each epoch. Only the scores tell how well the model works for new people."
        )
        if clustered:
            sections.append(changes_section(metrics))
        sections.append(figure_section("Training", figures.training_figure(metrics), caption))
    if clusters is not None:
        sections.append(clusters_section(clusters, names))
    if ranked is not None and "best" in reports:
        queries, gallery, ranking = ranked
        sections += query_sections(reports["best"], queries, gallery, ranking, names)
        if parts is not None:
            sections += parts_sections(reports["best"], queries, gallery, ranking, parts, names)
    if problems:
        sections.append(problems_section(list(problems)))
    if settings:
        sections.append(settings_section(settings))
    sections.append(limits_section())
    return render_page(title, sections, subtitle="1 epoch" if len(metrics) == 1 else f"{len(metrics):,} epochs")
