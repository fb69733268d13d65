"""The tables and figures of the thesis, read from the YAML files beside this one.

A value is kept as it is printed, as text: ``0.350`` is not ``0.35``. What is ours of a row says which method, recipe
and flags make it; a recipe that is named there need not exist yet.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from resight.errors import ConfigError, nearest

FILES = importlib.resources.files("resight") / "thesis"
"""Where the YAML files lie."""

SCORES = {
    "mAP": "mAP",
    **{f"{prefix}{k}": f"rank-{k}" for prefix in ("R", "Rank") for k in (1, 5, 10)},
}
"""The columns that are shares in percent, as the thesis names them, and what a report calls the same."""

_FIGURE = {"kind", "shows", "redraw", "today", "metrics"}

_KEYS = {
    "": {"id", "title", "chapter", "page", "columns", "rows", "notes", "doubtful"} | _FIGURE,
    "column": {"group", "data", "source", "scores"},
    "row": {"name", "section", "cite", "venue", "values", "ours"},
    "ours": {"method", "recipe", "flags", "about"},
}


@dataclass(frozen=True)
class Group:
    """Columns that stand together.

    Attributes:
        name: As printed above them; empty where nothing is.
        data: The data set they were measured on, a key of `data_sets`; empty where they are no scores of one.
        source: The data set that training starts from, where the group has one for all its rows.
        scores: As printed.
    """

    name: str
    data: str
    source: str
    scores: tuple[str, ...]


@dataclass(frozen=True)
class Ours:
    """What makes our value for a row.

    Attributes:
        method: A method's name; not all are there yet.
        recipe: A recipe's name, with ``{data}`` and ``{source}`` in place of the data sets, or ``{family}`` in place
            of what the data's recipes are named by, which is one for several of them; not all are there yet.
        flags: What the row changes in the recipe.
        about: Settings that the row is about: a scale that changes one of them cannot make it.
    """

    method: str
    recipe: str
    flags: Mapping[str, str] = field(default_factory=dict)
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row as printed.

    Attributes:
        name: Its name, without the citation.
        section: The heading above it within the table.
        cite: The citation label of a method that the thesis quotes, ``"[42]"``.
        venue: Where that method was published, as printed.
        values: For each group of columns its values as printed; None where a dash or nothing is.
        ours: What makes our value; None for what is only quoted.
    """

    name: str
    section: str
    cite: str
    venue: str
    values: tuple[tuple[str | None, ...], ...]
    ours: Ours | None


@dataclass(frozen=True)
class Exhibit:
    """A table or a figure.

    Attributes:
        id: ``table-6.6``, ``figure-6.5``.
        title: In our words.
        chapter: 1 to 6.
        page: As printed.
        kind: ``table``, or what the figure is: ``diagram``, ``picture``, ``curves``, ``strips``, ...
        groups: Its columns.
        rows: Its rows.
        notes: What its reader should know.
        doubtful: Where the text at hand is damaged, or the thesis says another thing elsewhere.
        shows: Of a figure: what is on it.
        redraw: Of a figure: the diagnostics that would draw it.
        today: Whether they are there.
        metrics: The metrics of a run whose course by epoch the figure draws, a panel each; empty where it draws none.
    """

    id: str
    title: str
    chapter: int
    page: int
    kind: str
    groups: tuple[Group, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    doubtful: tuple[str, ...]
    shows: str = ""
    redraw: str = ""
    today: bool = False
    metrics: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[str, ...]:
        """The scores of its groups that a run has too, each once."""
        return tuple(dict.fromkeys(score for group in self.groups for score in group.scores if score in SCORES))


@dataclass(frozen=True)
class Overlay:
    """What a scale lays over the recipe of a row.

    Attributes:
        recipe: The name of a recipe of the row's method.
        flags: What is changed of it.
        without_source: The recipe in its place where the row has no source, if it is another.
    """

    recipe: str
    flags: Mapping[str, str]
    without_source: str = ""


@dataclass(frozen=True)
class Scale:
    """How much of a row's recipe is run.

    Attributes:
        name: ``smoke``, ``short`` or ``full``.
        meaning: In words.
        minutes: How long a run is expected to take until one has been done.
        measured: Where that is from.
        methods: For each method what is laid over the row's recipe; None for the recipe as it is, whatever the method.
    """

    name: str
    meaning: str
    minutes: float
    measured: str
    methods: Mapping[str, Overlay] | None


@dataclass(frozen=True)
class DataSet:
    """A data set of the thesis: what its recipes are named by, and what else it is called."""

    family: str
    aliases: tuple[str, ...]


def exhibit_ids() -> list[str]:
    """Give all ids: tables, then figures, in the order of the thesis."""
    return list(_texts())


def load_exhibit(name: str) -> Exhibit:
    """Read a table or a figure.

    Args:
        name: Its id; ``6.6`` alone, ``Table 6.6`` and ``fig-6.6`` are understood too.

    Raises:
        ConfigError: There is none, the nearest is named; or its file is not what it should be.
    """
    if not name:
        raise ConfigError(
            "resight thesis needs a table or figure: table-6.6 for example (resight thesis list names all)"
        )
    found = re.fullmatch(r"(table|tab\.?|figure|fig\.?)?[-_ ]?(\d+\.\d+)", name.strip().lower())
    kind = "figure" if found and (found[1] or "").startswith("fig") else "table"
    wanted = f"{kind}-{found[2]}" if found else name
    if wanted not in _texts():
        known = exhibit_ids()
        # By its number first: the letters of "table" are alike in all of them.
        number = re.search(r"\d+\.?\d*", wanted)
        close = nearest(wanted, known) or (nearest(f"{kind}-{number[0]}", known) if number else "")
        raise ConfigError(f"the thesis has no '{name}'{close} (resight thesis list names all)")
    return read_exhibit(_texts()[wanted], where=wanted)


def read_exhibit(text: str, *, where: str) -> Exhibit:
    """Turn a file's text into a table or figure.

    Args:
        text: YAML; every value in it stays text.
        where: What errors call it.

    Raises:
        ConfigError: A key is unknown or missing, a row is too long or too short, or a share is not in 0..100.
    """
    try:
        content = yaml.load(text, Loader=yaml.BaseLoader)  # strings, lists and dicts, nothing else
        _check_keys(content, "", where)
        groups = tuple(_group(column, where) for column in content.get("columns", ()))
        return Exhibit(
            id=content["id"],
            title=content["title"],
            chapter=int(content["chapter"]),
            page=int(content["page"]),
            kind=content.get("kind", "table"),
            groups=groups,
            rows=tuple(_row(row, groups, where) for row in content.get("rows", ())),
            notes=tuple(content.get("notes", ())),
            doubtful=tuple(content.get("doubtful", ())),
            shows=content.get("shows", ""),
            redraw=content.get("redraw", ""),
            today=content.get("today") == "true",
            metrics=tuple(content.get("metrics", ())),
        )
    except KeyError as error:
        raise ConfigError(f"{where}: {error.args[0]} is missing") from error
    except (yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


@cache
def scales() -> dict[str, Scale]:
    """Give the scales, from the smallest."""
    found = {}
    for name, content in yaml.load(_read("scales.yaml"), Loader=yaml.BaseLoader).items():
        methods = {method: Overlay(**over) for method, over in content["methods"].items()}
        minutes = float(content["minutes"])
        found[name] = Scale(name, content["meaning"], minutes, content["measured"], methods or None)
    return found


def load_scale(name: str) -> Scale:
    """Give a scale by its name.

    Raises:
        ConfigError: There is none; the nearest is named.
    """
    known = scales()
    if name not in known:
        raise ConfigError(f"no scale is called '{name}'{nearest(name, known)} (known: {', '.join(known)})")
    return known[name]


@cache
def data_sets() -> dict[str, DataSet]:
    """Give the data sets of the thesis' tables, by our name."""
    content = yaml.load(_read("data.yaml"), Loader=yaml.BaseLoader)
    return {name: DataSet(entry["family"], tuple(entry["aliases"])) for name, entry in content.items()}


def data_name(name: str) -> str:
    """Give our name of a data set that goes by several.

    Raises:
        ConfigError: None is called so; the nearest is named.
    """
    names = {alias: ours for ours, entry in data_sets().items() for alias in (ours, *entry.aliases)}
    if name.lower() not in names:
        known = ", ".join(data_sets())
        raise ConfigError(f"no table has data called '{name}'{nearest(name.lower(), names)} (known: {known})")
    return names[name.lower()]


def source_of(row: Row, column: int, group: Group) -> str:
    """Give the data set that a row starts from: its group's, or that of its printed column ``Source``; "" for none."""
    if group.source or "Source" not in group.scores:
        return group.source
    printed = row.values[column][group.scores.index("Source")] if row.values else None
    return "" if printed in (None, "None") else data_name(str(printed))


@cache
def _texts() -> dict[str, str]:
    """Give the text of every file by its id, in the order of the thesis."""
    found = {}
    for folder in ("tables", "figures"):
        files = [item for item in (FILES / folder).iterdir() if item.name.endswith(".yaml")]
        for item in sorted(files, key=lambda item: [int(part) for part in re.findall(r"\d+", item.name)]):
            found[item.name.removesuffix(".yaml")] = item.read_text(encoding="utf-8")
    return found


def _read(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def _check_keys(content: Mapping[str, Any], kind: str, where: str) -> None:
    for key in content:
        if key not in _KEYS[kind]:
            raise ConfigError(f"{where}: {kind} {key} is unknown{nearest(key, _KEYS[kind])}")


def _group(content: Mapping[str, Any], where: str) -> Group:
    _check_keys(content, "column", where)
    group = Group(content["group"], content.get("data", ""), content.get("source", ""), tuple(content["scores"]))
    for name in (group.data, group.source):
        if name and name not in data_sets():
            raise ConfigError(f"{where}: no data set is called '{name}'{nearest(name, data_sets())}")
    return group


def _row(content: Mapping[str, Any], groups: Sequence[Group], where: str) -> Row:
    _check_keys(content, "row", where)
    name, ours = content["name"], content.get("ours")
    values = tuple(tuple(None if value == "~" else value for value in group) for group in content.get("values", ()))
    expected = [len(group.scores) for group in groups]
    # A figure's rows may have no values: its picture is not text.
    if any(expected) and [len(group) for group in values] != expected:
        raise ConfigError(f"{where}: row '{name}' has {[len(group) for group in values]} values, expected {expected}")
    for group, part in zip(groups, values, strict=False):
        for score, value in zip(group.scores, part, strict=True):
            if score in SCORES and value is not None and not 0 <= float(value) <= 100:
                raise ConfigError(f"{where}: row '{name}': {score} must be in 0..100, found {value}")
    if ours is not None:
        _check_keys(ours, "ours", where)
        ours = Ours(ours["method"], ours["recipe"], ours.get("flags", {}), tuple(ours.get("about", ())))
    return Row(name, content.get("section", ""), content.get("cite", ""), content.get("venue", ""), values, ours)
