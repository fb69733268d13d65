"""Convert names of people, cameras and tracklets, from folders, file names or a table, to ids."""

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
"""An image: its path and its labels as text, by column."""

INTEGER = re.compile(r"[0-9]{1,18}")
"""A whole number that fits into an id."""

_UNKNOWN = "nan na n/a #n/a <na> n.a. none null nil nat unknown unk undefined missing ? ?? - -- -1 -1.0"
_UNKNOWN_WORDS = frozenset(_UNKNOWN.split())
_NUMBER_PREFIX = re.compile(r"^(camera|cam|c|person|pid|p|id)?[ _.#-]*0*(?=[0-9]+$)")
_FLOAT = re.compile(r"(-?[0-9]+)(\.0*|,0)")


def strip_decimals(text: str) -> str:
    """Return ``7`` for ``7.0``, which spreadsheets and pandas write; return other text unchanged."""
    match = _FLOAT.fullmatch(text)
    return match[1] if match else text


def is_unknown(text: str) -> bool:
    """Return whether a name or a cell means unknown: empty, ``-1`` or a usual word for it."""
    return not text or text.casefold() in _UNKNOWN_WORDS


def build_table(
    rows: Sequence[Row], notes: list[str], *, merge: bool = False
) -> tuple[ImageTable, dict[str, tuple[str, ...]]]:
    """Build the table of images from rows of text; names become ids.

    Args:
        rows: The images.
        notes: Gets a note on each assumption.
        merge: Whether ``7``, ``007`` and ``7.0`` are one id if all names are numbers, as in a table. Otherwise they
            are three, as folders are.

    Returns:
        The table, and the name of each id of the ``people``, ``cameras`` or ``tracklets`` that have names instead of
        numbers.
    """
    columns = {column: [row.get(column, "") for row in rows] for column in COLUMNS[1:]}
    words = Counter(text for values in columns.values() for text in values if text and is_unknown(text))
    unknown = sorted((text, count) for text, count in words.items() if not text.startswith("-1"))
    if unknown:
        listing = ", ".join(f"'{printable(text)}' ({counted(count, 'image')})" for text, count in unknown)
        notes.append(f"read as unknown: {listing}")
    labels = {column: ["" if is_unknown(text) else text for text in values] for column, values in columns.items()}
    if merge:
        labels = {column: _merge_numbers(column, values, notes) for column, values in labels.items()}
    labels["tracklet"] = _separate_tracklets(labels)
    ids: dict[str, Ints] = {}
    names: dict[str, tuple[str, ...]] = {}
    for kind, column in (("people", "person"), ("cameras", "camera"), ("tracklets", "tracklet")):
        id_of_name, names_in_order = _assign_ids(set(labels[column]) - {""})
        ids[kind] = np.array([id_of_name.get(name, UNKNOWN) for name in labels[column]], np.int64)
        if names_in_order:
            names[kind] = names_in_order
            notes += _describe_similar_names(kind, names_in_order)
    paths = np.array([row["path"] for row in rows], np.str_)
    frames = np.array([int(strip_decimals(frame) or UNKNOWN) for frame in labels["frame"]], np.int64)
    return ImageTable(paths, ids["people"], ids["cameras"], ids["tracklets"], frames), names


def _merge_numbers(column: str, values: list[str], notes: list[str]) -> list[str]:
    """Merge different spellings of a number, if all values are numbers."""
    plain = [strip_decimals(text) for text in values]
    if not all(INTEGER.fullmatch(text) for text in plain if text):
        return plain
    numbers = [str(int(text)) if text else "" for text in plain]
    spellings: dict[str, set[str]] = {}
    for text, number in zip(values, numbers, strict=True):
        if text:
            spellings.setdefault(number, set()).add(text)
    merged = [sorted(texts) for _, texts in sorted(spellings.items()) if len(texts) > 1]
    if merged:
        notes.append(f"column {column}: {' and '.join(merged[0])} are read as one number")
    return numbers


def _describe_similar_names(kind: str, names: Sequence[str]) -> list[str]:
    """Describe names that differ only in case, or in the spelling of a number: ``7``, ``007``, ``cam7``."""
    spellings: dict[str, list[str]] = {}
    for name in names:
        spellings.setdefault(_NUMBER_PREFIX.sub("", name.casefold(), count=1), []).append(f"'{printable(name)}'")
    similar = [group for group in spellings.values() if len(group) > 1]
    if not similar:
        return []
    more = f", and {len(similar) - 1:,} more such names" if similar[1:] else ""
    return [f"{kind}: {' and '.join(similar[0])} are similar names, read as {len(similar[0])} {kind}{more}"]


def _separate_tracklets(labels: Mapping[str, Sequence[str]]) -> list[str]:
    """Prefix tracklets with their camera, if two cameras share a name of a tracklet."""
    tracklets = list(labels["tracklet"])
    pairs = list(zip(labels["camera"], tracklets, strict=True))
    if len({(camera, tracklet) for camera, tracklet in pairs if tracklet}) > len(set(tracklets) - {""}):
        return [f"{camera}/{tracklet}" if tracklet else "" for camera, tracklet in pairs]
    return tracklets


def _assign_ids(names: set[str]) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Assign ids to names: their numbers if all are different whole numbers, else their rank, with the sorted names."""
    if all(INTEGER.fullmatch(name) for name in names) and len({int(name) for name in names}) == len(names):
        return {name: int(name) for name in names}, ()
    ordered = tuple(sorted(names))
    return {name: number for number, name in enumerate(ordered)}, ordered
