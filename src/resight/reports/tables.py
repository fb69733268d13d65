"""Tables of scores, clusters and settings, for the terminal and for HTML pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from resight.files import printable
from resight.records import Report

SCORES = ("mAP", "mINP", "rank-1", "rank-5", "rank-10")
"""The scores of every score table, in percent."""

THRESHOLDS = ("TAR@0.1%", "TAR@1%", "EER", "DIR@1%", "DIR@10%")
"""The scores of one threshold, in percent: in the EER, smaller is better."""

COUNTS = ("queries", "queries_without_match")
"""The counts among a report's scores."""

MISSING = "–"


def percent(share: float | None) -> str:
    """Return a share in 0..1 as text in percent with one decimal; a dash for None and nan."""
    return MISSING if share is None or not np.isfinite(share) else f"{100 * share:.1f}"


def score_columns(reports: Mapping[str, Report]) -> tuple[str, ...]:
    """Return the columns of a score table after the name: the scores, those of added metrics too, and counts.

    Scores of one threshold are in a table of their own.
    """
    names = dict.fromkeys([*SCORES, *(name for report in reports.values() for name in report.scores)])
    return (*(name for name in names if name not in (*COUNTS, *THRESHOLDS)), "queries", "without a match")


def score_rows(reports: Mapping[str, Report]) -> list[tuple[str, ...]]:
    """Return the cells of a score table.

    Args:
        reports: A report for each row name, such as ``"before"``, ``"last"``, ``"best"``.

    Returns:
        A row for each report: its name, then the text of each of `score_columns`.
    """
    rows = []
    for name, report in reports.items():
        matches = report.per_query.get("matches")
        counts = (MISSING, MISSING) if matches is None else (f"{len(matches):,}", f"{int((matches == 0).sum()):,}")
        scores = score_columns(reports)[:-2]
        rows.append((name, *(percent(report.scores.get(score)) for score in scores), *counts))
    return rows


def scores_table_text(reports: Mapping[str, Report]) -> Table:
    """Build the score table for the terminal.

    Args:
        reports: A report for each row name.

    Returns:
        A rich table, scores in percent. Names are plain text: markup in one is shown, never obeyed.
    """
    table = Table(title="Scores (%)", title_justify="left")
    table.add_column("")
    for column in score_columns(reports):
        table.add_column(column, justify="right")
    for name, *cells in score_rows(reports):
        table.add_row(Text(printable(name), style="bold"), *cells)
    return table


def threshold_rows(reports: Mapping[str, Report]) -> list[tuple[str, ...]]:
    """Return the cells of a table of `THRESHOLDS`: a row for each report that has them, its name first."""
    return [
        (name, *(percent(report.scores.get(score)) for score in THRESHOLDS))
        for name, report in reports.items()
        if any(score in report.scores for score in THRESHOLDS)
    ]


def thresholds_table_text(reports: Mapping[str, Report]) -> Table:
    """Build the table of `threshold_rows` for the terminal."""
    rows = ((printable(name), *cells) for name, *cells in threshold_rows(reports))
    return text_table("One threshold for all queries (%)", ("", *THRESHOLDS), rows, left=("",))


CHANGES = (
    ("clusters", "clusters", 1, ""),
    ("outlier_share", "images in no cluster", 100, " %"),
    ("largest_share", "images in the largest cluster", 100, " %"),
    ("single_camera_share", "clusters of one camera", 100, " %"),
    ("stability", "agreement with the epoch before", 100, " %"),
)
"""The metrics of clusters that need no labels: key, name, factor and unit."""


def change_rows(metrics: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return the cells of a table that compares clusters in the first and the last epoch.

    Args:
        metrics: A line for each epoch.

    Returns:
        A row for each of `CHANGES` that was measured: its name, its value in the first epoch and its last value. The
        agreement, the adjusted Rand index in percent, has no value in the first epoch: a dash.
    """
    rows = []
    for key, name, factor, unit in CHANGES:
        values = [line.get(key) for line in metrics]
        measured = [value for value in values if value is not None]
        if measured:
            first, last = (
                MISSING if value is None else f"{factor * float(value):,.0f}{unit}"
                for value in (values[0], measured[-1])
            )
            rows.append((name, first, last))
    return rows


def changes_table_text(metrics: Sequence[Mapping[str, Any]]) -> Table:
    """Build the table of `change_rows` for the terminal."""
    table = Table(title="Clusters, measured without labels", title_justify="left")
    for column in ("", "at the start", "at the end"):
        table.add_column(column, justify="right" if column else "left")
    for row in change_rows(metrics):
        table.add_row(*row)
    return table


def text_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[str]) -> Table:
    """Build a table for the terminal, its cells plain text; columns are aligned right except those named in `left`."""
    table = Table(title=Text(title), title_justify="left")
    for name in head:
        table.add_column(Text(name), justify="left" if name in left else "right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, style: str) -> str:
    """Return an HTML table; every text is escaped.

    Args:
        head: The column titles; empty for no head.
        rows: The texts of each row; the first is the row's own title.
        style: The table's class.

    Returns:
        The table, in a box that scrolls sideways on narrow screens.
    """
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    thead = f"<thead><tr>{titles}</tr></thead>" if titles else ""
    return f'<div class="scroll"><table class="{escape(style)}">{thead}<tbody>{body}</tbody></table></div>'


def headline_html(report: Report, *, images: int) -> str:
    """Return the few numbers to read first, in large type.

    Args:
        report: The evaluation.
        images: The number of images in the gallery.

    Returns:
        A row of tiles.
    """
    tiles = [
        ("mAP", percent(report.scores.get("mAP")), "%", "how high all right matches rank"),
        ("rank-1", percent(report.scores.get("rank-1")), "%", "first result is right"),
        ("rank-10", percent(report.scores.get("rank-10")), "%", "a right one in the first ten"),
        ("gallery", f"{images:,}", "", "images searched"),
    ]
    body = "".join(
        f'<div><span>{name}</span><div class="value">{value}<small>{unit}</small></div><span>{note}</span></div>'
        for name, value, unit, note in tiles
    )
    return f'<div class="tiles">{body}</div>'


def setting_rows(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Return settings as pairs of name and text.

    Args:
        settings: Values by name; a nested mapping is listed under dotted names.
        prefix: The prefix of each name.

    Returns:
        A pair for each setting, in order.
    """
    rows = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += setting_rows(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def markdown_cell(text: str) -> str:
    """Return a text escaped so that it cannot end its cell or its row."""
    return " ".join(printable(text, lines=True).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
