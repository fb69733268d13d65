"""Read a CSV table of images and their labels; a mistake is an error that names the line."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

from resight.errors import DataError, counted, nearest

COLUMNS = ("path", "person", "camera", "tracklet", "frame")
"""The columns that are read, in capitals or not; only the first must be there."""

LABELS = "labels.csv"
"""The table of a folder of crops that is read where none is given, by its name in the folder."""

_FRAME = re.compile(r"|-1|[0-9]{1,18}")


def read_sheet(root: Path, table: str, notes: list[str]) -> list[dict[str, str]]:
    """Read a table of images.

    Args:
        root: The folder that relative paths, the table's own included, start from.
        table: The CSV file: UTF-8, with a first line of column names.
        notes: What was ignored joins these.

    Returns:
        For each image its values by column, as text without spaces around it; the path is absolute or below
        ``root``.

    Raises:
        DataError: The table is missing, empty or no CSV; a column stands twice; none holds labels, and one seems to be
            a misspelt one of these; a line has no path, a path that is not there or was given before, or a frame
            that is no whole number.
    """
    sheet = root / table
    try:
        with sheet.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader]
    except FileNotFoundError:
        raise DataError(f"folder: there is no table {sheet}: check the path") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"folder: cannot read {sheet} as CSV in UTF-8: {error}") from None
    if len(lines) < 2:
        raise DataError(f"folder: {sheet} has no image: expected a line of column names and a line an image")

    header = _header(sheet, lines[0][1])
    twice = [name for name in COLUMNS if header.count(name) > 1]
    if twice:
        raise DataError(f"folder: {sheet} line 1: the column '{twice[0]}' stands twice: remove one")
    ignored = [name for name in header if name not in COLUMNS]
    if ignored:
        absent = [name for name in COLUMNS if name not in header]
        misspelt = next(((name, meant) for name in ignored if (meant := nearest(name.casefold(), absent))), None)
        if misspelt and not set(header) & set(COLUMNS[1:]):
            name, meant = misspelt
            raise DataError(
                f"folder: {sheet} line 1: the column '{name}' is unknown and no other holds labels; known are "
                f"{', '.join(COLUMNS[1:])}{meant}"
            )
        columns = "column" if len(ignored) == 1 else "columns"
        notes.append(
            f"{sheet.name}: {columns} {', '.join(ignored)} {'is' if len(ignored) == 1 else 'are'} ignored; known are "
            f"{', '.join(COLUMNS)}{misspelt[1] if misspelt else ''}"
        )

    rows: list[dict[str, str]] = []
    first: dict[Path, int] = {}
    for number, cells in lines[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"folder: {sheet} line {number}"
        if len(cells) != len(header):
            raise DataError(f"{where}: expected {counted(len(header), 'cell')}, found {len(cells)}")
        values = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in COLUMNS}
        path = root / values["path"]
        # Path.is_file raises where a folder is closed or a name is too long.
        if not values["path"] or not os.path.isfile(path):  # noqa: PTH113
            raise DataError(f"{where}: there is no image '{values['path']}' in {root}")
        if path in first:
            raise DataError(f"{where}: '{values['path']}' stands in line {first[path]} already: remove one")
        if not _FRAME.fullmatch(values.get("frame", "")):
            raise DataError(f"{where}: the frame '{values['frame']}' is no whole number; leave it empty if unknown")
        first[path] = number
        rows.append({**values, "path": str(path)})
    if not rows:
        raise DataError(f"folder: {sheet} has no image below its line of column names")
    return rows


def _header(sheet: Path, cells: list[str]) -> list[str]:
    """Give the names of the columns; known ones in small letters, as spreadsheets like capitals."""
    names = [cell.strip() for cell in cells]
    header = [name.casefold() if name.casefold() in COLUMNS else name for name in names]
    if "path" in header:
        return header
    where = f"folder: {sheet} line 1"
    for mark, marks in ((";", "semicolons"), ("\t", "tabs")):
        if any(mark in name for name in names):
            raise DataError(
                f"{where}: columns must be separated by commas, found {marks}: save the table as CSV with commas"
            )
    raise DataError(f"{where}: no column 'path'; found {', '.join(names)}{nearest('path', names)}")
