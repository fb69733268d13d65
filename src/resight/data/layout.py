"""The folders and file names of published sets: find them, read them, and say what does not fit.

Market-1501's layout (three folders of crops whose names hold the labels) became that of many sets; what is
common to them is here, and what is not (names, counts, licences) in one file a set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.images import SUFFIXES
from resight.data.splits import Dataset
from resight.errors import DataError, counted, nearest
from resight.records import UNKNOWN, ImageTable

MARKET_FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
"""The folder of each split in Market-1501's layout."""


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
    found = max(places, key=lambda place: sum((place / part).exists() for part in needed))
    missing = [part for part in needed if not (found / part).exists()]
    if missing:
        there, _ = list_folder(found)
        raise DataError(
            f"{name}: expected {', '.join(needed)} in {found}; missing {', '.join(missing)}; found "
            f"{_sample(there) if there else 'no folder'}{nearest(missing[0], there)}"
        )
    return found


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """List what is in a folder, without what is hidden.

    Args:
        folder: The folder.

    Returns:
        The names of its sub-folders and of its files, each sorted; a link that leads nowhere counts as a file.
    """
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if _is_folder(entry) else files).append(entry.name)
    return sorted(folders), sorted(files)


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
    if len(files) > len(images):
        notes.append(f"{folder.name}: {skipped_files(len(files) - len(images))}")

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
        The data set, with a note where its counts are not the published ones.

    Raises:
        DataError: A part is missing or has no image.
    """
    found = find_root(name, root, tuple(folders.values()), inside=inside)
    parts = {split: read_split(name, found / folder, pattern, form) for split, folder in folders.items()}
    return with_note_on_counts(
        Dataset(
            name,
            found,
            train=parts["train"][0],
            query=parts["query"][0],
            gallery=parts["gallery"][0],
            published=published,
            notes=tuple(note for _, notes in parts.values() for note in notes),
        )
    )


def with_note_on_counts(dataset: Dataset) -> Dataset:
    """Give the data set a note where its counts are not the published ones; where none are, there is no such split."""
    if dataset.official or not dataset.published:
        return dataset
    counts = ", ".join(
        f"{split} {items:,} {dataset.unit} of {people:,} people (published {dataset.published[split][0]:,} of "
        f"{dataset.published[split][1]:,})"
        for split, (items, people) in dataset.counts.items()
        if split in dataset.published
    )
    note = f"not the official split, so scores on it do not compare with published ones: {counts}"
    return replace(dataset, notes=(note, *dataset.notes))


def skipped_files(number: int) -> str:
    """Say how many files were skipped because they are no images."""
    return counted(number, "file that is no image is skipped", "files that are no images are skipped")


def skipped_names(names: Sequence[str], form: str) -> str:
    """Say how many images were skipped for their names, ``form`` being what these should be like."""
    return skipped_images(names, f"whose name is not like {form}", f"whose names are not like {form}")


def skipped_images(names: Sequence[str], one: str, many: str) -> str:
    """Say how many images were skipped, and why: ``"that is not there"``, ``"that are not there"``."""
    return f"{counted(len(names), f'image {one} is skipped', f'images {many} are skipped')}, such as {names[0]!r}"


def is_image_name(name: str) -> bool:
    """Say whether a file's name ends like an image's, in any case."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a Path for each of 100,000 names is slow


def _sample(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
