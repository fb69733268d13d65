"""MSMT17: 126,441 boxes of 4,101 people by fifteen cameras over four days, found by a detector.

Version 2 differs from version 1 in its folder names and in masked faces; the splits are the same lists. People are
numbered from 0 in the training part and again from 0 in the test part, so equal numbers are different people. As in the
papers, training uses the lists ``train`` and ``val`` together.

License: for research, on a signed agreement with its authors. resight contains no data of the set.

References:
    Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-identification", CVPR 2018.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import describe_missing_images, describe_skipped_names, find_root, part_path
from resight.errors import DataError
from resight.records import ImageTable

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_[0-9]+_(?P<camera>[0-9]{1,4})_")
FORM = "PPPP_NNN_CC_<time>_FFFF_B.jpg"
FOLDERS = {"version 1": ("train", "test"), "version 2": ("mask_train_v2", "mask_test_v2")}
"""The folders of the training and the test images, by version."""
PUBLISHED = {"train": (32_621, 1_041), "query": (11_659, 3_060), "gallery": (82_161, 3_060)}
"""Images and person ids."""

_LISTS = {
    "train": ("list_train.txt", "list_val.txt"),
    "query": ("list_query.txt",),
    "gallery": ("list_gallery.txt",),
}


def load_msmt17(root: Path) -> Dataset:
    """Read MSMT17, version 1 or 2.

    Args:
        root: The folder with the four ``list_*.txt`` and the image folders, or the one above it.

    Returns:
        The data set, with a note on its version. Frames are unknown: the last numbers of the names restart at each
        time of day.

    Raises:
        DataError: A list or a folder is missing, or no image of a list exists.
    """
    lists = [name for names in _LISTS.values() for name in names]
    root = find_root("msmt17", root, lists, folder_names=("MSMT17_V2", "MSMT17_V1", "MSMT17", "msmt17"))
    versions = [name for name, parts in FOLDERS.items() if all((root / part).is_dir() for part in parts)]
    if not versions:
        expected = " or ".join(" and ".join(parts) for parts in FOLDERS.values())
        raise DataError(f"msmt17: there are lists, but no images: expected {expected} in {root}")
    train, test = FOLDERS[versions[-1]]
    notes = [f"{versions[-1]} (images in {train} and {test})"]
    tables = {
        split: _read_lists(root, root / (train if split == "train" else test), names, notes)
        for split, names in _LISTS.items()
    }
    return Dataset(
        "msmt17", root, tables["train"], tables["query"], tables["gallery"], published=PUBLISHED, notes=tuple(notes)
    )


def _read_lists(root: Path, folder: Path, lists: tuple[str, ...], notes: list[str]) -> ImageTable:
    """Read the images of lists with a line ``path label`` per image; notes describe skipped images."""
    paths, people, cameras = [], [], []
    missing, unmatched = [], []
    for name in lists:
        for line in part_path(root, name).read_text(encoding="utf-8-sig", errors="replace").splitlines():
            if not line.strip():
                continue
            path = folder / line.split()[0]
            match = PATTERN.match(path.name)
            if not match:
                unmatched.append(line.strip())
            elif not path.is_file():
                missing.append(line.strip())
            else:
                paths.append(str(path))
                people.append(int(match["person"]))
                cameras.append(int(match["camera"]))
    if unmatched:
        notes.append(f"{' and '.join(lists)}: {describe_skipped_names(unmatched, FORM)}")
    if missing:
        notes.append(f"{' and '.join(lists)}: {describe_missing_images(missing)}")
    if not paths:
        first = (unmatched + missing)[:1]
        raise DataError(
            f"msmt17: found {' and '.join(part_path(root, name).name for name in lists)} in {root}, and no image in "
            f"{folder} that they name"
            + (f"; the first is {first[0]!r}: unpack the images there" if first else " (they are empty)")
        )
    return ImageTable(np.array(paths), np.array(people), np.array(cameras))
