"""CUHK02: 7,264 boxes of 1,816 people by five pairs of cameras on a campus, two images by each camera, drawn by hand.

Today's protocol trains on the people of the first four pairs and tests on the 239 people of the fifth. Images of its
first camera ask, those of its second are the gallery. People and files are numbered within a pair: person 7 of pair 2
becomes 20,007. The cameras of pair P are 2 P - 1 and 2 P; the thesis' table 2.1 counts two.

This parser is untested on a copy of the set.

License: for research; ask its authors. resight contains no data of the set.

References:
    Li and Wang, "Locally Aligned Feature Transforms across Views", CVPR 2013.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.crop_pairs import CropPairs, read_cameras
from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.records import ImageTable

PATTERN = re.compile(r"(?P<person>[0-9]{1,4})_(?P<frame>[0-9]{1,9})\.")
FORM = "PPP_N.png"
PAIRS = ("P1", "P2", "P3", "P4", "P5")
CAMERAS = ("cam1", "cam2")
STEP = 10_000
"""What the ids of the next pair's people are higher by."""
PUBLISHED = {"train": (6_308, 1_577), "query": (478, 239), "gallery": (478, 239)}
"""Images and person ids."""


def load_cuhk02(root: Path) -> Dataset:
    """Read CUHK02.

    Args:
        root: The folder with ``P1`` to ``P5``, each ``cam1`` and ``cam2`` with ``PPP_N.png``, or the one above it.

    Returns:
        The data set. Frames are the numbers of a person's images.

    Raises:
        DataError: A folder is missing or has no image of the set's names, or nobody of a pair is in both cameras.
    """
    parts = tuple(f"{pair}/{camera}" for pair in PAIRS for camera in CAMERAS)
    root = find_root("cuhk02", root, parts, folder_names=("Dataset", "CUHK02", "cuhk02", "cuhk02/Dataset"))
    notes: list[str] = []
    pairs = [_read_pair(root, number, notes) for number in range(1, len(PAIRS) + 1)]
    shared = [pair.people for pair in pairs]
    *training, tested = pairs
    train = ImageTable.concatenate(*(side for pair in training for side in (pair.first, pair.second)))
    query = tested.first[np.isin(tested.first.person_ids, shared[-1])]
    return Dataset("cuhk02", root, train, query, tested.second, published=PUBLISHED, notes=tuple(notes))


def _read_pair(root: Path, number: int, notes: list[str]) -> CropPairs:
    pair = PAIRS[number - 1]
    own: list[str] = []
    tables = read_cameras("cuhk02", root / pair, CAMERAS, PATTERN, FORM, own)
    notes += [f"{pair}: {note}" for note in own]
    first, second = (
        replace(
            table,
            person_ids=table.person_ids + number * STEP,
            camera_ids=table.camera_ids + 2 * (number - 1),
        )
        for table in (tables.first, tables.second)
    )
    return CropPairs("cuhk02", root / pair, first, second)
