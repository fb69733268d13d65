"""PRID-2011, the multi-shot version: tracklets of 200 people that two cameras on a street both saw.

Camera A shows 385 people and camera B 749; the first 200 are the same in both, later numbers are not. Video papers
use 178 of the 200. Wang et al. chose them, as those whose tracklets are long enough; the threshold is given in later
papers (You et al.) as more than 27 frames, and that is what resight applies where no list names the people.

These 178 are halved at random, ten times: 89 to train on, 89 to test with. A query is a tracklet of camera A (1), the
gallery those of camera B (2); published scores are the average of the ten. The halves are no part of the set; a list
``splits_prid2011.json`` or ``train_test_splits_prid.mat`` (it comes with iLIDS-VID) beside the images is read, else
they are drawn, and a note says so.

License: for research; ask its authors. Nothing of it comes with resight.

References:
    Hirzer et al., "Person Re-Identification by Descriptive and Discriminative Classification", SCIA 2011.
    Wang et al., "Person Re-identification by Video Ranking", ECCV 2014 (the 178 people and the ten halves).
    You et al., "Top-push Video-based Person Re-identification", CVPR 2016 (the threshold).
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.sets.sequences import read_two_cameras
from resight.data.split_people import halve, halved
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
        The data set, of tracklets; its frames are the numbers in the names. Notes say where the split is from and
        whom it leaves out.

    Raises:
        DataError: A folder is missing, a tracklet has no image, nobody was seen long enough, or the list of splits is
            of other people.
        ConfigError: There is no such split.
    """
    cameras = ("multi_shot/cam_a", "multi_shot/cam_b")
    found = find_root("prid2011", root, cameras, inside=("prid_2011", "PRID2011", "prid2011", "prid2011/prid_2011"))
    notes: list[str] = []
    tracks = read_two_cameras("prid2011", (found / cameras[0], found / cameras[1]), PERSON, notes)
    shared = {person: pair for person, pair in tracks.items() if person <= SHARED}
    long = [person for person, pair in shared.items() if min(len(track.paths) for track in pair) > LONGER_THAN]
    if len(long) < 2:
        raise DataError(
            f"prid2011: {len(long)} of the {len(shared)} people in both cameras have more than {LONGER_THAN} frames in "
            f"each: expected 178 in {found}; is multi_shot whole?"
        )
    notes.append(
        f"{len(long)} of {len(shared)} people have more than {LONGER_THAN} frames in both cameras (178 published)"
    )
    lists = [top / name for name in _LISTS for top in (found, found.parent)]
    halves = halve("prid2011", long, lists, split, notes)
    return halved("prid2011", found, shared, halves, published=PUBLISHED, notes=notes)
