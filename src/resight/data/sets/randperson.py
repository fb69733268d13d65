"""RandPerson: 1,801,816 images of 8,000 drawn people by 19 cameras in eleven drawn scenes; its subset has 132,145.

All images are to train on. The subset, which most papers use, is a single folder; the whole set has a folder for each
scene and for each camera in it. Folders whose names start with ``delete_`` hold the images that its authors removed;
they are skipped. Camera C of scene S gets the number 100 S + C.

License: see its authors' page; no person is real. resight contains no data of the set.

References:
    Wang et al., "Surpassing Real-World Source Training Data: Random 3D Characters for Generalizable Person
    Re-Identification", ACM MM 2020.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import describe_skipped_names
from resight.data.walk import walk
from resight.errors import DataError, nearest
from resight.records import ImageTable

PATTERN = re.compile(
    r"(?P<person>[0-9]{1,18})_s(?P<scene>[0-9]{1,4})_c(?P<camera>[0-9]{1,2})_f(?P<frame>[0-9]{1,18})\."
)
FORM = "PPPPPP_sSS_cCC_fFFFFFF.jpg"
PUBLISHED = {"train": (132_145, 8_000)}
"""Images and person ids of the subset."""


def load_randperson(root: Path) -> Dataset:
    """Read RandPerson, or its subset.

    Args:
        root: The folder of the images, or one above it.

    Returns:
        The data set, with everything to train on. Frames are the numbers in the names.

    Raises:
        DataError: There is no image of the set's names.
    """
    if not root.is_dir():
        siblings = [path.name for path in root.parent.iterdir()] if root.parent.is_dir() else []
        raise DataError(f"randperson: there is no folder {root}{nearest(root.name, siblings)}")
    notes: list[str] = []
    paths, labels, unmatched = [], [], []
    for path, folders in walk(root, notes):
        if any(folder.startswith("delete_") for folder in folders):
            continue
        name = path.rpartition(os.sep)[2]
        match = PATTERN.match(name)
        if match:
            paths.append(path)
            labels.append([int(match[group]) for group in ("person", "scene", "camera", "frame")])
        else:
            unmatched.append(name)
    if not paths:
        found = f"such as {unmatched[0]!r}" if unmatched else "no image"
        raise DataError(f"randperson: no image below {root} is named like {FORM}; found {found}")
    if unmatched:
        notes.append(describe_skipped_names(unmatched, FORM))
    people, scenes, cameras, frames = np.array(labels, np.int64).T
    train = ImageTable(np.array(paths), people, 100 * scenes + cameras, frame_ids=frames)
    empty = ImageTable(np.empty(0, np.str_))
    return Dataset("randperson", root, train, empty, empty, published=PUBLISHED, notes=tuple(notes))
