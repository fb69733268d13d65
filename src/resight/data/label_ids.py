"""From what a folder, a name or a table calls people, cameras and tracklets to numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from resight.data.label_columns import COLUMNS
from resight.errors import counted
from resight.files import printable
from resight.records import UNKNOWN, ImageTable, Ints

Row = dict[str, str]
"""An image: its path, and by column what is known of it, as text."""

WHOLE = re.compile(r"[0-9]{1,18}")

_UNKNOWN = "nan na n/a #n/a <na> n.a. none null nil nat unknown unk undefined missing ? ?? - -- -1 -1.0"
_WORDS = frozenset(_UNKNOWN.split())
_BEFORE_A_NUMBER = re.compile(r"^(camera|cam|c|person|pid|p|id)?[ _.#-]*0*(?=[0-9]+$)")
_FLOAT = re.compile(r"(-?[0-9]+)(\.0*|,0)")


def whole(text: str) -> str:
    """Give a whole number as a spreadsheet or pandas may write it, ``7.0``, as ``7``; any other text as it is."""
    found = _FLOAT.fullmatch(text)
    return found[1] if found else text


def is_unknown(text: str) -> bool:
    """Say whether a name or a cell stands for what is not known: empty, ``-1`` or a usual word for it."""
    return not text or text.casefold() in _WORDS


def numbered(
    rows: Sequence[Row], notes: list[str], *, merge: bool = False
) -> tuple[ImageTable, dict[str, tuple[str, ...]]]:
    """Number what rows name.

    Args:
        rows: The images.
        notes: What was assumed joins these.
        merge: Whether ``7``, ``007`` and ``7.0`` are one where all names are numbers, as in a table; else they are
            three, as folders are.

    Returns:
        The table, and for ``people``, ``cameras`` or ``tracklets`` that have names and no numbers the name of each id.
    """
    columns = {column: [row.get(column, "") for row in rows] for column in COLUMNS[1:]}
    words = Counter(text for values in columns.values() for text in values if text and is_unknown(text))
    said = {text: number for text, number in words.items() if not text.startswith("-1")}
    if said:
        each = ", ".join(f"'{printable(text)}' ({counted(number, 'image')})" for text, number in sorted(said.items()))
        notes.append(f"taken for unknown: {each}")
    known = {column: ["" if is_unknown(text) else text for text in values] for column, values in columns.items()}
    if merge:
        known = {column: _merged(column, values, notes) for column, values in known.items()}
    known["tracklet"] = _owned(known)
    numbers: dict[str, Ints] = {}
    names: dict[str, tuple[str, ...]] = {}
    for kind, column in (("people", "person"), ("cameras", "camera"), ("tracklets", "tracklet")):
        numbering, listed = _numbering(set(known[column]) - {""})
        numbers[kind] = np.array([numbering.get(name, UNKNOWN) for name in known[column]], np.int64)
        if listed:
            names[kind] = listed
            notes += _nearly_one(kind, listed)
    paths = np.array([row["path"] for row in rows], np.str_)
    frames = np.array([int(whole(frame) or UNKNOWN) for frame in known["frame"]], np.int64)
    return ImageTable(paths, numbers["people"], numbers["cameras"], numbers["tracklets"], frames), names


def _merged(column: str, values: list[str], notes: list[str]) -> list[str]:
    """Let numbers that are written in several ways be one, where all are numbers."""
    plain = [whole(text) for text in values]
    if not all(WHOLE.fullmatch(text) for text in plain if text):
        return plain
    numbers = [str(int(text)) if text else "" for text in plain]
    ways: dict[str, set[str]] = {}
    for text, number in zip(values, numbers, strict=True):
        if text:
            ways.setdefault(number, set()).add(text)
    mixed = [sorted(texts) for _, texts in sorted(ways.items()) if len(texts) > 1]
    if mixed:
        notes.append(f"column {column}: {' and '.join(mixed[0])} are taken for one number")
    return numbers


def _nearly_one(kind: str, names: Sequence[str]) -> list[str]:
    """Say which names differ in capitals only, or in how a number is written: ``7``, ``007``, ``cam7``."""
    ways: dict[str, list[str]] = {}
    for name in names:
        ways.setdefault(_BEFORE_A_NUMBER.sub("", name.casefold(), count=1), []).append(f"'{printable(name)}'")
    mixed = [alike for alike in ways.values() if len(alike) > 1]
    if not mixed:
        return []
    more = f", and {len(mixed) - 1:,} more such names" if mixed[1:] else ""
    return [f"{kind}: {' and '.join(mixed[0])} are nearly alike and are taken for {len(mixed[0])} of them{more}"]


def _owned(known: Mapping[str, Sequence[str]]) -> list[str]:
    """Tell tracklets apart that share a name in two cameras."""
    tracklets = list(known["tracklet"])
    owned = list(zip(known["camera"], tracklets, strict=True))
    if len({(camera, tracklet) for camera, tracklet in owned if tracklet}) > len(set(tracklets) - {""}):
        return [f"{camera}/{tracklet}" if tracklet else "" for camera, tracklet in owned]
    return tracklets


def _numbering(names: set[str]) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Number names: as they are where all are different whole numbers, else in sorted order and listed."""
    if all(WHOLE.fullmatch(name) for name in names) and len({int(name) for name in names}) == len(names):
        return {name: int(name) for name in names}, ()
    ordered = tuple(sorted(names))
    return {name: number for number, name in enumerate(ordered)}, ordered
