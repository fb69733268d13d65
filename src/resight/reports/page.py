"""One self-contained HTML page: scores, curves, ranked strips and what to make of them.

The page loads nothing from elsewhere, and a content security policy in it forbids that it ever does. Every
text that comes from data is escaped.
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
from resight.reports import figures, tables
from resight.reports import ranked_lists as strips
from resight.reports.ranked_lists import Strip
from resight.reports.style import STYLE
from resight.reports.tiles import Names

_SAMPLE = 12  # strips of the sample
_HARDEST = 8  # strips of the hardest queries
_STRIP_HEIGHT = 160
_HALF_INCHES = 7.0

_VERDICTS = (
    ("right", "✓", "right: the same person"),
    ("wrong", "✕", "wrong: another person"),
    ("junk", "–", "not counted: the same person by the query's own camera, or nobody known"),
    ("unknown", "○", "not known: the query has no label"),
)


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Attributes:
        title: Its heading, plain text.
        body_html: Its body, HTML that is shown as it is: whoever builds it escapes what comes from data.
        intro: A sentence or two under the heading, plain text.
    """

    title: str
    body_html: str
    intro: str = ""


def scores_table(reports: Mapping[str, Report], *, title: str = "Scores") -> Section:
    """Build the table of scores, in percent.

    Args:
        reports: A report for each row name, such as ``"before"``, ``"last"``, ``"best"``.
        title: The section's heading.

    Returns:
        The section.
    """
    body = tables.html_table(("", *tables.score_columns(reports)), tables.score_rows(reports), style="scores")
    intro = (
        "In percent; larger is better. mAP says how high all right matches rank, rank-1 how often the first is right."
    )
    return Section(title, body, intro)


def changes_section(metrics: Sequence[Mapping[str, Any]]) -> Section:
    """Build the table of what became of a run's clusters, which needs no labels.

    Args:
        metrics: One line an epoch.

    Returns:
        The section.
    """
    body = tables.html_table(("", "at the start", "at the end"), tables.change_rows(metrics), style="scores")
    return Section("Clusters", body, "Known without labels. Steady clusters can still be wrong ones.")


def figure_section(title: str, figure: Figure, intro: str = "") -> Section:
    """Put a figure on the page, in the page's own colors and font.

    Args:
        title: The section's heading, and what a screen reader says of the figure.
        figure: A figure of `resight.reports.figures`, or one in its neutral colors.
        intro: A sentence under the heading.

    Returns:
        The section.
    """
    svg = figures.to_inline_svg(figure)
    # A narrow figure takes half the page where there is room, so that two stand side by side.
    style = "figure half" if figure.get_figwidth() < _HALF_INCHES else "figure"
    return Section(title, f'<div class="{style}" role="img" aria-label="{escape(title)}">{svg}</div>', intro)


def strips_section(title: str, drawn: Sequence[Strip], intro: str = "") -> Section:
    """Show ranked strips, under a key of their marks.

    Args:
        title: The section's heading.
        drawn: The strips, from `resight.reports.ranked_lists.query_strips`.
        intro: A sentence under the heading.

    Returns:
        The section.
    """
    if not drawn:
        return Section(title, _empty("There is nothing to show."), intro)
    key = "".join(
        f'<li><b style="background:{strips.VERDICT_COLORS[verdict]}">{mark}</b>{words}</li>'
        for verdict, mark, words in _VERDICTS
        if any(verdict in strip.verdicts for strip in drawn)
    )
    shown = "".join(
        f'<figure class="strip"><figcaption>{escape(strip.heading)}</figcaption><div class="scroll">'
        f'<img src="{strip.data_uri()}" width="{strip.image.width}" height="{strip.image.height}" '
        f'alt="Results in rank order: {", ".join(strip.verdicts) or "none"}" loading="lazy"></div></figure>'
        for strip in drawn
    )
    return Section(title, f'<ul class="key">{key}</ul>{shown}', intro)


def strips_sections(
    report: Report, queries: Features, gallery: Features, ranking: Ranking, names: Names | None = None
) -> list[Section]:
    """Show ranked strips of queries from the best found to the worst, and the hardest where there are more.

    Args:
        report: The evaluation; without scores, any queries are shown.
        queries: The queries.
        gallery: What they were ranked against.
        ranking: The ranking, one row a query.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.

    Returns:
        The sections.
    """
    rows = strips.sample_queries(report, ranking, _SAMPLE)
    drawn = strips.query_strips(queries, gallery, ranking, rows=rows, report=report, names=names, height=_STRIP_HEIGHT)
    shown = strips_section(
        "Ranked strips",
        drawn,
        "A sample of queries, spread evenly from the best found to the worst. Under each result: its similarity to the "
        "query (cosine, -1 to 1; larger is more alike) and its camera."
        + (" Re-ranking put them in order, by neighbors in common too." if report.provenance.get("re_ranking") else ""),
    )
    more = len(strips.sample_queries(report, ranking, _SAMPLE + 1)) > _SAMPLE
    return [shown, hardest_section(report, queries, gallery, ranking, names)] if more else [shown]


def hardest_section(
    report: Report,
    queries: Features,
    gallery: Features,
    ranking: Ranking,
    names: Names | None = None,
    *,
    count: int = _HARDEST,
) -> Section:
    """Show the queries with the lowest average precision.

    Args:
        report: The evaluation.
        queries: The queries.
        gallery: What they were ranked against.
        ranking: The ranking, one row a query.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.
        count: How many queries to show at most.

    Returns:
        The section.
    """
    rows = strips.by_precision(report)[:count]
    drawn = strips.query_strips(queries, gallery, ranking, rows=rows, report=report, names=names, height=_STRIP_HEIGHT)
    return strips_section(
        "Hardest queries",
        drawn,
        "The lowest average precision first. Look for causes that a camera or the data can mend: people cut "
        "off or hidden, blur, clothes alike, wrong labels.",
    )


def settings_section(settings: Mapping[str, object]) -> Section:
    """List settings and where things come from.

    Args:
        settings: Values by name; a mapping within it is listed under dotted names.

    Returns:
        The section.
    """
    rows = tables.setting_rows(settings)
    body = tables.html_table((), rows, style="settings") if rows else _empty("Not told.")
    return Section("How this was made", body)


def problems_section(problems: Iterable[tuple[str | Path, str]]) -> Section:
    """List files that could not be used.

    Args:
        problems: Path and reason of each.

    Returns:
        The section.
    """
    rows = [(printable(path), printable(reason)) for path, reason in problems]
    if not rows:
        return Section("Problems", _empty("Every file could be used."))
    return Section("Problems", tables.html_table(("File", "Reason"), rows, style="problems"))


def warnings_section(warnings: Sequence[str]) -> Section:
    """List warnings.

    Args:
        warnings: Their texts.

    Returns:
        The section.
    """
    items = "".join(f"<li>{escape(printable(text))}</li>" for text in warnings)
    body = f'<ul class="warnings">{items}</ul>' if items else _empty("There were no warnings.")
    return Section("Warnings", body)


def unlabeled_section() -> Section:
    """Say in plain words what a page without labels shows, and what nobody can know without them."""
    return Section("What is on this page", _UNLABELED)


def limits_section() -> Section:
    """Say in plain words what the numbers mean, and what they must not be used for."""
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
    """Build the whole page of an evaluation.

    Args:
        report: The evaluation.
        queries: The queries.
        gallery: What they were ranked against.
        ranking: The ranking that was scored, one row a query.
        title: The page's title.
        names: What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names.
        more_sections: Sections to put after the strips: a training figure, problems, warnings.

    Returns:
        The page: scores, curves, ranked strips from the best to the worst query, the hardest queries,
        provenance and limits.
    """
    precision = _precision(report)
    unscored = int(np.isnan(precision).sum())
    left_out = f" Left out: {counted(unscored, 'query', 'queries')} without a possible match." if unscored else ""
    scores = scores_table({"this evaluation": report})
    sections = [replace(scores, body_html=tables.headline_html(report, images=len(gallery)) + scores.body_html)]
    if len(precision):
        sections += [
            figure_section(
                "Cumulative match curve",
                figures.cmc_figure({"this evaluation": figures.match_curve(report)}),
                "How often a right match is among the first results." + left_out,
            ),
            figure_section(
                "Spread over the queries",
                figures.ap_histogram(precision),
                "The mean hides who is found and who is not: queries at the left fail." + left_out,
            ),
        ]
    sections += strips_sections(report, queries, gallery, ranking, names)
    # The curve is drawn above.
    provenance = {name: value for name, value in report.provenance.items() if name != "cmc"}
    sections += [*more_sections, settings_section(provenance), limits_section()]
    subtitle = f"{len(queries):,} queries against {len(gallery):,} gallery images"
    return render_page(title, sections, subtitle=subtitle)


def render_page(title: str, sections: Sequence[Section], *, subtitle: str = "") -> str:
    """Put sections together as one HTML page that needs nothing else.

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
<footer>Made with resight. This file holds all that it shows; it loads nothing from elsewhere.</footer>
</body>
</html>
"""


def write_page(path: str | Path, html: str) -> None:
    """Write a page so that a reader finds the old file or the whole new one, never a part.

    Args:
        path: Where to write; its folder is made where it is missing.
        html: The page.
    """
    write_atomically(Path(path), html)


def _empty(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'


def _precision(report: Report) -> Doubles:
    return np.asarray(report.per_query.get("average_precision", ()), dtype=np.float64)


_UNLABELED = """<dl class="limits">
<dt>Is the model good now?</dt>
<dd>This page cannot say. How often a search finds the right person (<b>mAP</b>, rank-1) can only be counted where it
is known who is who, and these images have no labels. Some fifty people with their names in a table are enough to
measure it: <b>resight evaluate</b>.</dd>
<dt>Clusters</dt>
<dd>Groups of images that the model takes for one person each; training learned from them in place of names. They should
become about as many as there are people. The sheets below show some: look whether each shows one person.</dd>
<dt>Images in no cluster (outliers)</dt>
<dd>Images too unlike all others. They should become few; where most stay, there is little to learn from.</dd>
<dt>Agreement (stability)</dt>
<dd>How much the clusters are those of the epoch before: 100 % the same, 0 % no more than by chance. It should rise.
High agreement says that training has settled, not that it is right.</dd>
</dl>"""

_LIMITS = """<dl class="limits">
<dt>What the numbers say</dt>
<dd><b>Rank-k</b> is the share of queries with a right match among the first k results. <b>mAP</b>, mean
average precision, asks that all right matches rank high, not only the first. <b>mINP</b> looks at the last:
how far down one must read to find every right match. Pictures of the same person by the query's own camera
do not count, unless the rule of the evaluation is "none". Queries without a possible match are not scored.</dd>
<dt>What they do not say</dt>
<dd>They hold for these cameras, these days and these people. Other cameras, seasons or clothes give other
numbers; measure again there. A mean hides groups of people for whom it works less well.</dd>
<dt>A result is a probable match</dt>
<dd>It says that two pictures look alike to a model, mostly in clothes and build. It is never proof of
identity: the first result always exists, also when the person was never seen. A person has to look, and to
look for reasons against it.</dd>
<dt>What it must not be used for</dt>
<dd>No decision about a person (arrest, refusal, accusation, pay, entry) may rest on it. It must not be used
to watch people without a legal basis, nor to infer who somebody is, where they come from or what they
believe. This page may hold pictures of people: share it as carefully as the pictures themselves.</dd>
</dl>"""
