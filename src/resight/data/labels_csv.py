"""Read a table of images and their labels; a mistake is an error that names the line.

Tables of spreadsheets and pandas need no changes. Cells may be separated by commas, semicolons, tabs or bars. The text
may be UTF-8 or UTF-16. Excel's line ``sep=;``, an index column, empty columns at the end, and backslashes between
folders are accepted.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from resight.data.folder_names import parse_split
from resight.data.label_columns import COLUMNS, LABELS, SYNONYMS, parse_header
from resight.data.label_ids import INTEGER, Row, is_unknown, strip_decimals
from resight.data.roots import list_folder
from resight.data.walk import walk
from resight.errors import DataError, counted
from resight.files import printable

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+")
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".json", ".parquet")
_TABLE_NAMES = (
    "labels",
    "label",
    "metadata",
    "annotations",
    "annotation",
    "train",
    "list",
    "data",
    "index",
    "identities",
)
_MAX_CELL = 80  # characters of a cell in an error


def read_labels(root: Path, table: str, notes: list[str]) -> list[Row]:
    """Read a table of images.

    Args:
        root: The folder from which relative paths start, including the table's own.
        table: The file, with a first line of column names.
        notes: Gets a note on each assumption and on ignored columns.

    Returns:
        For each image its values by column, as text without spaces around it. The path is absolute or below ``root``.

    Raises:
        DataError: The table is missing, empty or not CSV; the columns are ambiguous, see `parse_header`; or a line has
            no path, a missing or repeated path, or an invalid number.
    """
    path = root / table
    table_notes: list[str] = []
    images = _ImageFinder(root)
    rows: list[Row] = []
    line_of_image: dict[str, int] = {}
    for number, row in read_rows(path, images.exists, table_notes):
        location = f"folder: {path} line {number}"
        cell = printable(row["path"])[:_MAX_CELL]
        image = images.find(row["path"])
        if image is None:
            raise DataError(f"{location}: there is no image '{cell}' in {root}{images.advice(row['path'])}")
        if image in line_of_image:
            raise DataError(f"{location}: '{cell}' is in line {line_of_image[image]} already: remove one")
        check_row(location, row)
        line_of_image[image] = number
        rows.append({**row, "path": image})
    if images.num_backslashes:
        table_notes.append(f"\\ is read as / in {counted(images.num_backslashes, 'path')}")
    notes += [f"{path.name}: {note}" for note in table_notes]
    return rows


def read_rows(
    path: Path, is_image: Callable[[str], bool], notes: list[str], *, kind: str = "folder"
) -> list[tuple[int, Row]]:
    """Read the lines of a table under the columns that their first line names.

    Args:
        path: The file.
        is_image: Returns whether a cell names an image.
        notes: Gets a note on each assumption and on ignored columns.
        kind: What the table belongs to, for an error.

    Returns:
        The number of each line and its cells by column, as text without spaces around it; nothing is checked yet.

    Raises:
        DataError: The table is missing, empty or not CSV, a line has too many or too few cells, or the columns are
            ambiguous, see `parse_header`.
    """
    numbered_lines = _read_lines(path, notes, kind)
    lines = [cells for _, cells in numbered_lines]
    if len(lines) < 2:
        raise DataError(f"{kind}: {path} has no image: expected a line of column names and a line per image")
    if all(len(cells) == len(lines[0]) + 1 for cells in lines[1:]):  # R writes an index column without a name
        lines[0] = ["", *lines[0]]
    header = parse_header(f"{kind}: {path} line {numbered_lines[0][0]}", lines[0], lines[1:], is_image, notes)
    rows: list[tuple[int, Row]] = []
    for number, cells in numbered_lines[1:]:
        if len(cells) != len(header):
            expected = counted(len(header), "cell")
            raise DataError(f"{kind}: {path} line {number}: expected {expected}, found {len(cells)}")
        rows.append((number, {column: cell.strip() for column, cell in zip(header, cells, strict=True) if column}))
    return rows


def find_other_tables(root: Path) -> list[str]:
    """Find unread files of a folder that seem to be its table, and return a note with advice on each."""
    notes = []
    for name in list_folder(root)[1]:
        stem, suffix = Path(name).stem, Path(name).suffix
        if suffix.lower() not in _TABLE_SUFFIXES or name == LABELS:
            continue
        is_text = suffix.lower() in (".csv", ".tsv", ".txt")
        if stem.lower() in _TABLE_NAMES or (is_text and _has_path_column(root / name)):
            advice = f"rename it to {LABELS}" if is_text else f"save it as {LABELS} (CSV in UTF-8)"
            notes.append(f"{printable(name)} is not read; if it is the table of the images: {advice}")
    return notes


def _has_path_column(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first = _decode(file.read(2000)).partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return False
    cells = {cell.strip("\"' \r").casefold() for cell in re.split(r"[,;\t|]", first)}
    return len(cells) > 1 and bool(cells & {"path", *SYNONYMS["path"].split()})


def _read_lines(path: Path, notes: list[str], kind: str) -> list[tuple[int, list[str]]]:
    """Read the lines that are not empty, with their numbers, without empty columns at the end."""
    try:
        content = path.read_bytes()
        if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise DataError(
                f"{kind}: {path} is a spreadsheet's own file: save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')"
            )
        text = _decode(content)
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            notes.append("the file is read as UTF-16")
        declaration = re.match(r"\s*\"?sep=(.)\"?[^\r\n]*(\r\n|\n|\r)", text, re.IGNORECASE)
        separator = declaration[1] if declaration else _detect_separator(text)
        if separator != ",":
            notes.append(f"cells are separated by {_SEPARATORS.get(separator, repr(separator))}")
        num_skipped = declaration[0].count("\n") or 1 if declaration else 0
        csv_text = io.StringIO(text[declaration.end() if declaration else 0 :], newline="")
        reader = csv.reader(csv_text, delimiter=separator, strict=True)
        lines = [(reader.line_num + num_skipped, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise DataError(f"{kind}: there is no table {path}: check the path") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(
            f"{kind}: cannot read {path} as CSV in UTF-8 ({error}): save it as CSV in UTF-8 (in Excel: 'CSV UTF-8')"
        ) from None
    width = max((index + 1 for _, cells in lines for index, cell in enumerate(cells) if cell.strip()), default=0)
    return [(number, cells[:width] if len(cells) > width else cells) for number, cells in lines]


def _decode(content: bytes) -> str:
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if is_utf16 else "utf-8-sig", "strict")


def _detect_separator(text: str) -> str:
    """Return the separator that occurs most often in the first line, outside of quotes."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(_SEPARATORS, key=unquoted.count)


def check_row(location: str, row: Row) -> None:
    """Check that the labels of a line are valid.

    Args:
        location: The table and its line, for an error.
        row: The labels by column.

    Raises:
        DataError: A frame is no whole number, a split is unknown, or a spreadsheet rounded a number.
    """
    frame = row.get("frame", "")
    if not is_unknown(frame) and not INTEGER.fullmatch(strip_decimals(frame)):
        cell = printable(frame)[:_MAX_CELL]
        raise DataError(f"{location}: the frame '{cell}' is no whole number; leave it empty if unknown")
    split = row.get("split", "")
    if not is_unknown(split) and parse_split(split) is None:
        cell = printable(split)[:_MAX_CELL]
        raise DataError(f"{location}: the split '{cell}' is none of train, query and gallery: use one of these")
    for column in COLUMNS[1:]:
        if _ROUNDED.fullmatch(row.get(column, "")):
            raise DataError(
                f"{location}: a spreadsheet rounded the {column} '{row[column]}': format the column as text before you "
                "save the table"
            )


class _ImageFinder:
    """Finds the images that a table names.

    Args:
        root: The folder from which relative paths start.

    Attributes:
        num_backslashes: Number of images found with ``/`` instead of the backslashes in their paths.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.num_backslashes = root, 0

    def find(self, name: str) -> str | None:
        """Return the path of an image; None if it does not exist."""
        path = self._resolve(name)
        if path is not None and "\\" in name and str(path) != str(self.root / name):
            self.num_backslashes += 1
        return None if path is None else str(path)

    def exists(self, name: str) -> bool:
        """Return whether a cell names an existing image."""
        return self._resolve(name.strip()) is not None

    def advice(self, name: str) -> str:
        """Suggest a path for a missing image: a shorter one, one with a suffix, or the only file of that name."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        for start in range(1, len(parts)):
            shorter = "/".join(parts[start:])
            if self._resolve(shorter) is not None:
                return f": paths start from there, write '{printable(shorter)}'"
        for suffix in (".jpg", ".png", ".jpeg", ".JPG"):
            if name and self._resolve(name + suffix) is not None:
                return f": write '{printable(name + suffix)}', with its ending"
        for path in self._find_by_name(parts[-1] if parts else ""):
            return f": paths start from there, write '{printable(path)}'"
        return ": paths start from there, with / between folders"

    def _find_by_name(self, file: str) -> list[str]:
        """Find the only image below the root with a file name, in any case; none if there are several."""
        paths = (Path(path).relative_to(self.root).as_posix() for path, _ in walk(self.root, list[str]()))
        matches = [path for path in paths if PurePosixPath(path).name.casefold() == file.casefold()]
        return matches if len(matches) == 1 else []

    def _resolve(self, name: str) -> Path | None:
        for spelling in self._spellings(name):
            path = self.root / spelling
            # Path.is_file raises if a folder is closed or a name is too long.
            if os.path.isfile(path):  # noqa: PTH113
                return path
        return None

    @staticmethod
    def _spellings(name: str) -> Iterator[str]:
        if name and "\0" not in name:
            yield name
            if "\\" in name:
                yield name.replace("\\", "/")
