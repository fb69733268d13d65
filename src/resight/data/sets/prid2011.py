"""PRID-2011, the multi-shot version: tracklets of 200 people that two cameras on a street both saw.

Camera A shows 385 people and camera B 749. The first 200 are the same people in both; later numbers are not. Video
papers use 178 of the 200. Wang et al. chose the people with long tracklets. Later papers (You et al.) name the
threshold: more than 27 frames. resight applies it if no list names the people.

The protocol is ten random splits of the 178 people: 89 to train on, 89 to test on. Tracklets of camera A (1) are
queries, tracklets of camera B (2) are the gallery. Published scores are the average of the ten splits. The splits are
not part of the set. resight reads a list ``splits_prid2011.json`` or ``train_test_splits_prid.mat`` (it comes with
iLIDS-VID) next to the images. Otherwise it draws the splits, and a note says so.

License: for research; ask its authors. resight contains no data of the set.

References:
    Hirzer et al., "Person Re-Identification by Descriptive and Discriminative Classification", SCIA 2011.
    Wang et al., "Person Re-identification by Video Ranking", ECCV 2014 (the 178 people and the ten splits).
    You et al., "Top-push Video-based Person Re-identification", CVPR 2016 (the threshold).
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.sets.sequences import read_two_cameras
from resight.data.split_people import split_people, two_camera_dataset
from resight.errors import DataError

PERSON = re.compile(r"person_?([0-9]{1,9})")
SHARED = 200
"""The last person that is the same in both cameras."""
LONGER_THAN = 27
"""Frames: both tracklets of a person must have more."""
PUBLISHED = {"train": (178, 89), "query": (89, 89), "gallery": (89, 89)}
"""Tracklets and person ids."""

_LISTS = ("splits_prid2011.json", "train_test_splits_prid.mat")


def load_prid2011(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten splits of PRID-2011.

    Args:
        root: The folder with ``multi_shot/cam_a`` and ``multi_shot/cam_b``, each ``person_NNNN/*.png``, or the one
            above it.
        split: Which split, 0 to 9.

    Returns:
        The data set, with tracklets as unit; frames are the numbers in the names. Notes name the origin of the split
        and count the people left out.

    Raises:
        DataError: A folder is missing, a tracklet has no image, no tracklets are long enough, or the list of splits
            names other people.
        ConfigError: There is no such split.
    """
    cameras = ("multi_shot/cam_a", "multi_shot/cam_b")
    names = ("prid_2011", "PRID2011", "prid2011", "prid2011/prid_2011")
    root = find_root("prid2011", root, cameras, folder_names=names)
    notes: list[str] = []
    tracks = read_two_cameras("prid2011", (root / cameras[0], root / cameras[1]), PERSON, notes)
    shared = {person: pair for person, pair in tracks.items() if person <= SHARED}
    long = [person for person, pair in shared.items() if min(len(track.paths) for track in pair) > LONGER_THAN]
    if len(long) < 2:
        raise DataError(
            f"prid2011: {len(long)} of the {len(shared)} people in both cameras have more than {LONGER_THAN} frames in "
            f"each: expected 178 in {root}; is multi_shot complete?"
        )
    notes.append(
        f"{len(long)} of {len(shared)} people have more than {LONGER_THAN} frames in both cameras (178 published)"
    )
    lists = [folder / name for name in _LISTS for folder in (root, root.parent)]
    people = split_people("prid2011", long, lists, split, notes)
    return two_camera_dataset("prid2011", root, shared, people, published=PUBLISHED, notes=notes)
