"""`resight thesis list|show|run`: the thesis' tables and figures, and our values for them.

What `run` needs, and torch with it, is loaded for `run` alone: a list and a table must not wait for it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from resight.cli.terminal import say, say_json, show
from resight.config.settings import read_settings
from resight.errors import ConfigError, nearest
from resight.files import expanded
from resight.thesis.exhibits import Exhibit, exhibit_ids, load_exhibit, scales
from resight.thesis.presenting import lines, listed, to_json, to_markdown, to_text

ACTIONS = ("list", "show", "run")
USAGE = (
    "usage: resight thesis list [--json]\n"
    "       resight thesis show table-6.6 [--json | --markdown] [--out FOLDER]\n"
    "       resight thesis run table-6.6 --data market1501=PATH [--data duke=PATH] --scale smoke|short|full\n"
    "                          [--out FOLDER] [--seed N] [--epochs N] [--iterations N] [--rows [2,3]]\n"
    "                          [--weights BACKBONE=FILE|none] [--instead duke=cuhk03np-detected]"
)


@dataclass(frozen=True)
class ListSettings:
    """How it is listed.

    Attributes:
        json: Print JSON instead of a table.
    """

    json: bool = False


@dataclass(frozen=True)
class ShowSettings:
    """What of a table is shown.

    Attributes:
        json: Print JSON instead of a table.
        markdown: Print Markdown instead of a table.
        out: Where `resight thesis run` wrote: its results are shown beside what is reported. Nothing is written here;
            `resight thesis show table-6.6 --markdown > page.md` makes a file.
    """

    json: bool = False
    markdown: bool = False
    out: str = "thesis"


def run(arguments: Sequence[str]) -> int:
    """Run `resight thesis`."""
    action, *words = arguments or ("",)
    if action in ("-h", "--help"):
        say(*USAGE.splitlines())
        return 0
    if action not in ACTIONS:
        found = f"found '{action}'{nearest(action, ACTIONS)}"
        raise ConfigError(f"resight thesis needs one of {', '.join(ACTIONS)}, {found}")
    if action == "list":
        (asked,) = read_settings(words, [ListSettings], program="resight thesis list")
        return _list(asked)
    name, flags = (words[0], words[1:]) if words and not words[0].startswith("-") else ("", words)
    if action == "run":
        from resight.cli.thesis_run import run as make

        return make(name, flags)
    (shown,) = read_settings(flags, [ShowSettings], program="resight thesis show ID")
    return _show(load_exhibit(name), shown)


def _list(settings: ListSettings) -> int:
    found = [listed(load_exhibit(name)) for name in exhibit_ids()]
    if settings.json:
        say_json([dataclasses.asdict(each) for each in found], indent=1)
        return 0
    table = Table(title=Text("The thesis, and how many of our runs can be made today"), title_justify="left")
    table.add_column("id", no_wrap=True)
    table.add_column("title")
    for scale in scales():
        table.add_column(scale, justify="right", no_wrap=True)
    table.add_column("data, or what is missing")
    for each in found:
        able = [f"{count}/{each.runs}" if each.runs else "–" for count in each.able.values()]
        idle = each.kind if each.kind != "table" else "nothing to run"
        about = [*each.data, *(reason for reason in each.missing if not each.data)] or [idle]
        table.add_row(each.id, Text(each.title), *able, Text(", ".join(about)))
    show(table)
    say("full needs the weights of the recipe's backbone: from its hub, or --weights BACKBONE=FILE")
    return 0


def _show(exhibit: Exhibit, settings: ShowSettings) -> int:
    if settings.json and settings.markdown:
        raise ConfigError("--json and --markdown exclude each other")
    written = sorted(expanded(settings.out).glob(f"{exhibit.id}-*.json"))
    if settings.json:
        ours = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in written}
        say_json({**to_json(exhibit, lines(exhibit, [])), "ours": ours}, indent=1)
        return 0
    if settings.markdown:
        pages = [path.with_suffix(".md").read_text(encoding="utf-8") for path in written]
        say(*"\n".join(pages or [to_markdown(exhibit, lines(exhibit, []))]).rstrip("\n").split("\n"))
        return 0
    if exhibit.rows and exhibit.groups and any(group.scores for group in exhibit.groups):
        show(to_text(exhibit, lines(exhibit, [])))
    else:
        say(f"{exhibit.id}: {exhibit.title} (page {exhibit.page})")
    if exhibit.shows:
        say(f"shows {exhibit.shows}")
    if exhibit.redraw:
        say(f"to redraw it: {exhibit.redraw}{'' if exhibit.today else ' (not there yet)'}")
    for note in exhibit.notes:
        say(f"note: {note}")
    for text in exhibit.doubtful:
        say(f"doubtful: {text}")
    for path in written:
        say(f"ours: {path.with_suffix('.md')}", "", *path.with_suffix(".md").read_text(encoding="utf-8").split("\n"))
    return 0
