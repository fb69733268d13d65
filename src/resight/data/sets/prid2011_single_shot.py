"""PRID-2011, the single-shot version: one image of each person by each of two cameras on a street.

Camera A shows 385 people and camera B 749. The first 200 are the same people in both; later numbers are not. The
protocol is ten random splits of the 200 people: 100 to train on, 100 to test on. Images of camera A (1) ask. The
gallery has the 649 people of camera B (2) that are not trained on, of whom 549 match nobody. Published scores are the
average of the splits. The splits are not published, so resight draws them, and a note says so.

License: for research; ask its authors. resight contains no data of the set.

References:
    Hirzer et al., "Person Re-Identification by Descriptive and Discriminative Classification", SCIA 2011.
    Hirzer et al., "Relaxed Pairwise Learned Metric for Person Re-Identification", ECCV 2012 (the protocol).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from resight.data.crop_pairs import read_cameras
from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.split_people import split_people

PATTERN = re.compile(r"person_?(?P<person>[0-9]{1,9})\.")
FORM = "person_NNNN.png"
CAMERAS = ("single_shot/cam_a", "single_shot/cam_b")
SHARED = 200
"""The last person that is the same in both cameras."""
PUBLISHED = {"train": (200, 100), "query": (100, 100), "gallery": (649, 649)}
"""Images and person ids."""


def load_prid2011_single_shot(root: Path, *, split: int = 0) -> Dataset:
    """Read one of ten splits of PRID-2011's single-shot version.

    Args:
        root: The folder with ``single_shot/cam_a`` and ``single_shot/cam_b``, each ``person_NNNN.png``, or the one
            above it.
        split: Which split, 0 to 9.

    Returns:
        The data set. A note names the origin of the split.

    Raises:
        DataError: A folder is missing or has no image of the set's names, or no person is in both.
        ConfigError: There is no such split.
    """
    name = "prid2011-single-shot"
    root = find_root(name, root, CAMERAS, folder_names=("prid_2011", "PRID2011", "prid2011", "prid2011/prid_2011"))
    notes: list[str] = []
    pairs = read_cameras(name, root, CAMERAS, PATTERN, FORM, notes)
    shared = pairs.people
    halves = split_people(name, shared[shared <= SHARED], (), split, notes)
    gallery = pairs.second[~np.isin(pairs.second.person_ids, halves[0])]
    return pairs.dataset(halves, gallery, published=PUBLISHED, notes=notes)
