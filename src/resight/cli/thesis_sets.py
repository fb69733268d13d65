"""`resight thesis run table-2.1` and `table-2.2`: the sizes of your data sets, beside the printed ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resight.cli.terminal import say, say_json, show
from resight.config.settings import read_settings
from resight.data.catalog import load_dataset
from resight.data.set_size import set_size
from resight.errors import ConfigError, nearest
from resight.files import expanded, printable
from resight.reports.tables import MISSING, text_table
from resight.thesis.paper import PaperItem

SETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "table-2.1": {
        "CAVIER": ("caviar4reid", "caviar4reid-multi-shot"),
        "VIPeR": ("viper",),
        "GRID": ("grid",),
        "PRID": ("prid2011-single-shot",),
        "CUHK01": ("cuhk01", "cuhk01-multi-shot"),
        "CUHK02": ("cuhk02",),
        "CUHK03": (
            *("cuhk03np", "cuhk03np-labeled", "cuhk03np-detected"),
            *("cuhk03-classic-labeled", "cuhk03-classic-detected"),
        ),
        "Market-1501": ("market1501", "market"),
        "DukeMTMC-reID": ("dukemtmc", "duke"),
        "MSMT17": ("msmt17",),
        "PersonX": ("personx",),
        "UnrealPerson": ("unrealperson",),
        "Person30K": ("person30k",),
    },
    "table-2.2": {
        "PRID": ("prid2011",),
        "iLIDS-VID": ("ilidsvid",),
        "DukeMTMC-VideoReID": ("dukevideo",),
        "MARS": ("mars", "mars-with-queries"),
        "LS-VID": ("lsvid",),
    },
}
"""For each table, the names of the data sets of each row."""

ALIASES = {"market": "market1501", "duke": "dukemtmc"}

COUNTS = {"Tracklets": "tracklets", "BBoxes": "images", "Identities": "people", "Cameras": "cameras"}
"""The printed columns that are counted, and their names in `set_size`."""


@dataclass(frozen=True)
class SetsSettings:
    """How to print the sizes; --data NAME=PATH comes next to this, once for each data set.

    Attributes:
        json: Print JSON instead of a table.
    """

    json: bool = False


def run_sets(item: PaperItem, data: Mapping[str, str], flags: Sequence[str]) -> int:
    """Count the data sets of a table of sizes.

    Args:
        item: One of `SETS`.
        data: The folder of each data set, by its name.
        flags: The remaining arguments.

    Raises:
        ConfigError: No data set is given, or the table has no row for one.
        DataError: A data set cannot be read.
    """
    (settings,) = read_settings(flags, [SetsSettings], program=f"resight thesis run {item.id} --data NAME=PATH")
    rows = SETS[item.id]
    if not data:
        raise ConfigError(
            f"{item.id} counts your data sets: give --data {next(iter(rows.values()))[0]}=PATH, or others"
        )
    numbers = {name: _row_of(item.id, name) for name in data}
    sizes, notes = dict[str, dict[str, int]](), list[str]()
    for name, path in data.items():
        dataset = load_dataset(ALIASES.get(name, name), expanded(path))
        sizes[name] = set_size(dataset)
        notes += [printable(f"{name}: {note}") for note in filter(None, (dataset.unofficial, *dataset.notes))]
    lines = [_line(item, row, name, sizes[name]) for row in rows for name in data if numbers[name] == row]
    if settings.json:
        say_json({"id": item.id, "title": item.title, "sets": lines, "notes": notes}, indent=1)
        return 0
    head = ["name", "yours"]
    counted = [column for column in item.groups[0].scores if column in COUNTS]
    head += [f"{whose} {column}" for column in counted for whose in ("thesis", "yours")]
    body = [
        [line["name"], line["set"]]
        + [cell for column in counted for cell in (line["thesis"][column] or MISSING, f"{line['yours'][column]:,}")]
        for line in lines
    ]
    show(text_table(f"{item.id}: {item.title} (page {item.page})", head, body, left=("name", "yours")))
    say(*notes)
    say(*(f"doubtful: {text}" for text in item.doubtful))
    return 0


def _row_of(table: str, name: str) -> str:
    """Return the row of a data set."""
    base = re.sub(r"-split\d+$", "", name)
    rows = {own: row for row, names in SETS[table].items() for own in names}
    if base not in rows:
        raise ConfigError(f"{table} has no '{printable(name)}'{nearest(base, rows)} (known: {', '.join(rows)})")
    return rows[base]


def _line(item: PaperItem, row: str, name: str, size: Mapping[str, int]) -> dict[str, Any]:
    """Return the printed values of a row and the counts of a data set."""
    printed = next(each for each in item.rows if each.name == row)
    thesis = dict(zip(item.groups[0].scores, printed.values[0], strict=True))
    yours = {column: size[count] for column, count in COUNTS.items() if column in thesis}
    return {"name": printed.title, "set": name, "thesis": thesis, "yours": yours}
