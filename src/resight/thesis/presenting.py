"""A table with what the thesis reports and what we made, in columns that never mix."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from resight.files import printable
from resight.reports.tables import MISSING, markdown_cell, percent
from resight.thesis.exhibits import SCORES, Exhibit, Row, scales
from resight.thesis.plan import Asked, differences, flat, jobs

if TYPE_CHECKING:
    from resight.thesis.running import Outcome

OURS_BY_DEFAULT = ("mAP", "Rank1")
"""What is shown of our runs for a figure, which prints no scores."""

FIRST_RUN = "first run: "
"""What stands before the settings of the run on the source that a row's own run starts from."""


@dataclass(frozen=True)
class Line:
    """A row of a table on one data set.

    Attributes:
        number: The row's, from 1.
        name: The row's name, with its section and citation.
        columns: The group of columns, as printed.
        reported: What the thesis prints, by its own column names; None for a dash.
        ours: Shares in 0..1 by the same names; empty where there are none.
        state: ``done``, ``left``, ``failed``, ``cannot``; ``quoted`` for what is only quoted, and ``not made`` for ours
            where nobody asked what is there.
        reason: Why it failed or cannot be made.
        differs: For each setting that is not the thesis': its name, ours, the thesis'; of the row's own run, then of
            the run on the source that it starts from, if there is one.
        details: More of a run, for the JSON file: the scores of all its epochs that were scored, its data, its machine.
    """

    number: int
    name: str
    columns: str
    reported: Mapping[str, str | None]
    ours: Mapping[str, float]
    state: str
    reason: str
    differs: tuple[tuple[str, str, str], ...]
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """A table or figure in the list of all.

    Attributes:
        id: ``table-6.6``.
        title: In our words.
        kind: As `Exhibit.kind`.
        runs: How many runs of ours it has, a row on a data set each.
        able: For each scale how many of them can be made with the methods and recipes that are there, given data.
        data: The data sets that these need at the full scale.
        missing: Why others cannot be made there, each reason once, the most frequent first.
    """

    id: str
    title: str
    kind: str
    runs: int
    able: Mapping[str, int]
    data: tuple[str, ...]
    missing: tuple[str, ...]


def listed(exhibit: Exhibit) -> Listed:
    """Say what of a table can be run today."""
    planned = {scale: jobs(exhibit, Asked(scale=scale), resolve=False) for scale in scales()}
    full = planned["full"]
    able = {scale: sum(not job.reason for job in found) for scale, found in planned.items()}
    data = tuple(dict.fromkeys(job.group.data for job in full if not job.reason))
    reasons = Counter(job.reason.partition(" (")[0] for job in full if job.reason)
    missing = tuple(reason for reason, _ in reasons.most_common())
    return Listed(exhibit.id, exhibit.title, exhibit.kind, len(full), able, data, missing)


def lines(exhibit: Exhibit, outcomes: Sequence[Outcome]) -> list[Line]:
    """Give the lines of a table: its rows, each on each of its data sets."""
    made = {(outcome.job.number, outcome.job.column): outcome for outcome in outcomes}
    found = []
    for number, row in enumerate(exhibit.rows, 1):
        for column, group in enumerate(exhibit.groups):
            printed = row.values[column] if row.values else ()
            reported = dict(zip(group.scores, printed, strict=False))
            outcome = made.get((number, column))
            if outcome is None:
                makes = {} if row.ours is None or not group.data else dataclasses.asdict(row.ours)
                state = "not made" if makes else "quoted"
                found.append(Line(number, title(row), group.name, reported, {}, state, "", (), makes))
                continue
            scores = outcome.result.get("scores", {}).get("best", {})
            shown = exhibit.scores or OURS_BY_DEFAULT
            ours = {score: float(scores[SCORES[score]]) for score in shown if SCORES[score] in scores}
            done = outcome.state == "done"
            instead = {theirs: own for own, theirs in outcome.job.instead}
            details = {
                "instead": instead,
                "recipe": outcome.job.recipe,
                "epochs done": outcome.epochs,
                **(_made(outcome) if done else {}),
            }
            differs = tuple(_differs(outcome)) if done else ()
            line = Line(number, title(row), group.name, reported, ours, outcome.state, outcome.reason, differs, details)
            found.append(line)
    return found


def title(row: Row) -> str:
    """Give a row's name with the heading that it stands under and its citation."""
    name = f"{row.section}: {row.name}" if row.section else row.name
    return f"{name} {row.cite}".rstrip()


def to_json(exhibit: Exhibit, found: Sequence[Line], asked: Asked | None = None) -> dict[str, Any]:
    """Give a table as plain data; what is reported and what is ours are two keys of a line."""
    head: dict[str, Any] = {"id": exhibit.id, "title": exhibit.title, "chapter": exhibit.chapter, "page": exhibit.page}
    if exhibit.kind != "table":
        head |= {"kind": exhibit.kind, "shows": exhibit.shows, "redraw": exhibit.redraw, "today": exhibit.today}
    if asked is not None:
        head |= {"scale": asked.scale, "seed": asked.seed}
    plain = [
        {
            "row": line.number,
            "name": line.name,
            "columns": line.columns,
            "thesis": dict(line.reported),
            "ours": dict(line.ours) or None,
            "state": line.state,
            "reason": line.reason,
            "differs": [{"setting": name, "ours": ours, "thesis": theirs} for name, ours, theirs in line.differs],
            **line.details,
        }
        for line in found
    ]
    return {**head, "lines": plain, "notes": list(exhibit.notes), "doubtful": list(exhibit.doubtful)}


def to_markdown(exhibit: Exhibit, found: Sequence[Line], asked: Asked | None = None) -> str:
    """Write a table as Markdown: the values, then what differs from the thesis line by line."""
    parts = [f"# {exhibit.id}: {exhibit.title}\n"]
    if exhibit.shows:
        parts.append(f"Shows {exhibit.shows}.\n")
    if exhibit.redraw:
        parts.append(f"To redraw it: {exhibit.redraw}{'' if exhibit.today else ' (not there yet)'}.\n")
    if asked is not None:
        parts.append(
            f"Ours: scale {asked.scale}, seed {asked.seed}. The columns *thesis* are printed there; the columns *ours* "
            "are ours. Below the table stands what differs: where anything does, the two do not compare.\n"
        )
    if found:
        head, body = cells(exhibit, found, asked)
        parts.append("\n".join(_markdown_row(row) for row in (head, ["---"] * len(head), *body)) + "\n")
    read, differing, reasons = data_lines(found), differing_lines(found), missing_lines(found)
    notes = [*exhibit.notes, *(f"doubtful: {text}" for text in exhibit.doubtful)]
    lists = {
        "What was read": read,
        "What differs from the thesis": differing,
        "What is not made": reasons,
        "Notes": notes,
    }
    for heading, texts in lists.items():
        if texts:
            parts.append(f"## {heading}\n\n" + "\n".join(f"- {text}" for text in texts) + "\n")
    return "\n".join(parts)


def to_text(exhibit: Exhibit, found: Sequence[Line], asked: Asked | None = None) -> Table:
    """Build a table for the terminal."""
    head, body = cells(exhibit, found, asked)
    table = Table(title=Text(f"{exhibit.id}: {exhibit.title} (page {exhibit.page})"), title_justify="left")
    for index, name in enumerate(head):
        table.add_column(Text(name), justify="left" if index < 3 or name == "state" else "right")
    for row in body:
        table.add_row(*(Text(cell) for cell in row))
    return table


def cells(exhibit: Exhibit, found: Sequence[Line], asked: Asked | None) -> tuple[list[str], list[list[str]]]:
    """Give the head and the rows of a table as text; what is the thesis' and what is ours have columns of their own."""
    printed = list(dict.fromkeys(name for line in found for name in line.reported))
    shown = () if asked is None else (exhibit.scores or OURS_BY_DEFAULT)
    head = ["row", "name", "on", *(f"thesis {name}" for name in printed)]
    if asked is not None:
        head += [*(f"ours ({asked.scale}) {name}" for name in shown), "state"]
    body = []
    for line in found:
        # A dash is a dash of the thesis; nothing where this group has no such column.
        reported = [(line.reported[name] or MISSING) if name in line.reported else "" for name in printed]
        ours = [percent(line.ours.get(name)) if line.state != "quoted" else "" for name in shown]
        state = [line.state] if asked is not None else []
        on = ", ".join([line.columns, *(f"ours: {own}" for own in line.details.get("instead", {}).values())])
        body.append([str(line.number), line.name, on, *reported, *ours, *state])
    return head, body


def differing_lines(found: Sequence[Line]) -> list[str]:
    """Say what differs from the thesis in each line; equal texts once, after the lines that they are of."""
    own = [(line, [each for each in line.differs if not each[0].startswith(FIRST_RUN)]) for line in found]
    first = [(line, [each for each in line.differs if each[0].startswith(FIRST_RUN)]) for line in found]
    said = [[(line, "; ".join(map(_said, each))) for line, each in part if each] for part in (own, first)]
    return [*_grouped(said[0]), *(f"the first run of {text}" for text in _grouped(said[1]))]


def data_lines(found: Sequence[Line]) -> list[str]:
    """Say where the data sets of lines that are done were read from, and what is to be known of them; each once."""
    sets = [each for line in found for each in line.details.get("data", {}).get("sets", {}).items()]
    return list(dict.fromkeys(printable("; ".join([f"{name}: {each['root']}", *each["notes"]])) for name, each in sets))


def missing_lines(found: Sequence[Line]) -> list[str]:
    """Say why lines are not made, likewise."""
    return _grouped([(line, f"{line.state}: {line.reason}") for line in found if line.reason])


def _made(outcome: Outcome) -> dict[str, Any]:
    job = outcome.job
    settings, environment = flat(job), outcome.result["environment"]
    made_with = {
        "backbone": settings["encoder.backbone"],
        "weights": environment["weights"]["source"],
        "split official": all(each["official"] for each in outcome.result["data"]["sets"].values()),
        "input size": f"{settings['encoder.height']} x {settings['encoder.width']}",
        "epochs x iterations": f"{settings['epochs']} x {settings.get('iterations', MISSING)}",
        "seed": settings["seed"],
        "epoch scored": settings["select"],
    }
    rest = {name: outcome.result[name] for name in ("scores", "seconds", "data", "environment")}
    return {"run": job.key, "starts from": [start.key for start in job.starts], "made with": made_with, **rest}


def _differs(outcome: Outcome) -> list[tuple[str, str, str]]:
    """Give what differs of a run that is done: data, settings, weights, splits; then of the run before it."""
    job, weights = outcome.job, outcome.result["environment"]["weights"]["source"]
    found = [("data", own, theirs) for own, theirs in job.instead]
    found += [each for each in differences(job) if each[0] != "seed"]
    changed = {name for name, _, _ in found}
    if "encoder.backbone" in changed or "encoder.weights" in changed:
        found.append(("weights", weights, "ImageNet's, for its own backbone"))
    for name, data in outcome.result["data"]["sets"].items():
        if not data["official"]:
            counts = ", ".join(
                f"{part} {count} {data['unit']} of {people}" for part, (count, people) in data["counts"].items()
            )
            which = "source split" if name == job.source else "split"
            found.append((which, f"not the official one ({counts})", "official"))
    found.append(("seed", str(flat(job)["seed"]), "not stated"))
    if job.starts:
        first = [each for each in differences(job.starts[0]) if each[0] != "seed"]
        seeds = ", ".join(str(flat(start)["seed"]) for start in job.starts)
        found += [(FIRST_RUN + name, own, theirs) for name, own, theirs in (*first, ("seed", seeds, "not stated"))]
    return found


def _said(difference: tuple[str, str, str]) -> str:
    name, ours, theirs = (part.removeprefix(FIRST_RUN) for part in difference)
    return f"{name}: {ours} (thesis: {theirs})"


def _grouped(texts: Sequence[tuple[Line, str]]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for line, text in texts:
        groups.setdefault(printable(text), []).append(
            f"{line.number} on {line.columns}" if line.columns else str(line.number)
        )
    return [f"row {', '.join(names)}: {text}" for text, names in groups.items()]


def _markdown_row(row: Sequence[str]) -> str:
    return "| " + " | ".join(markdown_cell(cell) for cell in row) + " |"
