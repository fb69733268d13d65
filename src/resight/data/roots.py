"""The folders and file names of published sets: find them, read them, and say what does not fit.

Market-1501's layout (three folders of crops whose names hold the labels) became that of many sets; what is
common to them is here, and what is not (names, counts, licenses) in one file a set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.image_formats import is_image_name, skipped_files
from resight.errors import DataError, counted, nearest
from resight.files import printable
from resight.records import UNKNOWN, ImageTable

MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
"""The folder of each split in Market-1501's layout."""

NOT_OURS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Folders that systems make: copies of names, small pictures, what was deleted."""


def find_root(name: str, root: Path, needed: Sequence[str], *, inside: Sequence[str] = ()) -> Path:
    """Find the folder that holds a set's parts.

    Args:
        name: The set's name, for the error.
        root: What the user gave: the set's folder, or the one above it.
        needed: The sub-folders or files that the set has.
        inside: Well-known names of the set's own folder, to look for in ``root``.

    Returns:
        ``root`` or one of its well-known sub-folders.

    Raises:
        DataError: There is no such folder, or a part is missing.
    """
    if not root.is_dir():
        if root.exists():
            raise DataError(f"{name}: {root} is a file: give the folder that it lies in")
        siblings = list_folder(root.parent)[0] if root.parent.is_dir() else []
        raise DataError(f"{name}: there is no folder {root}{nearest(root.name, siblings)}")
    places = [root, *(root / folder for folder in inside)]
    found, missing = _fullest(places, needed)
    if missing:
        found, missing = _fullest([found, *map(unpacked, places)], needed)
    if missing:
        folders, files = list_folder(found)
        # A list is not meant by the name of a folder, nor the other way round.
        alike = files if Path(missing[0]).suffix else folders
        raise DataError(
            f"{name}: expected {', '.join(needed)} in {found}; missing {', '.join(missing)}; found "
            f"{sampled([*folders, *files])}{nearest(missing[0], alike)}"
        )
    return found


def _fullest(places: Sequence[Path], needed: Sequence[str]) -> tuple[Path, list[str]]:
    """Give the place that holds the most of what is needed, and what it lacks."""
    missing = {place: [part for part in needed if not part_of(place, part).exists()] for place in places}
    found = min(missing, key=lambda place: len(missing[place]))
    return found, missing[found]


def part_of(place: Path, part: str) -> Path:
    """Give where a set's part lies: some copies of a set have lists without their ``.txt``."""
    path = place / part
    bare = path.with_suffix("")
    return bare if path.suffix == ".txt" and not path.exists() and bare.is_file() else path


def unpacked(folder: Path) -> Path:
    """Give the folder that a set lies in: below folders that hold another folder and nothing else."""
    for _ in range(3):
        folders, files = list_folder(folder) if os.path.isdir(folder) else ([], [])  # noqa: PTH112
        if len(folders) != 1 or files:
            break
        folder = folder / folders[0]
    return folder


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """List what is in a folder, without what is hidden or of the system, see `NOT_OURS`.

    Args:
        folder: The folder.

    Returns:
        The names of its sub-folders and of its files, each sorted; a link that leads nowhere counts as a file.
    """
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if counts(entry.name):
                (folders if _is_folder(entry) else files).append(entry.name)
    return sorted(folders), sorted(files)


def counts(name: str) -> bool:
    """Say whether a file or a folder of that name is a user's own: not hidden, and none of the system's."""
    return not name.startswith(".") and name not in NOT_OURS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def read_split(name: str, folder: Path, pattern: re.Pattern[str], form: str) -> tuple[ImageTable, list[str]]:
    """Read a folder of crops whose file names hold the labels.

    Args:
        name: The set's name, for the error.
        folder: The folder.
        pattern: Matches a file name from its start; its groups ``person``, ``camera`` and, where the names
            have them, ``tracklet`` and ``frame`` are integers.
        form: How such a name looks, for people.

    Returns:
        The images in the order of their names, and a note on each kind of file that was skipped.

    Raises:
        DataError: No file in the folder is such an image.
    """
    _, files = list_folder(folder)
    images = [file for file in files if is_image_name(file)]
    matches = [(file, pattern.match(file)) for file in images]
    labels = [(file, match.groupdict()) for file, match in matches if match]
    if not labels:
        raise DataError(
            f"{name}: no image in {folder} is named like {form}; found "
            f"{counted(len(files), 'file') + f', such as {files[0]!r}' if files else 'no file'}"
        )
    notes = []
    strangers = [file for file, match in matches if not match]
    if strangers:
        notes.append(f"{folder.name}: {skipped_names(strangers, form)}")
    notes += [f"{folder.name}: {note}" for note in skipped_files([file for file in files if not is_image_name(file)])]

    def column(group: str) -> list[int]:
        return [int(values.get(group, UNKNOWN)) for _, values in labels]

    return ImageTable(
        np.array([str(folder / file) for file, _ in labels]),
        np.array(column("person")),
        np.array(column("camera")),
        np.array(column("tracklet")),
        np.array(column("frame")),
    ), notes


def read_market_style(
    name: str,
    root: Path,
    *,
    pattern: re.Pattern[str],
    form: str,
    published: Mapping[str, tuple[int, int]],
    inside: Sequence[str] = (),
    folders: Mapping[str, str] = MARKET_FOLDERS,
) -> Dataset:
    """Read a set in Market-1501's layout: a folder of images for each split.

    Args:
        name: The set's name.
        root: The folder that holds the three parts, or the one above it.
        pattern: As in `read_split`.
        form: As in `read_split`.
        published: The images and people of each split, as published.
        inside: As in `find_root`.
        folders: The folder of each split.

    Returns:
        The data set.

    Raises:
        DataError: A part is missing or has no image.
    """
    found = find_root(name, root, tuple(folders.values()), inside=inside)
    parts = {split: read_split(name, found / folder, pattern, form) for split, folder in folders.items()}
    return Dataset(
        name,
        found,
        train=parts["train"][0],
        query=parts["query"][0],
        gallery=parts["gallery"][0],
        published=published,
        notes=tuple(note for _, notes in parts.values() for note in notes),
    )


def skipped_names(names: Sequence[str], form: str) -> str:
    """Say how many images were skipped for their names, ``form`` being what these should be like."""
    return skipped_images(names, f"whose name is not like {form}", f"whose names are not like {form}")


def skipped_images(names: Sequence[str], one: str, many: str) -> str:
    """Say how many images were skipped, and why: ``"that is not there"``, ``"that are not there"``."""
    return f"{counted(len(names), f'image {one} is skipped', f'images {many} are skipped')}, such as {names[0]!r}"


def sampled(names: Sequence[str]) -> str:
    """Name a few of what was found."""
    if not names:
        return "nothing"
    return printable(", ".join(names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
