"""`resight thesis list|show|run`: the tables and figures of the thesis, next to the values of our runs.

Only `run` loads torch, so that lists and tables do not wait for it.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from resight.cli.terminal import say, say_json, show
from resight.cli.thesis_sets import SETS
from resight.config.renamed import current_table
from resight.config.settings import read_settings
from resight.errors import ConfigError, nearest
from resight.files import expanded
from resight.thesis.paper import PaperItem, item_ids, load_item, scales
from resight.thesis.planning import RunRequest, plan_rows, table_rows
from resight.thesis.tables import to_json, to_markdown, to_text

ACTIONS = ("list", "show", "run")
USAGE = (
    "usage: resight thesis list [--json]\n"
    "       resight thesis show table-6.6 [--json | --markdown] [--out FOLDER]\n"
    "       resight thesis run table-6.6 --data market1501=PATH [--data duke=PATH] --scale smoke|short|full\n"
    "                          [--out FOLDER] [--seed N] [--epochs N] [--iterations N] [--rows [2,3]]\n"
    "                          [--weights BACKBONE=FILE|none] [--substitute duke=cuhk03np-detected]\n"
    "                          [--structure market1501=FOLDER|pose|truth]\n"
    "       resight thesis run table-2.1 --data market1501=PATH [--data viper=PATH] [--json]"
)


@dataclass(frozen=True)
class ListSettings:
    """How to print the list.

    Attributes:
        json: Print JSON instead of a table.
    """

    json: bool = False


@dataclass(frozen=True)
class ShowSettings:
    """How to print a table.

    Attributes:
        json: Print JSON instead of a table.
        markdown: Print Markdown instead of a table.
        out: The folder that `resight thesis run` wrote to; its results are printed below the thesis' values. The
            command writes no file: for one, use `resight thesis show table-6.6 --markdown > page.md`.
    """

    json: bool = False
    markdown: bool = False
    out: str = "thesis"


@dataclass(frozen=True)
class Availability:
    """How many runs of a table or figure are possible.

    Attributes:
        id: ``table-6.6``.
        title: The title of the table or figure.
        kind: As `PaperItem.kind`.
        runs: How many runs it has, one for each row and data set.
        able: For each scale, how many of them can run with the present methods and recipes if the data are given.
        data: The data sets that these need at the full scale.
        missing: Why the others cannot run at the full scale, each reason once, the most frequent first.
    """

    id: str
    title: str
    kind: str
    runs: int
    able: Mapping[str, int]
    data: tuple[str, ...]
    missing: tuple[str, ...]


def run(arguments: Sequence[str]) -> int:
    """Run `resight thesis`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        say(*USAGE.splitlines())
        return 0
    if action not in ACTIONS:
        raise ConfigError(
            f"resight thesis needs one of {', '.join(ACTIONS)}, found '{action}'{nearest(action, ACTIONS)}"
        )
    if action == "list":
        (list_settings,) = read_settings(words, [ListSettings], program="resight thesis list")
        return _list(list_settings)
    name, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if action == "run":
        from resight.cli.thesis_run import run as run_table

        return run_table(name, flags)
    (show_settings,) = read_settings(flags, [ShowSettings], program="resight thesis show ID")
    return _show(load_item(name), show_settings)


def _list(settings: ListSettings) -> int:
    items = [_availability(load_item(name)) for name in item_ids()]
    if settings.json:
        say_json([dataclasses.asdict(item) for item in items], indent=1)
        return 0
    table = Table(title=Text("The thesis, and how many runs of each item are possible"), title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("title")
    for scale in scales():
        table.add_column(scale, justify="right", no_wrap=True)
    table.add_column("data, or what is missing")
    for item in items:
        able = [f"{count}/{item.runs}" if item.runs else "–" for count in item.able.values()]
        no_runs = item.kind if item.kind != "table" else "nothing to run"
        no_runs = "sizes of the sets that you have" if item.id in SETS else no_runs
        remarks = item.data or item.missing or [no_runs]
        table.add_row(item.id, Text(item.title), *able, Text(", ".join(remarks)))
    show(table)
    say("full needs the weights of the recipe's backbone: from its hub, or from --weights BACKBONE=FILE")
    return 0


def _availability(item: PaperItem) -> Availability:
    """Return how many runs of a table are possible."""
    planned = {scale: plan_rows(item, RunRequest(scale=scale), resolve=False) for scale in scales()}
    full = planned["full"]
    able = {scale: sum(not row.reason for row in rows) for scale, rows in planned.items()}
    data = tuple(dict.fromkeys(row.data for row in full if not row.reason))
    reasons = Counter(row.reason.partition(" (")[0] for row in full if row.reason)
    missing = tuple(reason for reason, _ in reasons.most_common())
    return Availability(item.id, item.title, item.kind, len(full), able, data, missing)


def _show(item: PaperItem, settings: ShowSettings) -> int:
    if settings.json and settings.markdown:
        raise ConfigError("--json and --markdown exclude each other")
    results = sorted(expanded(settings.out).glob(f"{item.id}-*.json"))
    pages = [path.with_suffix(".md").read_text(encoding="utf-8") for path in results] if not settings.json else []
    if settings.json:
        ours = {path.stem: current_table(json.loads(path.read_text(encoding="utf-8"))) for path in results}
        say_json({**to_json(item, []), "ours": ours}, indent=1)
        return 0
    if settings.markdown:
        say(*"\n".join(pages or [to_markdown(item, [])]).rstrip("\n").split("\n"))
        return 0
    if item.rows and any(group.scores for group in item.groups):
        show(to_text(item, table_rows(item)))
    else:
        say(f"{item.id}: {item.title} (page {item.page})")
    if item.id in SETS:
        say(f"beside your data sets: resight thesis run {item.id} --data NAME=PATH")
    if item.shows:
        say(f"shows {item.shows}")
    if item.redraw:
        say(f"to redraw it: {item.redraw}")
    say(*(f"note: {note}" for note in item.notes), *(f"doubtful: {text}" for text in item.doubtful))
    for path, page in zip(results, pages, strict=True):
        say(f"ours: {path.with_suffix('.md')}", "", *page.split("\n"))
    return 0
