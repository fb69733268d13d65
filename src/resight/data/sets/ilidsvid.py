"""iLIDS-VID: 42,460 boxes in 600 tracklets of 300 people by two cameras in an airport, drawn by hand.

The people are halved at random, ten times: 150 to train on, 150 to test with. A query is a tracklet of camera 1, the
gallery those of camera 2; published scores are the average of the ten. The halves lie beside the images, in
``train-test people splits/train_test_splits_ilidsvid.mat``; where the file is not there, they are drawn, and a note
says so.

License: for research, on the Home Office's terms for i-LIDS; ask its authors. Nothing of it comes with resight.

References:
    Wang et al., "Person Re-identification by Video Ranking", ECCV 2014.
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.sets.sequences import read_two_cameras
from resight.data.split_people import halve, halved

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
        The data set, of tracklets; its frames are the last numbers of the names. A note says where the split is from.

    Raises:
        DataError: A folder is missing, a tracklet has no image, or the list of splits is of other people.
        ConfigError: There is no such split.
    """
    cameras = ("sequences/cam1", "sequences/cam2")
    inside = ("i-LIDS-VID", "iLIDS-VID", "ilids-vid", "ilidsvid", "iLIDS-VID/i-LIDS-VID", "ilids-vid/i-LIDS-VID")
    found = find_root("ilidsvid", root, cameras, inside=inside)
    notes: list[str] = []
    tracks = read_two_cameras("ilidsvid", (found / cameras[0], found / cameras[1]), PERSON, notes)
    places = [place for top in (found, found.parent) for place in (top / "train-test people splits", top)]
    lists = [place / name for name in _LISTS for place in places]
    halves = halve("ilidsvid", list(tracks), lists, split, notes)
    return halved("ilidsvid", found, tracks, halves, published=PUBLISHED, notes=notes)
