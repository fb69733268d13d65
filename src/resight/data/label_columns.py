"""The columns of a table of images: what they are called, and what is meant by other names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from resight.errors import DataError, nearest
from resight.files import printable

COLUMNS = ("path", "person", "camera", "tracklet", "frame", "split")
"""The columns that are read, in capitals or not; only the first must be there."""

LABELS = "labels.csv"
"""The table of a folder of crops that is read where none is given, by its name in the folder."""

EXAMPLE = "path,person,camera"
"""A first line of a table."""

SYNONYMS = {
    "path": "paths img_path image_path imgpath imagepath image img images image_name img_name imagename filename file "
    "file_name filepath file_path filenames relpath relative_path crop crop_path picture photo impath fname uri",
    "person": "people person_id personid pid pids identity identity_id identities ident id ids label labels name names "
    "subject subject_id individual individual_id who vehicle vehicle_id vehicleid "
    "person_name reid_id global_id",
    "camera": "cameras camera_id cameraid camid cam cam_id camids cams camera_name cam_name camera_no cam_no device "
    "device_id",
    "tracklet": "tracklets track tracks track_id trackid tracklet_id trackletid tid sequence sequence_id seq",
    "frame": "frames frame_id frameid frame_number frame_no frame_num frame_idx frame_index framenumber",
    "split": "splits subset partition set",
}
"""Other names of each column, with a space between them."""

_UNNAMED = re.compile(r"|unnamed: ?\d+|index|#")

Cells = Sequence[str]


def header_of(
    where: str, first: Cells, lines: Sequence[Cells], is_image: Callable[[str], bool], notes: list[str]
) -> list[str]:
    """Say what each column of a table is.

    Args:
        where: The table and its line, for an error.
        first: The cells of its first line.
        lines: Those of the other lines.
        is_image: Whether a cell names an image that is there.
        notes: What was assumed, and what is ignored, joins these.

    Returns:
        For each column one of `COLUMNS`, or empty where it is not read.

    Raises:
        DataError: The first line names no columns, a column stands twice, none is a path, or what one is is not sure.
    """
    names = [cell.strip() for cell in first]
    said = [_simple(name) for name in names]
    if len(names) == 1 and " " in names[0]:
        raise DataError(
            f"{where}: cells must be separated by commas, semicolons or tabs, such as {EXAMPLE}; found "
            f"'{printable(names[0])[:80]}'"
        )
    known = {other: column for column, others in SYNONYMS.items() for other in (column, *others.split())}
    if not any(name in known for name in said) and any(_like_a_file(cell) or is_image(cell) for cell in names):
        raise DataError(
            f"{where}: the first line must name the columns, such as {EXAMPLE}; found "
            f"'{printable(','.join(names))[:80]}'"
        )
    twice = [column for column in COLUMNS if said.count(column) > 1]
    if twice:
        raise DataError(f"{where}: the column '{twice[0]}' stands twice: remove one")
    header = [name if name in COLUMNS else "" for name in said]
    for column in COLUMNS:
        if column not in header:
            meant = [place for place, name in enumerate(said) if known.get(name) == column]
            _take(where, column, meant, names, header, lines, is_image, notes)
    if "path" not in header:
        raise DataError(f"{where}: {_no_path(names, lines, is_image)}")
    _say_ignored(where, names, said, header, notes)
    return header


def _take(
    where: str,
    column: str,
    meant: Sequence[int],
    names: Sequence[str],
    header: list[str],
    lines: Sequence[Cells],
    is_image: Callable[[str], bool],
    notes: list[str],
) -> None:
    """Take the one column that is called by another name; of several, the one whose cells fit."""
    if len(meant) > 1 and column == "path":
        meant = [place for place in meant if is_image(_cells(lines, place)[0])] or meant
    if column != "path":  # a number for each line is the line's, and nobody's
        lasting = [place for place in meant if not _all_differ(_cells(lines, place))]
        if len(lasting) < len(meant) and (lasting or _simple(names[meant[0]]) in ("id", "ids", "name", "label")):
            meant = lasting
    if len(meant) > 1:
        found = " and ".join(f"'{printable(names[place])}'" for place in meant)
        raise DataError(f"{where}: the columns {found} may each be the {column}: rename the right one to {column}")
    if meant:
        header[meant[0]] = column
        notes.append(f"the column '{printable(names[meant[0]])}' is taken for {column}")


def _no_path(names: Sequence[str], lines: Sequence[Cells], is_image: Callable[[str], bool]) -> str:
    """Say which column should be called path: the one that holds images, else the one of the nearest name."""
    found = ", ".join(printable(name) for name in names)
    holding = [name for place, name in enumerate(names) if any(map(is_image, _cells(lines, place)[:5]))]
    listing = [name for place, name in enumerate(names) if any(map(_like_a_file, _cells(lines, place)[:5]))]
    meant = next(iter([*holding, *listing, *_near("path", names)]), None)
    advice = f"rename {printable(meant)} to path" if meant else "rename the column of the images' paths to path"
    return f"no column 'path'; found {found}: {advice}"


def _say_ignored(
    where: str, names: Sequence[str], said: Sequence[str], header: Sequence[str], notes: list[str]
) -> None:
    """Say which columns are not read, and which of them is a misspelled one.

    Raises:
        DataError: None of those that are read holds labels, and one seems to be a misspelled one of these.
    """
    ignored = [
        name for name, simple, column in zip(names, said, header, strict=True)
        if not column and not _UNNAMED.fullmatch(simple)
    ]  # fmt: skip
    if not ignored:
        return
    absent = [column for column in COLUMNS[1:] if column not in header]
    rename = next((f"rename {printable(name)} to {near}" for near in absent for name in _near(near, ignored)), "")
    if rename and not set(header) & set(COLUMNS[1:]):
        raise DataError(f"{where}: no column holds labels; known are {', '.join(COLUMNS[1:])}: {rename}")
    one = len(ignored) == 1
    notes.append(
        f"{'column' if one else 'columns'} {', '.join(map(printable, ignored))} {'is' if one else 'are'} ignored; "
        f"known are {', '.join(COLUMNS)}" + (f"; if it is one of them, {rename}" if rename else "")
    )


def _near(column: str, names: Sequence[str]) -> list[str]:
    """Give the names that may be a misspelled column."""
    return [name for name in names if nearest(_simple(name), [column])]


def _simple(name: str) -> str:
    return re.sub(r"[\s_.-]+", "_", name.strip("\"' ").casefold()).strip("_")


def _cells(lines: Sequence[Cells], place: int) -> list[str]:
    return [cells[place].strip() if place < len(cells) else "" for cells in lines]


def _all_differ(cells: Sequence[str]) -> bool:
    return len(cells) > 2 and len(set(cells)) == len(cells)


def _like_a_file(cell: str) -> bool:
    return bool(re.search(r"\.(jpe?g|png|bmp|gif|tiff?|webp|jp2|jfif|pp?m|pgm)$", cell.strip(), re.IGNORECASE))
