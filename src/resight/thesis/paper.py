"""The tables and figures of the thesis, read from the YAML files next to this one.

A printed value stays text: ``0.350`` is not ``0.35``. A row of the thesis' own results names the method, recipe and
settings that reproduce it. The method and the recipe may still be missing.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from resight.config.yaml_files import resolved
from resight.errors import ConfigError, nearest

FILES = importlib.resources.files("resight") / "thesis"
"""The folder of the YAML files."""

SCORES = {
    "mAP": "mAP",
    **{f"{prefix}{k}": f"rank-{k}" for prefix in ("R", "Rank") for k in (1, 5, 10)},
}
"""The printed names of scores in percent, and their names in a report."""

_KEYS = {
    "": {"id", "title", "chapter", "page", "columns", "rows", "notes", "doubtful"}
    | {"kind", "shows", "redraw", "metrics"},
    "column": {"group", "data", "source", "scores"},
    "row": {"name", "section", "cite", "venue", "values", "reproduction"},
    "reproduction": {"method", "recipe", "overrides", "studied", "start"},
}


@dataclass(frozen=True)
class ColumnGroup:
    """Columns under one heading.

    Attributes:
        name: The printed heading; may be empty.
        data: The data set of the scores, a key of `data_sets`; empty if the columns hold no scores.
        source: The data set that training starts from, if all rows have the same.
        scores: The printed names of the columns.
    """

    name: str
    data: str
    source: str
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Reproduction:
    """What reproduces a row.

    Attributes:
        method: The name of a method, which may still be missing.
        recipe: The name of a recipe, which may still be missing. ``{data}`` in it stands for the data set that the row
            trains on, and for ``thesis`` if that set has no recipe of its own.
        overrides: Settings that the row changes in the recipe, by their dotted names.
        studied: Settings that the row studies: a scale that changes one of them cannot reproduce it.
        start: The run of another method that it starts from; None for none, and for the run on a source that methods of
            domain adaptation start from.
    """

    method: str
    recipe: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    studied: tuple[str, ...] = ()
    start: Reproduction | None = None


@dataclass(frozen=True)
class PrintedRow:
    """A row as printed.

    Attributes:
        name: The row's name without the citation.
        section: The heading above it within the table.
        cite: The citation label of a method that the thesis quotes, ``"[42]"``.
        values: For each group of columns the printed values; None for a dash or an empty cell.
        reproduction: What reproduces the row; None for a quoted row.
    """

    name: str
    section: str
    cite: str
    values: tuple[tuple[str | None, ...], ...]
    reproduction: Reproduction | None

    @property
    def title(self) -> str:
        """The name with the heading above it and the citation."""
        return f"{self.section}: {self.name} {self.cite}".removeprefix(": ").rstrip()


@dataclass(frozen=True)
class PaperItem:
    """A table or a figure.

    Attributes:
        id: ``table-6.6``, ``figure-6.5``.
        title: A title of this project, not the thesis' caption.
        chapter: 1 to 7.
        page: The printed page number.
        kind: ``table``, or the kind of the figure: ``diagram``, ``picture``, ``curves``, ``strips``, ...
        groups: Its groups of columns.
        rows: Its rows.
        notes: Remarks for its reader.
        doubtful: Cells that are damaged in the text at hand, or that the thesis contradicts elsewhere.
        shows: The content of a figure.
        redraw: The diagnostics that redraw a figure.
        metrics: The metrics of a run that a figure draws by epoch, a panel each; empty if it draws none.
    """

    id: str
    title: str
    chapter: int
    page: int
    kind: str
    groups: tuple[ColumnGroup, ...]
    rows: tuple[PrintedRow, ...]
    notes: tuple[str, ...]
    doubtful: tuple[str, ...]
    shows: str = ""
    redraw: str = ""
    metrics: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[str, ...]:
        """The printed scores that a run has too, each once."""
        return tuple(dict.fromkeys(score for group in self.groups for score in group.scores if score in SCORES))


@dataclass(frozen=True)
class ScaleOverride:
    """What a scale applies over the recipe of a row.

    Attributes:
        recipe: A recipe of the row's method.
        overrides: Settings that change it, by their dotted names.
        without_source: The recipe for rows without a source; empty for the same one.
    """

    recipe: str
    overrides: Mapping[str, Any]
    without_source: str = ""


@dataclass(frozen=True)
class Scale:
    """How much of a row's recipe runs.

    Attributes:
        name: ``smoke``, ``short`` or ``full``.
        meaning: The scale in words.
        minutes: The estimate for a run until one is done.
        measured: The origin of the estimate.
        methods: The override for each method; empty if every recipe runs unchanged.
    """

    name: str
    meaning: str
    minutes: float
    measured: str
    methods: Mapping[str, ScaleOverride]


def item_ids() -> list[str]:
    """Return all ids: tables, then figures, in the order of the thesis."""
    return list(_texts())


def load_item(name: str) -> PaperItem:
    """Load a table or a figure.

    Args:
        name: Its id; ``6.6``, ``Table 6.6`` and ``fig-6.6`` work too.

    Raises:
        ConfigError: There is no such item (the message names the nearest), or its file is damaged.
    """
    if not name:
        raise ConfigError(
            "resight thesis needs a table or figure: table-6.6 for example (resight thesis list names all)"
        )
    match = re.fullmatch(r"(table|tab\.?|figure|fig\.?)?[-_ ]?(\d+\.\d+)", name.strip().lower())
    kind = "figure" if match and (match[1] or "").startswith("fig") else "table"
    item_id = f"{kind}-{match[2]}" if match else name
    if item_id not in _texts():
        # By its number first: the letters of "table" are alike in all of them.
        number = re.search(r"\d+\.?\d*", item_id)
        near = nearest(item_id, item_ids()) or (nearest(f"{kind}-{number[0]}", item_ids()) if number else "")
        raise ConfigError(f"the thesis has no '{name}'{near} (resight thesis list names all)")
    return parse_item(_texts()[item_id], where=item_id)


def parse_item(text: str, *, where: str) -> PaperItem:
    """Parse the file of a table or a figure.

    Args:
        text: YAML; every printed value stays text.
        where: The name that errors give the file.

    Raises:
        ConfigError: A key is unknown or missing, a row is too long or too short, or a score is not in 0..100.
    """
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # strings, lists and dicts, nothing else
        _check_keys(content, "")
        groups = tuple(map(_parse_group, content.get("columns", ())))
        rows = tuple(_parse_row(row, groups) for row in content.get("rows", ()))
        chapter, page = int(content["chapter"]), int(content["page"])
        kind, shows, redraw = (content.get(name, "") for name in ("kind", "shows", "redraw"))
        notes, doubtful, metrics = (tuple(content.get(name, ())) for name in ("notes", "doubtful", "metrics"))
        names = content["id"], content["title"]
        return PaperItem(*names, chapter, page, kind or "table", groups, rows, notes, doubtful, shows, redraw, metrics)
    except KeyError as error:
        raise ConfigError(f"{where}: {error.args[0]} is missing") from error
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


@cache
def scales() -> dict[str, Scale]:
    """Return the scales by name, the smallest first."""
    loaded = {}
    for name, content in _read("scales.yaml").items():
        methods = {method: ScaleOverride(**override) for method, override in content["methods"].items()}
        loaded[name] = Scale(name, content["meaning"], float(content["minutes"]), content["measured"], methods)
    return loaded


def load_scale(name: str) -> Scale:
    """Return a scale by its name.

    Raises:
        ConfigError: There is no such scale; the message names the nearest.
    """
    if name not in scales():
        raise ConfigError(f"no scale is called '{name}'{nearest(name, scales())} (known: {', '.join(scales())})")
    return scales()[name]


@cache
def data_sets() -> dict[str, tuple[str, ...]]:
    """Return the data sets of the tables: for the name of each its other names."""
    return {name: tuple(aliases) for name, aliases in _read("data.yaml").items()}


def data_name(name: str) -> str:
    """Return the name of a data set that goes by several.

    Raises:
        ConfigError: There is no such set; the message names the nearest.
    """
    names = {alias: canonical for canonical, aliases in data_sets().items() for alias in (canonical, *aliases)}
    if name.lower() not in names:
        canonical = ", ".join(data_sets())
        raise ConfigError(f"no table has data called '{name}'{nearest(name.lower(), names)} (known: {canonical})")
    return names[name.lower()]


def source_of(row: PrintedRow, column: int, group: ColumnGroup) -> str:
    """Return the data set that a row starts from: its group's, or that of its column ``Source``; "" for none."""
    if group.source or "Source" not in group.scores:
        return group.source
    printed = row.values[column][group.scores.index("Source")] if row.values else None
    return "" if printed in (None, "None") else data_name(str(printed))


@cache
def _texts() -> dict[str, str]:
    """Return the text of every file by its id, in the order of the thesis."""
    texts = {}
    for folder in ("tables", "figures"):
        files = [file for file in (FILES / folder).iterdir() if file.name.endswith(".yaml")]
        for file in sorted(files, key=lambda file: [int(number) for number in re.findall(r"\d+", file.name)] or [99]):
            texts[file.name.removesuffix(".yaml")] = file.read_text(encoding="utf-8")
    return texts


def _read(name: str) -> Any:
    return yaml.safe_load((FILES / name).read_text(encoding="utf-8"))


def _check_keys(content: Mapping[str, Any], kind: str) -> None:
    for key in content:
        if key not in _KEYS[kind]:
            raise ConfigError(f"{kind} {key} is unknown{nearest(key, _KEYS[kind])}".lstrip())


def _parse_group(content: Mapping[str, Any]) -> ColumnGroup:
    _check_keys(content, "column")
    group = ColumnGroup(content["group"], content.get("data", ""), content.get("source", ""), tuple(content["scores"]))
    for name in filter(None, (group.data, group.source)):
        if name not in data_sets():
            raise ConfigError(f"no data set is called '{name}'{nearest(name, data_sets())}")
    return group


def _parse_row(content: Mapping[str, Any], groups: Sequence[ColumnGroup]) -> PrintedRow:
    _check_keys(content, "row")
    name = content["name"]
    values = tuple(tuple(None if value == "~" else value for value in group) for group in content.get("values", ()))
    expected, lengths = [len(group.scores) for group in groups], [len(group) for group in values]
    # A figure's rows may have no values: its picture is not text.
    if any(expected) and lengths != expected:
        raise ConfigError(f"row '{name}' has {lengths} values, expected {expected}")
    for group, printed in zip(groups, values, strict=False):
        for score, value in zip(group.scores, printed, strict=True):
            if score in SCORES and value is not None and not 0 <= float(value) <= 100:
                raise ConfigError(f"row '{name}': {score} must be in 0..100, found {value}")
    reproduction = _parse_reproduction(content["reproduction"]) if "reproduction" in content else None
    return PrintedRow(name, content.get("section", ""), content.get("cite", ""), values, reproduction)


def _parse_reproduction(content: Mapping[str, Any]) -> Reproduction:
    _check_keys(content, "reproduction")
    overrides = {name: resolved(text, plain=True) for name, text in content.get("overrides", {}).items()}
    start = _parse_reproduction(content["start"]) if "start" in content else None
    return Reproduction(content["method"], content["recipe"], overrides, tuple(content.get("studied", ())), start)
