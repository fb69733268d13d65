"""Read a table of images and their labels; a mistake is an error that names the line.

Tables of spreadsheets and of pandas are read as they are: commas, semicolons, tabs or bars between cells, UTF-8 or
UTF-16, Excel's line ``sep=;``, an index column, empty columns at the end, backslashes between folders.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from resight.data.folder_names import split_of
from resight.data.label_columns import COLUMNS, LABELS, SYNONYMS, header_of
from resight.data.label_ids import WHOLE, Row, is_unknown, whole
from resight.data.roots import list_folder
from resight.data.walk import walk
from resight.errors import DataError, counted
from resight.files import printable

_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+")
_TABLES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".json", ".parquet")
_TITLES = ("labels", "label", "metadata", "annotations", "annotation", "train", "list", "data", "index", "identities")
_LONGEST = 80  # characters of a cell in an error


def read_sheet(root: Path, table: str, notes: list[str]) -> list[Row]:
    """Read a table of images.

    Args:
        root: The folder that relative paths, the table's own included, start from.
        table: The file, with a first line of column names.
        notes: What was assumed or ignored joins these.

    Returns:
        For each image its values by column, as text without spaces around it; the path is absolute or below
        ``root``.

    Raises:
        DataError: The table is missing, empty or no CSV; its columns are not sure, see `header_of`; a line has no path,
            a path that is not there or was given before, or a number that cannot be one.
    """
    sheet = root / table
    said: list[str] = []
    numbered = _lines(sheet, said)
    lines = [cells for _, cells in numbered]
    if len(lines) < 2:
        raise DataError(f"folder: {sheet} has no image: expected a line of column names and a line an image")
    images = _Images(root)
    if all(len(cells) == len(lines[0]) + 1 for cells in lines[1:]):  # as R writes it: the index has no name
        lines[0] = ["", *lines[0]]
    header = header_of(f"folder: {sheet} line {numbered[0][0]}", lines[0], lines[1:], images.is_there, said)
    rows: list[Row] = []
    first: dict[str, int] = {}
    for number, cells in numbered[1:]:
        where = f"folder: {sheet} line {number}"
        if len(cells) != len(header):
            raise DataError(f"{where}: expected {counted(len(header), 'cell')}, found {len(cells)}")
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=True) if column}
        shown = printable(row["path"])[:_LONGEST]
        found = images.find(row["path"])
        if found is None:
            raise DataError(f"{where}: there is no image '{shown}' in {root}{images.advice(row['path'])}")
        if found in first:
            raise DataError(f"{where}: '{shown}' stands in line {first[found]} already: remove one")
        _check(where, row)
        first[found] = number
        rows.append({**row, "path": found})
    if images.turned:
        said.append(f"\\ is read as / in {counted(images.turned, 'path')}")
    notes += [f"{sheet.name}: {note}" for note in said]
    return rows


def other_tables(root: Path) -> list[str]:
    """Say which files of a folder seem to be its table and are not read, and what to do."""
    said = []
    for name in list_folder(root)[1]:
        stem, suffix = Path(name).stem, Path(name).suffix
        if suffix.lower() not in _TABLES or name == LABELS:
            continue
        text = suffix.lower() in (".csv", ".tsv", ".txt")
        if stem.lower() in _TITLES or (text and _names_a_path(root / name)):
            advice = f"rename it to {LABELS}" if text else f"save it as {LABELS} (CSV in UTF-8)"
            said.append(f"{printable(name)} is not read; if it is the table of the images: {advice}")
    return said


def _names_a_path(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = _decoded(file.read(2000)).partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return False
    cells = {cell.strip("\"' \r").casefold() for cell in re.split(r"[,;\t|]", first)}
    return len(cells) > 1 and bool(cells & {"path", *SYNONYMS["path"].split()})


def _lines(sheet: Path, notes: list[str]) -> list[tuple[int, list[str]]]:
    """Give the lines that hold something, each with its number, without columns that are empty throughout."""
    try:
        content = sheet.read_bytes()
        if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise DataError(f"folder: {sheet} is a spreadsheet's own file and no CSV: save it as CSV in UTF-8")
        text = _decoded(content)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            notes.append("the file is UTF-16, and is read as that")
        told = re.match(r"\s*\"?sep=(.)\"?[^\r\n]*(\r\n|\n|\r)", text, re.IGNORECASE)
        mark = told[1] if told else _mark(text)
        if mark != ",":
            notes.append(f"cells are separated by {_MARKS.get(mark, repr(mark))}")
        skipped = told[0].count("\n") or 1 if told else 0
        reader = csv.reader(io.StringIO(text[told.end() if told else 0 :], newline=""), delimiter=mark, strict=True)
        lines = [(reader.line_num + skipped, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise DataError(f"folder: there is no table {sheet}: check the path") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"folder: cannot read {sheet} as CSV in UTF-8 ({error}): save it as that") from None
    width = max((place + 1 for _, cells in lines for place, cell in enumerate(cells) if cell.strip()), default=0)
    return [(number, cells[:width] if len(cells) > width else cells) for number, cells in lines]


def _decoded(content: bytes) -> str:
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig", "strict")


def _mark(text: str) -> str:
    """Give what separates the cells of the first line: what stands most often in it, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(_MARKS, key=bare.count)


def _check(where: str, row: Row) -> None:
    """Make sure that the numbers of a line can be what they are said to be."""
    frame = row.get("frame", "")
    if not is_unknown(frame) and not WHOLE.fullmatch(whole(frame)):
        shown = printable(frame)[:_LONGEST]
        raise DataError(f"{where}: the frame '{shown}' is no whole number; leave it empty if unknown")
    split = row.get("split", "")
    if not is_unknown(split) and split_of(split) is None:
        shown = printable(split)[:_LONGEST]
        raise DataError(f"{where}: the split '{shown}' is none of train, query and gallery: call it one of them")
    for column in COLUMNS[1:]:
        if _ROUNDED.fullmatch(row.get(column, "")):
            raise DataError(
                f"{where}: the {column} '{row[column]}' was rounded by a spreadsheet: make the column text before the "
                "table is saved"
            )


class _Images:
    """Finds the images that a table names.

    Args:
        root: Where relative paths start.

    Attributes:
        turned: How many paths were found with ``/`` in place of their backslashes.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.turned = root, 0

    def find(self, name: str) -> str | None:
        """Give the image's path; None where it is not there."""
        path = self._path(name)
        if path is not None and "\\" in name and str(path) != str(self.root / name):
            self.turned += 1
        return None if path is None else str(path)

    def is_there(self, name: str) -> bool:
        """Say whether a cell names an image."""
        return self._path(name.strip()) is not None

    def advice(self, name: str) -> str:
        """Say what a path should have been, where an end of it is there, or with an ending."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        for start in range(1, len(parts)):
            below = "/".join(parts[start:])
            if self._path(below) is not None:
                return f": paths start from there, write '{printable(below)}'"
        for suffix in (".jpg", ".png", ".jpeg", ".JPG"):
            if name and self._path(name + suffix) is not None:
                return f": write '{printable(name + suffix)}', with its ending"
        for below in self._called_alike(parts[-1] if parts else ""):
            return f": paths start from there, write '{printable(below)}'"
        return ": paths start from there, with / between folders"

    def _called_alike(self, file: str) -> list[str]:
        """Find the only image below the root that is called like a file, in capitals or not; none if there are more."""
        paths = (Path(path).relative_to(self.root).as_posix() for path, _ in walk(self.root, list[str]()))
        alike = [path for path in paths if PurePosixPath(path).name.casefold() == file.casefold()]
        return alike if len(alike) == 1 else []

    def _path(self, name: str) -> Path | None:
        for written in self._written(name):
            path = self.root / written
            # Path.is_file raises where a folder is closed or a name is too long.
            if os.path.isfile(path):  # noqa: PTH113
                return path
        return None

    @staticmethod
    def _written(name: str) -> Iterator[str]:
        if name and "\0" not in name:
            yield name
            if "\\" in name:
                yield name.replace("\\", "/")
