"""Find and read the folders of published sets, and describe what does not fit.

Many sets share Market-1501's layout: three folders of crops whose names hold the labels. This module reads the layout.
One file per set in `resight.data.sets` has the set's names, counts and license.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.image_formats import describe_skipped_files, is_image_name
from resight.errors import DataError, counted, nearest
from resight.files import printable
from resight.records import UNKNOWN, ImageTable

MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
"""The folder of each split in Market-1501's layout."""

SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Folders of operating systems: metadata, thumbnails, deleted files."""


def find_root(name: str, root: Path, parts: Sequence[str], *, folder_names: Sequence[str] = ()) -> Path:
    """Find the folder that contains a set's parts.

    Args:
        name: The set's name, for the error.
        root: The path of the user: the set's folder, or the one above it.
        parts: The sub-folders or files of the set.
        folder_names: Usual names of the set's own folder, to look for in ``root``.

    Returns:
        ``root`` or a folder in it.

    Raises:
        DataError: There is no such folder, or a part is missing.
    """
    if not root.is_dir():
        if root.exists():
            raise DataError(f"{name}: {root} is a file: name the folder that contains it")
        siblings = list_folder(root.parent)[0] if root.parent.is_dir() else []
        raise DataError(f"{name}: there is no folder {root}{nearest(root.name, siblings)}")
    candidates = [root, *(root / folder for folder in folder_names)]
    folder, missing = _most_complete(candidates, parts)
    if missing:
        folder, missing = _most_complete([folder, *map(innermost_folder, candidates)], parts)
    if missing:
        folders, files = list_folder(folder)
        # Suggest a file for a missing list, and a folder for a missing folder.
        similar = files if Path(missing[0]).suffix else folders
        raise DataError(
            f"{name}: expected {', '.join(parts)} in {folder}; missing {', '.join(missing)}; found "
            f"{_list_some([*folders, *files])}{nearest(missing[0], similar)}"
        )
    return folder


def _most_complete(folders: Sequence[Path], parts: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder that contains the most parts of a set, and the parts that it lacks."""
    missing = {folder: [part for part in parts if not part_path(folder, part).exists()] for folder in folders}
    best = min(missing, key=lambda folder: len(missing[folder]))
    return best, missing[best]


def part_path(folder: Path, part: str) -> Path:
    """Return the path of a set's part: some copies of a set have lists without their ``.txt``."""
    path = folder / part
    bare = path.with_suffix("")
    return bare if path.suffix == ".txt" and not path.exists() and bare.is_file() else path


def innermost_folder(folder: Path) -> Path:
    """Return the folder below up to three folders that contain one folder and nothing else."""
    for _ in range(3):
        folders, files = list_folder(folder) if os.path.isdir(folder) else ([], [])  # noqa: PTH112
        if len(folders) != 1 or files:
            break
        folder = folder / folders[0]
    return folder


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """List a folder, without hidden files and folders and those of `SYSTEM_FOLDERS`.

    Args:
        folder: The folder.

    Returns:
        The names of its sub-folders and of its files, each sorted. A broken link counts as a file.
    """
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_visible(entry.name):
                (folders if _is_folder(entry) else files).append(entry.name)
    return sorted(folders), sorted(files)


def is_visible(name: str) -> bool:
    """Return whether a file or a folder is the user's own: not hidden, and not in `SYSTEM_FOLDERS`."""
    return not name.startswith(".") and name not in SYSTEM_FOLDERS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False


def read_split(name: str, folder: Path, pattern: re.Pattern[str], form: str) -> tuple[ImageTable, list[str]]:
    """Read a folder of crops whose file names hold the labels.

    Args:
        name: The set's name, for the error.
        folder: The folder.
        pattern: Matches a file name from its start. Its groups ``person``, ``camera`` and, if the names have them,
            ``tracklet`` and ``frame`` are integers.
        form: An example of such a name, for messages.

    Returns:
        The images in the order of their names, and a note on each kind of skipped file.

    Raises:
        DataError: No file in the folder is an image with such a name.
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
    unmatched = [file for file, match in matches if not match]
    if unmatched:
        notes.append(f"{folder.name}: {describe_skipped_names(unmatched, form)}")
    other_files = [file for file in files if not is_image_name(file)]
    notes += [f"{folder.name}: {note}" for note in describe_skipped_files(other_files)]

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
    folder_names: Sequence[str] = (),
    folders: Mapping[str, str] = MARKET_FOLDERS,
) -> Dataset:
    """Read a set in Market-1501's layout: a folder of images for each split.

    Args:
        name: The set's name.
        root: The folder that contains the three split folders, or the one above it.
        pattern: As in `read_split`.
        form: As in `read_split`.
        published: The published numbers of images and people of each split.
        folder_names: As in `find_root`.
        folders: The folder of each split.

    Returns:
        The data set.

    Raises:
        DataError: A folder is missing or has no image.
    """
    root = find_root(name, root, tuple(folders.values()), folder_names=folder_names)
    splits = {split: read_split(name, root / folder, pattern, form) for split, folder in folders.items()}
    return Dataset(
        name,
        root,
        train=splits["train"][0],
        query=splits["query"][0],
        gallery=splits["gallery"][0],
        published=published,
        notes=tuple(note for _, notes in splits.values() for note in notes),
    )


def describe_skipped_names(names: Sequence[str], form: str) -> str:
    """Describe images that were skipped because their names differ from ``form``."""
    number = counted(
        len(names),
        f"image whose name is not like {form} is skipped",
        f"images whose names are not like {form} are skipped",
    )
    return f"{number}, such as {names[0]!r}"


def describe_missing_images(names: Sequence[str]) -> str:
    """Describe images of a list that were skipped because they do not exist."""
    return f"{counted(len(names), 'missing image is skipped', 'missing images are skipped')}, such as {names[0]!r}"


def _list_some(names: Sequence[str]) -> str:
    """List up to five names."""
    if not names:
        return "nothing"
    return printable(", ".join(names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
