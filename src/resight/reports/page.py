"""A self-contained HTML page: scores, curves, ranked lists and how to read them.

The page loads nothing from elsewhere, which its content security policy enforces. Every text from data is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from resight.errors import counted
from resight.files import printable, write_atomically
from resight.records import Doubles, Features, Ranking, Report
from resight.reports import figures, ranked_lists, tables
from resight.reports.ranked_lists import RankedList
from resight.reports.style import STYLE
from resight.reports.tiles import Names

_SAMPLE = 12  # queries of the sample
_ORDERS = {
    True: " The order is that of re-ranking, which also compares neighbors.",
    "joint": " The order also counts how plausible the time between two cameras is.",
}
_HARDEST = 8  # hardest queries
_LIST_HEIGHT = 160
_HALF_WIDTH = 7.0  # inches: narrower figures take half the page

_VERDICTS = (
    ("right", "✓", "right: the same person"),
    ("wrong", "✕", "wrong: another person"),
    ("junk", "–", "not counted: the same person by the query's own camera, or an unknown person"),
    ("unknown", "○", "unknown: the query has no label"),
)


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Attributes:
        title: Its heading, plain text.
        body_html: Its body, HTML that is not escaped again: the builder of the section escapes texts from data.
        intro: A sentence or two under the heading, plain text.
    """

    title: str
    body_html: str
    intro: str = ""


def scores_table(reports: Mapping[str, Report], *, title: str = "Scores") -> Section:
    """Build the table of scores, in percent.

    Args:
        reports: A report for each name of a row, such as ``"before"``, ``"last"``, ``"best"``.
        title: The section's heading.

    Returns:
        The section.
    """
    body = tables.html_table(("", *tables.score_columns(reports)), tables.score_rows(reports), style="scores")
    if thresholds := tables.threshold_rows(reports):
        body += tables.html_table(("one threshold", *tables.THRESHOLDS), thresholds, style="scores")
    intro = (
        "In percent; larger is better. mAP measures how high all right matches rank, rank-1 how often the first result "
        "is right."
    )
    return Section(title, body, intro)


def changes_section(metrics: Sequence[Mapping[str, Any]]) -> Section:
    """Build the table that compares a run's clusters at its start and its end, which needs no labels.

    Args:
        metrics: A line for each epoch.

    Returns:
        The section.
    """
    body = tables.html_table(("", "at the start", "at the end"), tables.change_rows(metrics), style="scores")
    return Section("Clusters", body, "Measured without labels. Stable clusters can still be wrong.")


def figure_section(title: str, figure: Figure, intro: str = "") -> Section:
    """Build the section of a figure, in the page's colors and font.

    Args:
        title: The section's heading, and the figure's text for screen readers.
        figure: A figure of `resight.reports.figures`, or one in its neutral colors.
        intro: A sentence under the heading.

    Returns:
        The section.
    """
    svg = figures.to_inline_svg(figure)
    # On wide screens two narrow figures are side by side.
    style = "figure half" if figure.get_figwidth() < _HALF_WIDTH else "figure"
    return Section(title, f'<div class="{style}" role="img" aria-label="{escape(title)}">{svg}</div>', intro)


def ranked_lists_section(title: str, lists: Sequence[RankedList], intro: str = "") -> Section:
    """Build the section of some ranked lists, under a key of their marks.

    Args:
        title: The section's heading.
        lists: Ranked lists from `resight.reports.ranked_lists.draw_query_lists`.
        intro: A sentence under the heading.

    Returns:
        The section.
    """
    if not lists:
        return Section(title, _empty("There is nothing to show."), intro)
    key = "".join(
        f'<li><b style="background:{ranked_lists.VERDICT_COLORS[verdict]}">{mark}</b>{words}</li>'
        for verdict, mark, words in _VERDICTS
        if any(verdict in ranked.verdicts for ranked in lists)
    )
    list_html = "".join(
        f'<figure class="strip"><figcaption>{escape(ranked.heading)}</figcaption><div class="scroll">'
        f'<img src="{ranked.data_uri()}" width="{ranked.image.width}" height="{ranked.image.height}" '
        f'alt="Results in rank order: {", ".join(ranked.verdicts) or "none"}" loading="lazy"></div></figure>'
        for ranked in lists
    )
    return Section(title, f'<ul class="key">{key}</ul>{list_html}', intro)


def query_sections(
    report: Report, queries: Features, gallery: Features, ranking: Ranking, names: Names | None = None
) -> list[Section]:
    """Build the sections of ranked lists: a sample from the best to the worst, and the hardest if there are more.

    Args:
        report: The evaluation; without scores, the queries are spread over the ranking.
        queries: The queries.
        gallery: The ranked gallery.
        ranking: The ranking, a row for each query.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.

    Returns:
        The sections.
    """
    rows = ranked_lists.sample_queries(report, ranking, _SAMPLE)
    lists = ranked_lists.draw_query_lists(
        queries, gallery, ranking, rows=rows, report=report, names=names, height=_LIST_HEIGHT
    )
    order = _ORDERS.get(report.provenance.get("rerank"), "")
    sample = ranked_lists_section(
        "Ranked lists",
        lists,
        "A sample of queries, spread evenly from the best to the worst score. Under each result: its similarity to the "
        "query (cosine, -1 to 1; larger is more similar) and its camera." + order,
    )
    has_more = len(ranked_lists.sample_queries(report, ranking, _SAMPLE + 1)) > _SAMPLE
    return [sample, hardest_section(report, queries, gallery, ranking, names)] if has_more else [sample]


def hardest_section(
    report: Report,
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    names: Names | None = None,
    *,
    count: int = _HARDEST,
) -> Section:
    """Build the section of the queries with the lowest average precision.

    Args:
        report: The evaluation.
        queries: The queries.
        gallery: The ranked gallery.
        ranking: The ranking, a row for each query.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.
        count: The most queries to show.

    Returns:
        The section.
    """
    rows = ranked_lists.sort_by_precision(report)[:count]
    lists = ranked_lists.draw_query_lists(
        queries, gallery, ranking, rows=rows, report=report, names=names, height=_LIST_HEIGHT
    )
    return ranked_lists_section(
        "Hardest queries",
        lists,
        "The lowest average precision first. Look for causes that you can fix at the camera or in the data: cropped or "
        "hidden people, blur, similar clothes, wrong labels.",
    )


def settings_section(settings: Mapping[str, object]) -> Section:
    """Build the section of settings and provenance.

    Args:
        settings: Values by name; a nested mapping is listed under dotted names.

    Returns:
        The section.
    """
    rows = tables.setting_rows(settings)
    body = tables.html_table((), rows, style="settings") if rows else _empty("Not recorded.")
    return Section("How this was made", body)


def problems_section(problems: Iterable[tuple[str | Path, str]]) -> Section:
    """Build the section of files that could not be used.

    Args:
        problems: The path and the reason of each.

    Returns:
        The section.
    """
    rows = [(printable(path), printable(reason)) for path, reason in problems]
    if not rows:
        return Section("Problems", _empty("Every file could be used."))
    return Section("Problems", tables.html_table(("File", "Reason"), rows, style="problems"))


def warnings_section(warnings: Sequence[str]) -> Section:
    """Build the section of warnings.

    Args:
        warnings: The texts of the warnings.

    Returns:
        The section.
    """
    items = "".join(f"<li>{escape(printable(text))}</li>" for text in warnings)
    body = f'<ul class="warnings">{items}</ul>' if items else _empty("There were no warnings.")
    return Section("Warnings", body)


def unlabeled_section() -> Section:
    """Build the section that explains a page without scores, and why it has none."""
    return Section("What is on this page", _UNLABELED)


def limits_section() -> Section:
    """Build the section that explains the numbers, and what they must not be used for."""
    return Section("What this means, and what it does not", _LIMITS)


def evaluation_page(
    report: Report,
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    *,
    title: str,
    names: Names | None = None,
    more_sections: Sequence[Section] = (),
) -> str:
    """Build the page of an evaluation.

    Args:
        report: The evaluation.
        queries: The queries.
        gallery: The ranked gallery.
        ranking: The scored ranking, a row for each query.
        title: The page's title.
        names: The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any.
        more_sections: Sections to put after the ranked lists: a training figure, problems, warnings.

    Returns:
        The page: scores, curves, ranked lists from the best to the worst query, the hardest queries, provenance and
        limits.
    """
    precision = _precision(report)
    unscored = int(np.isnan(precision).sum())
    unscored_note = f" Left out: {counted(unscored, 'query', 'queries')} without a possible match." if unscored else ""
    scores = scores_table({"this evaluation": report})
    sections = [replace(scores, body_html=tables.headline_html(report, images=len(gallery)) + scores.body_html)]
    if len(precision):
        sections += [
            figure_section(
                "Cumulative match curve",
                figures.cmc_figure({"this evaluation": figures.match_curve(report)}),
                "How often a right match is among the first results." + unscored_note,
            ),
            figure_section(
                "Spread over the queries",
                figures.ap_histogram(precision),
                "The mean hides differences between queries: those on the left fail." + unscored_note,
            ),
        ]
    sections += query_sections(report, queries, gallery, ranking, names)
    # The page has the curve as a figure.
    provenance = {name: value for name, value in report.provenance.items() if name != "cmc"}
    sections += [*more_sections, settings_section(provenance), limits_section()]
    subtitle = f"{len(queries):,} queries against {len(gallery):,} gallery images"
    return render_page(title, sections, subtitle=subtitle)


def render_page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Return sections as one self-contained HTML page.

    Args:
        title: The page's title, plain text.
        sections: The sections, in order.
        subtitle: A line under the title, plain text.

    Returns:
        The HTML text.
    """
    links = "".join(f'<a href="#s{i}">{escape(section.title)}</a>' for i, section in enumerate(sections))
    body = "".join(
        f'<section id="s{i}"><h2>{escape(section.title)}</h2>'
        + (f'<p class="intro">{escape(section.intro)}</p>' if section.intro else "")
        + f"{section.body_html}</section>\n"
        for i, section in enumerate(sections)
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p><nav>{links}</nav></header>
<main>
{body}</main>
<footer>Made with resight. This file is self-contained; it loads nothing from elsewhere.</footer>
</body>
</html>
"""


def write_page(path: str | Path, html: str) -> None:
    """Write a page atomically, so that a reader finds the old or the new file, never a part.

    Args:
        path: The file to write; its folder is created if absent.
        html: The page.
    """
    write_atomically(Path(path), html)


def _empty(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'


def _precision(report: Report) -> Doubles:
    return np.asarray(report.per_query.get("average_precision", ()), dtype=np.float64)


_UNLABELED = """<dl class="limits">
<dt>Is the model good now?</dt>
<dd>This page cannot tell. How often a search finds the right person (<b>mAP</b>, rank-1) can only be measured with
labels, and these images have none. A table with the names of about fifty people is enough to measure it:
<b>resight evaluate</b>.</dd>
<dt>Clusters</dt>
<dd>Groups of images that the model takes for one person each; the training learned from them instead of names. Their
number should approach the number of people. The sheets below show some clusters: check whether each shows one
person.</dd>
<dt>Images in no cluster (outliers)</dt>
<dd>Images too different from all others. Their number should fall; if most images stay outliers, there is little to
learn from.</dd>
<dt>Agreement (stability)</dt>
<dd>How similar the clusters are to those of the previous epoch: 100 % is identical, 0 % is chance. It should rise. High
agreement shows that the training has converged, not that it is right.</dd>
</dl>"""

_LIMITS = """<dl class="limits">
<dt>What the numbers say</dt>
<dd><b>Rank-k</b> is the share of queries with a right match among the first k results. <b>mAP</b>, mean
average precision, is high if all right matches rank high, not only the first. <b>mINP</b> depends on the last
right match: how far down you must read to find them all. Pictures of the same person by the query's own camera
do not count, unless the evaluation excludes "none". Queries without a possible match are not scored.</dd>
<dt>What they do not say</dt>
<dd>They hold for these cameras, these days and these people. Other cameras, seasons or clothes give other
numbers, so measure again there. A mean hides groups of people for whom the model works less well.</dd>
<dt>A result is a probable match</dt>
<dd>It says that two pictures look similar to a model, mostly in clothes and build. It is never proof of
identity: there is always a first result, even if no camera saw the person. A human has to check it, and to
look for reasons against it.</dd>
<dt>What it must not be used for</dt>
<dd>No decision about a person (arrest, refusal, accusation, pay, entry) may rest on it. It must not be used
to watch people without a legal basis, nor to infer a person's identity, origin or beliefs. This page may hold
pictures of people: share it as carefully as the pictures themselves.</dd>
</dl>"""
