"""i-LIDS (QMUL): 476 boxes of 119 people in an airport hall, two to eight images each, drawn by hand.

The images come from several cameras, but their names do not tell which, so nothing is excluded (``exclude="none"``).
The protocol is ten random splits of the people; resight uses today's, 59 to train on and 60 to test on (the first paper
tested on 30, 50 and 80). The gallery is one random image of each person (single-shot), all others ask. Published scores
are the average of the splits. The splits are not published, so resight draws them, and a note says so.

License: for research, on the Home Office's terms for i-LIDS; ask its authors. resight contains no data of the set.

References:
    Zheng et al., "Associating Groups of People", BMVC 2009.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from resight.data.crop_pairs import one_image_each
from resight.data.dataset import Dataset
from resight.data.roots import find_root, read_split
from resight.data.split_people import SplitRule, split_people
from resight.errors import DataError

PATTERN = re.compile(r"(?P<person>[0-9]{4})(?P<frame>[0-9]{3})\.")
FORM = "PPPPNNN.jpg"
FOLDER = "Persons"
TEST = 60
"""The people to test on."""
PUBLISHED = {"gallery": (60, 60)}
"""Images and person ids; those of the other parts differ from split to split."""


def load_ilids(root: Path, *, split: int = 0) -> Dataset:
    """Read one of ten splits of i-LIDS.

    Args:
        root: The folder with ``Persons/PPPPNNN.jpg``, or the one above it.
        split: Which split, 0 to 9; also the seed of the gallery's images.

    Returns:
        The data set, without cameras. Frames are the numbers of a person's images. A note names the origin of the
        split.

    Raises:
        DataError: The folder is missing or has no image of the set's names, there are 60 people or fewer, or nobody has
            a second image.
        ConfigError: There is no such split.
    """
    names = ("i-LIDS_Pedestrian", "ilids", "iLIDS", "QMUL-iLIDS", "ilids/i-LIDS_Pedestrian")
    root = find_root("ilids", root, (FOLDER,), folder_names=names)
    table, notes = read_split("ilids", root / FOLDER, PATTERN, FORM)
    train, test = split_people("ilids", table.person_ids, (), split, notes, SplitRule(test=TEST))
    images = table[np.isin(table.person_ids, test)]
    gallery = one_image_each(images, split)
    queries = images[~np.isin(images.paths, gallery.paths)]
    if not len(queries):
        raise DataError(f"ilids: each person to test on has a single image in {root / FOLDER}, which leaves no query")
    notes.append(f"gallery: one random image of each of {len(gallery):,} people (seed {split})")
    return Dataset(
        "ilids",
        root,
        train=table[np.isin(table.person_ids, train)],
        query=queries,
        gallery=gallery,
        exclude="none",
        published=PUBLISHED,
        notes=tuple(notes),
    )
