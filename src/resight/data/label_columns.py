"""The columns of a table of labels, and other names for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from resight.errors import DataError, nearest
from resight.files import printable

COLUMNS = ("path", "person", "camera", "tracklet", "frame", "split")
"""The columns to read, in lower or upper case; only the first is required."""

LABELS = "labels.csv"
"""The file in a folder of crops that is read as its table by default."""

EXAMPLE = "path,person,camera"
"""An example of a first line, for errors."""

SYNONYMS = {
    "path": "paths img_path img_paths image_path image_paths imgpath imagepath image img images image_name img_name "
    "imagename filename file file_name filepath file_path filenames relpath relative_path crop crop_path picture photo "
    "impath fname uri",
    "person": "people person_id person_ids personid pid pids identity identity_id identities ident id ids label labels "
    "name names subject subject_id individual individual_id who vehicle vehicle_id vehicleid "
    "person_name reid_id global_id",
    "camera": "cameras camera_id camera_ids cameraid camid cam cam_id camids cams camera_name cam_name camera_no "
    "cam_no device device_id",
    "tracklet": "tracklets track tracks track_id trackid tracklet_id tracklet_ids trackletid tid sequence sequence_id "
    "seq",
    "frame": "frames frame_id frame_ids frameid frame_number frame_no frame_num frame_idx frame_index framenumber",
    "split": "splits subset partition set",
}
"""Other names of each column, separated by spaces."""

_UNNAMED = re.compile(r"|unnamed: ?\d+|index|#")

Cells = Sequence[str]


def parse_header(
    location: str, first: Cells, lines: Sequence[Cells], is_image: Callable[[str], bool], notes: list[str]
) -> list[str]:
    """Match each column of a table to one of `COLUMNS`.

    Args:
        location: The table and its line, for an error.
        first: The cells of the first line.
        lines: The cells of the other lines.
        is_image: Returns whether a cell names an existing image.
        notes: Gets a note on each assumption and on ignored columns.

    Returns:
        For each column one of `COLUMNS`; empty for an ignored column.

    Raises:
        DataError: The first line names no columns, a column occurs twice, there is no column of paths, or several
            columns may have the same meaning.
    """
    names = [cell.strip() for cell in first]
    simple_names = [_simplify(name) for name in names]
    if len(names) == 1 and " " in names[0]:
        raise DataError(
            f"{location}: cells must be separated by commas, semicolons or tabs, such as {EXAMPLE}; found "
            f"'{printable(names[0])[:80]}'"
        )
    column_of = {name: column for column, synonyms in SYNONYMS.items() for name in (column, *synonyms.split())}
    has_names = any(name in column_of for name in simple_names)
    if not has_names and any(_has_image_suffix(cell) or is_image(cell) for cell in names):
        raise DataError(
            f"{location}: the first line must name the columns, such as {EXAMPLE}; found "
            f"'{printable(','.join(names))[:80]}'"
        )
    repeated = [column for column in COLUMNS if simple_names.count(column) > 1]
    if repeated:
        raise DataError(f"{location}: the column '{repeated[0]}' occurs twice: remove one")
    header = [name if name in COLUMNS else "" for name in simple_names]
    for column in COLUMNS:
        if column not in header:
            candidates = [index for index, name in enumerate(simple_names) if column_of.get(name) == column]
            _match_synonym(location, column, candidates, names, header, lines, is_image, notes)
    if "path" not in header:
        raise DataError(f"{location}: {_describe_missing_path(names, lines, is_image)}")
    _note_ignored(location, names, simple_names, header, notes)
    return header


def means_column(name: str, column: str) -> bool:
    """Return whether a name is one of `COLUMNS`, or one of its synonyms."""
    return _simplify(name) in (column, *SYNONYMS[column].split())


def _match_synonym(
    location: str,
    column: str,
    candidates: Sequence[int],
    names: Sequence[str],
    header: list[str],
    lines: Sequence[Cells],
    is_image: Callable[[str], bool],
    notes: list[str],
) -> None:
    """Fill the header with the one column named by a synonym; of several, with the one whose cells fit."""
    if len(candidates) > 1 and column == "path":
        candidates = [index for index in candidates if is_image(_cells(lines, index)[0])] or candidates
    if column != "path":  # a different value in each line numbers the lines
        repeating = [index for index in candidates if not _all_differ(_cells(lines, index))]
        if len(repeating) < len(candidates) and (
            repeating or _simplify(names[candidates[0]]) in ("id", "ids", "name", "label")
        ):
            candidates = repeating
    if len(candidates) > 1:
        listing = " and ".join(f"'{printable(names[index])}'" for index in candidates)
        raise DataError(f"{location}: the columns {listing} may each be the {column}: rename the right one to {column}")
    if candidates:
        header[candidates[0]] = column
        notes.append(f"the column '{printable(names[candidates[0]])}' is read as {column}")


def _describe_missing_path(names: Sequence[str], lines: Sequence[Cells], is_image: Callable[[str], bool]) -> str:
    """Describe which column to rename to path: one with images, else one with file names, else the nearest name."""
    listing = ", ".join(printable(name) for name in names)
    with_images = [name for index, name in enumerate(names) if any(map(is_image, _cells(lines, index)[:5]))]
    with_files = [name for index, name in enumerate(names) if any(map(_has_image_suffix, _cells(lines, index)[:5]))]
    candidate = next(iter([*with_images, *with_files, *_near("path", names)]), None)
    advice = f"rename {printable(candidate)} to path" if candidate else "rename the column of the images' paths to path"
    return f"no column 'path'; found {listing}: {advice}"


def _note_ignored(
    location: str, names: Sequence[str], simple_names: Sequence[str], header: Sequence[str], notes: list[str]
) -> None:
    """Note the ignored columns, and which of them may be misspelled.

    Raises:
        DataError: No column holds labels, and an ignored one seems to be a misspelled column of labels.
    """
    ignored = [
        name for name, simple_name, column in zip(names, simple_names, header, strict=True)
        if not column and not _UNNAMED.fullmatch(simple_name)
    ]  # fmt: skip
    if not ignored:
        return
    missing = [column for column in COLUMNS[1:] if column not in header]
    rename = next(
        (f"rename {printable(name)} to {column}" for column in missing for name in _near(column, ignored)), ""
    )
    if rename and not set(header) & set(COLUMNS[1:]):
        raise DataError(f"{location}: no column holds labels; known are {', '.join(COLUMNS[1:])}: {rename}")
    single = len(ignored) == 1
    notes.append(
        f"{'column' if single else 'columns'} {', '.join(map(printable, ignored))} {'is' if single else 'are'} ignored"
        f"; known are {', '.join(COLUMNS)}" + (f"; if it is one of them, {rename}" if rename else "")
    )


def _near(column: str, names: Sequence[str]) -> list[str]:
    """Return the names that may be a misspelled column."""
    return [name for name in names if nearest(_simplify(name), [column])]


def _simplify(name: str) -> str:
    return re.sub(r"[\s_.-]+", "_", name.strip("\"' ").casefold()).strip("_")


def _cells(lines: Sequence[Cells], index: int) -> list[str]:
    """Return the cells of a column."""
    return [cells[index].strip() if index < len(cells) else "" for cells in lines]


def _all_differ(cells: Sequence[str]) -> bool:
    return len(cells) > 2 and len(set(cells)) == len(cells)


def _has_image_suffix(cell: str) -> bool:
    return bool(re.search(r"\.(jpe?g|png|bmp|gif|tiff?|webp|jp2|jfif|pp?m|pgm)$", cell.strip(), re.IGNORECASE))
