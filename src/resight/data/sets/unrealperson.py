"""UnrealPerson: 1.2 million images of 4,800 drawn people by 34 cameras in four drawn places.

The folders ``unreal_vX.Y`` hold the place X and the version Y of the people: 1 without accessories, 2 with, 3 people
who look alike. Their authors' numbers restart: a person is of a version, a camera of a place. resight makes the numbers
unique: person 333 of version 2 becomes 200,333, camera 5 of place 3 becomes 3,005. All images are to train on. The
thesis' table 2.1 counts the 120,000 images of 3,000 people that its authors trained on; they drew them at random.

License: see its authors' page; no person is real. resight contains no data of the set.

References:
    Zhang et al., "UnrealPerson: An Adaptive Pipeline Towards Costless Person Re-identification", CVPR 2021.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import innermost_folder, list_folder, read_split
from resight.errors import DataError, nearest
from resight.records import ImageTable

PATTERN = re.compile(r"(?P<person>[0-9]{1,5})_c(?P<camera>[0-9]{1,3})_(?P<frame>[0-9]{1,18})\.")
FORM = "P_cCCC_F.jpg"
FOLDER = re.compile(r"unreal_v([0-9]{1,2})\.([0-9]{1,2})")
PERSON_STEP, CAMERA_STEP = 100_000, 1_000
"""What the ids of a person's version and of a camera's place are multiplied by."""


def load_unrealperson(root: Path) -> Dataset:
    """Read UnrealPerson.

    Args:
        root: The folder with ``unreal_vX.Y/images``, or the one above it.

    Returns:
        The data set, with everything to train on. Frames are the last numbers of the names.

    Raises:
        DataError: There is no such folder, or one has no image of the set's names.
    """
    folders = _find_folders(root)
    notes: list[str] = []
    tables = []
    for place, version, folder in folders:
        images = folder / "images"
        if not images.is_dir():
            raise DataError(f"unrealperson: expected a folder images in {folder}: unpack it again")
        table, skipped = read_split("unrealperson", images, PATTERN, FORM)
        people = table.person_ids + version * PERSON_STEP
        tables.append(replace(table, person_ids=people, camera_ids=table.camera_ids + place * CAMERA_STEP))
        notes += [f"{folder.name}: {note}" for note in skipped]
    train = ImageTable.concatenate(*tables)
    notes.append(f"read {', '.join(folder.name for _, _, folder in folders)}; no part is to test with")
    empty = ImageTable(np.empty(0, np.str_))
    return Dataset("unrealperson", folders[0][2].parent, train, empty, empty, notes=tuple(notes))


def _find_folders(root: Path) -> list[tuple[int, int, Path]]:
    """Find the folders of the set, with place and version of each."""
    if not root.is_dir():
        raise DataError(f"unrealperson: there is no folder {root}")
    tops = [root, *(root / name for name in ("UnrealPerson", "unrealperson", "unreal")), innermost_folder(root)]
    names: list[str] = []
    for top in tops:
        names = list_folder(top)[0] if top.is_dir() else []
        found = [(match, top / name) for name in names if (match := FOLDER.fullmatch(name))]
        if found:
            return [(int(match[1]), int(match[2]), folder) for match, folder in found]
    if FOLDER.fullmatch(root.name):
        return _find_folders(root.parent)
    hint = nearest("unreal_v1.1", list_folder(root)[0])
    raise DataError(f"unrealperson: expected folders unreal_vX.Y in {root}; found none{hint}")
