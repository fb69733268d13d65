"""iLIDS-VID: 42,460 boxes in 600 tracklets of 300 people by two cameras in an airport, drawn by hand.

The protocol is ten random splits of the people: 150 to train on, 150 to test on. Tracklets of camera 1 are queries,
tracklets of camera 2 are the gallery. Published scores are the average of the ten splits. The splits are next to the
images, in ``train-test people splits/train_test_splits_ilidsvid.mat``. Without this file they are drawn, and a note
says so.

License: for research, on the Home Office's terms for i-LIDS; ask its authors. resight contains no data of the set.

References:
    Wang et al., "Person Re-identification by Video Ranking", ECCV 2014.
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.sets.sequences import read_two_cameras
from resight.data.split_people import split_people, two_camera_dataset

PERSON = re.compile(r"person_?([0-9]{1,9})")
PUBLISHED = {"train": (300, 150), "query": (150, 150), "gallery": (150, 150)}
"""Tracklets and person ids."""

_LISTS = ("train_test_splits_ilidsvid.mat", "splits.json")


def load_ilidsvid(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten splits of iLIDS-VID.

    Args:
        root: The folder with ``sequences/cam1`` and ``sequences/cam2``, each ``personNNN/*.png``, or one or two above.
        split: Which split, 0 to 9.

    Returns:
        The data set, with tracklets as unit; frames are the last numbers of the names. A note names the origin of the
        split.

    Raises:
        DataError: A folder is missing, a tracklet has no image, or the list of splits names other people.
        ConfigError: There is no such split.
    """
    cameras = ("sequences/cam1", "sequences/cam2")
    names = ("i-LIDS-VID", "iLIDS-VID", "ilids-vid", "ilidsvid", "iLIDS-VID/i-LIDS-VID", "ilids-vid/i-LIDS-VID")
    root = find_root("ilidsvid", root, cameras, folder_names=names)
    notes: list[str] = []
    tracks = read_two_cameras("ilidsvid", (root / cameras[0], root / cameras[1]), PERSON, notes)
    folders = [folder for top in (root, root.parent) for folder in (top / "train-test people splits", top)]
    lists = [folder / name for name in _LISTS for folder in folders]
    people = split_people("ilidsvid", list(tracks), lists, split, notes)
    return two_camera_dataset("ilidsvid", root, tracks, people, published=PUBLISHED, notes=notes)
