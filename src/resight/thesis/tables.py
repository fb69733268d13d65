"""Tables with the values of the thesis and of our runs, in separate columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from resight.files import printable
from resight.reports.tables import MISSING, markdown_cell, percent, text_table
from resight.thesis.paper import SCORES, PaperItem
from resight.thesis.planning import RunRequest, TableRow, differences, flat_settings, table_rows

DEFAULT_SCORES = ("mAP", "Rank1")
"""The scores of our runs for a figure, which prints none."""

FIRST_RUN = "first run: "
"""The prefix of the settings of the run on the source that a row starts from."""


def complete_rows(item: PaperItem, rows: Sequence[TableRow]) -> list[TableRow]:
    """Return all rows of a table: the planned ones, and the others as printed."""
    planned = {(row.number, row.column): row for row in rows}
    return [planned.get((row.number, row.column), row) for row in table_rows(item)]


def reported_scores(row: TableRow) -> dict[str, str | None]:
    """Return what the thesis prints, by the printed names; None for a dash."""
    return dict(zip(row.group.scores, row.printed.values[row.column] if row.printed.values else (), strict=False))


def our_scores(item: PaperItem, row: TableRow) -> dict[str, float]:
    """Return the scores of a run in 0..1, by the printed names; empty unless it is done."""
    scores = row.result.get("scores", {}).get("best", {})
    return {name: float(scores[SCORES[name]]) for name in item.scores or DEFAULT_SCORES if SCORES[name] in scores}


def to_json(item: PaperItem, rows: Sequence[TableRow], request: RunRequest | None = None) -> dict[str, Any]:
    """Return a table as plain data; a line has the printed scores and ours under two keys."""
    head: dict[str, Any] = {"id": item.id, "title": item.title, "chapter": item.chapter, "page": item.page}
    if item.kind != "table":
        head |= {"kind": item.kind, "shows": item.shows, "redraw": item.redraw}
    if request is not None:
        head |= {"scale": request.scale, "seed": request.seed}
    lines = [
        {
            "row": row.number,
            "name": row.printed.title,
            "columns": row.group.name,
            "thesis": reported_scores(row),
            "ours": our_scores(item, row) or None,
            "state": row.status,
            "reason": row.reason,
            "differs": [
                dict(zip(("setting", "ours", "thesis"), change, strict=True)) for change in _all_differences(row)
            ],
            **_details(row),
        }
        for row in complete_rows(item, rows)
    ]
    return {**head, "lines": lines, "notes": list(item.notes), "doubtful": list(item.doubtful)}


def to_markdown(item: PaperItem, rows: Sequence[TableRow], request: RunRequest | None = None) -> str:
    """Return a table as Markdown: the values, then what differs from the thesis row by row."""
    parts = [f"# {item.id}: {item.title}\n"]
    if item.shows:
        parts.append(f"Shows {item.shows}.\n")
    if item.redraw:
        parts.append(f"To redraw it: {item.redraw}.\n")
    if request is not None:
        parts.append(
            f"Scale {request.scale}, seed {request.seed}. The columns *thesis* are printed in the thesis; the columns "
            "*ours* are our runs. The lists below the table name the differences. With any difference, the two are not "
            "comparable.\n"
        )
    rows = complete_rows(item, rows)
    if rows:
        head, body = cells(item, rows, request)
        lines = [head, ["---"] * len(head), *body]
        parts.append("".join(f"| {' | '.join(markdown_cell(cell) for cell in line)} |\n" for line in lines))
    lists = {
        "What was read": data_lines(rows),
        "What differs from the thesis": difference_lines(rows),
        "What did not run": reason_lines(rows),
        "Notes": [*item.notes, *(f"doubtful: {text}" for text in item.doubtful)],
    }
    for heading, texts in lists.items():
        if texts:
            parts.append(f"## {heading}\n\n" + "\n".join(f"- {text}" for text in texts) + "\n")
    return "\n".join(parts)


def to_text(item: PaperItem, rows: Sequence[TableRow], request: RunRequest | None = None) -> Table:
    """Build a table for the terminal."""
    head, body = cells(item, rows, request)
    return text_table(f"{item.id}: {item.title} (page {item.page})", head, body, left=("row", "name", "on", "state"))


def cells(item: PaperItem, rows: Sequence[TableRow], request: RunRequest | None) -> tuple[list[str], list[list[str]]]:
    """Return the head and the body of a table as text, with columns for the thesis and columns for our runs."""
    printed = list(dict.fromkeys(name for row in rows for name in reported_scores(row)))
    scores = () if request is None else (item.scores or DEFAULT_SCORES)
    head = ["row", "name", "on", *(f"thesis {name}" for name in printed)]
    if request is not None:
        head += [*(f"ours ({request.scale}) {name}" for name in scores), "state"]
    body = []
    for row in rows:
        # A dash is a dash of the thesis; a cell is empty if this group has no such column.
        reported, ours = reported_scores(row), our_scores(item, row)
        texts = [(reported[name] or MISSING) if name in reported else "" for name in printed]
        texts += [percent(ours.get(name)) if row.status != "quoted" else "" for name in scores]
        where = ", ".join([row.group.name, *(f"ours: {used}" for used in row.substitutes.values())])
        status = [row.status] if request is not None else []
        body.append([str(row.number), row.printed.title, where, *texts, *status])
    return head, body


def difference_lines(rows: Sequence[TableRow]) -> list[str]:
    """Return what differs from the thesis, first of the rows' own runs; equal texts once, after their rows."""
    own_run, first_run = [], []
    for row in rows:
        texts = [(name, f"{name}: {ours} (thesis: {thesis})") for name, ours, thesis in _all_differences(row)]
        own_run.append((row, "; ".join(text for name, text in texts if not name.startswith(FIRST_RUN))))
        first_run.append(
            (row, "; ".join(text.removeprefix(FIRST_RUN) for name, text in texts if name.startswith(FIRST_RUN)))
        )
    return [*_group_by_text(own_run), *(f"the first run of {text}" for text in _group_by_text(first_run))]


def data_lines(rows: Sequence[TableRow]) -> list[str]:
    """Return the folder and the notes of each data set that finished runs read."""
    sets = [entry for row in rows for entry in row.result.get("data", {}).get("sets", {}).items()]
    texts = ("; ".join([f"{name}: {facts['root']}", *facts["notes"]]) for name, facts in sets)
    return list(dict.fromkeys(map(printable, texts)))


def reason_lines(rows: Sequence[TableRow]) -> list[str]:
    """Return why rows failed or are unavailable; equal texts once, after their rows."""
    return _group_by_text([(row, f"{row.status}: {row.reason}" if row.reason else "") for row in rows])


def _details(row: TableRow) -> dict[str, Any]:
    """Return what the JSON file holds of a row beyond its scores."""
    if row.status in ("quoted", "not run"):
        return {} if row.reproduction is None else dataclasses.asdict(row.reproduction)
    details = {"substitutes": dict(row.substitutes), "recipe": row.recipe, "epochs done": len(row.metrics)}
    if row.status != "done":
        return details
    settings, environment = flat_settings(row), row.result["environment"]
    made_with = {
        "backbone": settings["encoder.backbone"],
        "weights": environment["weights"]["source"],
        "split official": all(facts["official"] for facts in row.result["data"]["sets"].values()),
        "input size": f"{settings['encoder.height']} x {settings['encoder.width']}",
        "epochs x iterations": f"{settings['epochs']} x {settings.get('iterations', MISSING)}",
        "seed": settings["seed"],
        "epoch scored": settings["select"],
    }
    runs = {"run": row.key, "starts from": [start.key for start in row.starts], "made with": made_with}
    return details | runs | {name: row.result[name] for name in ("scores", "seconds", "data", "environment")}


def _all_differences(row: TableRow) -> list[tuple[str, str, str]]:
    """Return what differs of a finished run: data, settings, weights, splits, seed; then of the run before it."""
    if row.status != "done":
        return []
    changes = [("data", used, printed) for printed, used in row.substitutes.items()]
    changes += differences(row)
    if {"encoder.backbone", "encoder.weights"} & {name for name, _, _ in changes}:
        changes.append(("weights", row.result["environment"]["weights"]["source"], "ImageNet's, for its own backbone"))
    for name, data in row.result["data"]["sets"].items():
        if not data["official"]:
            counts = [f"{part} {count} {data['unit']} of {people}" for part, (count, people) in data["counts"].items()]
            which = "source split" if name == row.source else "split"
            changes.append((which, f"not the official one ({', '.join(counts)})", "official"))
    changes.append(("seed", str(flat_settings(row)["seed"]), "not stated"))
    if row.starts:
        seeds = ", ".join(str(flat_settings(start)["seed"]) for start in row.starts)
        first = [*differences(row.starts[0]), ("seed", seeds, "not stated")]
        changes += [(FIRST_RUN + name, ours, thesis) for name, ours, thesis in first]
    return changes


def _group_by_text(texts: Sequence[tuple[TableRow, str]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for row, text in texts:
        if text:
            name = f"{row.number} on {row.group.name}" if row.group.name else str(row.number)
            groups.setdefault(printable(text), []).append(name)
    return [f"row {', '.join(names)}: {text}" for text, names in groups.items()]
