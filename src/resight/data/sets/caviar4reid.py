"""CAVIAR4REID: 1,220 boxes of 72 people by two cameras in a shopping center, of very different sizes.

50 people were seen by both cameras, with ten images by each: images 1 to 10 are of the first camera, 11 to 20 of the
second. 22 people were seen by one camera only; they are left out, and a note says so. The thesis' table 2.1 counts 610
boxes. The protocol is ten random splits of the 50 people: 25 to train on, 25 to test on. The first camera's images ask.
The gallery is one random image of each person by the second (``caviar4reid``, single-shot), or all ten
(``caviar4reid-multi-shot``). Published scores are the average of the splits. The set has no list of splits. resight
reads the ten of a published benchmark, ``Partition_caviar.mat`` (MATLAB 7.3), if it lies next to the images: its people
are the 50 in ascending order. Otherwise it draws splits, and a note says so.

This parser is untested on a copy of the set.

License: for research; ask its authors. resight contains no data of the set.

References:
    Cheng et al., "Custom Pictorial Structures for Re-identification", BMVC 2011.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.crop_pairs import CropPairs, Shots
from resight.data.dataset import Dataset
from resight.data.roots import innermost_folder, list_folder, read_split
from resight.data.sets.partitions import read_partition
from resight.data.split_people import SplitRule, split_people
from resight.errors import DataError, counted

PATTERN = re.compile(r"(?P<person>[0-9]{4})(?P<frame>[0-9]{3})\.")
FORM = "PPPPNNN.jpg"
IMAGES = 10
"""The images of a person by a camera."""
PUBLISHED = {"train": (500, 25), "query": (250, 25)}
PUBLISHED_GALLERY = {"single": (25, 25), "multi": (250, 25)}
"""Images and person ids."""

_NAMES = ("CAVIAR4REID", "CAVIAR4ReID", "caviar4reid", "CAVIAR")


def load_caviar4reid(root: Path, *, shots: Shots = "single", split: int = 0) -> Dataset:
    """Read one of the ten splits of CAVIAR4REID.

    Args:
        root: The folder of the images, ``PPPPNNN.jpg``, or the one above it.
        shots: How many images of each person the gallery has.
        split: Which split, 0 to 9; also the seed of the gallery's images.

    Returns:
        The data set. Frames are the numbers of a person's images. A note names the origin of the split.

    Raises:
        DataError: There is no image of the set's names, nobody was seen by both cameras, or the list of splits is of
            another set.
        ConfigError: There is no such split.
    """
    name = "caviar4reid" if shots == "single" else "caviar4reid-multi-shot"
    if not root.is_dir():
        raise DataError(f"{name}: there is no folder {root}")
    candidates = (root, *(root / folder for folder in _NAMES if (root / folder).is_dir()), innermost_folder(root))
    root = next((folder for folder in candidates if any(map(PATTERN.match, list_folder(folder)[1]))), root)
    table, notes = read_split(name, root, PATTERN, FORM)
    table = replace(table, camera_ids=np.where(table.frame_ids <= IMAGES, 1, 2))
    pairs = CropPairs(name, root, *(table[table.camera_ids == camera] for camera in (1, 2)))
    people = pairs.people
    single = len(np.setdiff1d(table.person_ids, people))
    if single:
        one, many = "person seen by one camera only is left out", "people seen by one camera only are left out"
        notes.append(counted(single, one, many))
    lists = [folder / "Partition_caviar.mat" for folder in (root, root.parent)]
    halves = split_people(name, people, lists, split, notes, SplitRule(read=read_partition))
    gallery = pairs.gallery(halves[1], shots, split)
    return pairs.dataset(halves, gallery, published={**PUBLISHED, "gallery": PUBLISHED_GALLERY[shots]}, notes=notes)
