"""VIPeR: 1,264 boxes of 632 people by two cameras outdoors, one image by each camera, drawn by hand.

The protocol is ten random splits of the people: 316 to train on, 316 to test on. Images of camera A ask, the gallery is
one image of each person by camera B (single-shot). Published scores are the average of the splits; some papers average
over both directions. The set has no list of splits. resight reads the ten of a published benchmark,
``Partition_viper.mat`` (MATLAB 7.3), if it lies next to the images. Otherwise it draws splits, and a note says so.

License: for research; ask its authors. resight contains no data of the set.

References:
    Gray et al., "Evaluating Appearance Models for Recognition, Reacquisition, and Tracking", PETS 2007.
    Gray and Tao, "Viewpoint Invariant Pedestrian Recognition with an Ensemble of Localized Features", ECCV 2008 (the
    protocol).
"""

from __future__ import annotations

import re
from pathlib import Path

from resight.data.crop_pairs import read_cameras
from resight.data.dataset import Dataset
from resight.data.roots import find_root
from resight.data.sets.partitions import read_partition
from resight.data.split_people import SplitRule, split_people

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_(?P<frame>[0-9]{1,3})\.")
FORM = "PPP_ANGLE.bmp"
CAMERAS = ("cam_a", "cam_b")
PUBLISHED = {"train": (632, 316), "query": (316, 316), "gallery": (316, 316)}
"""Images and person ids."""


def load_viper(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten splits of VIPeR.

    Args:
        root: The folder with ``cam_a`` and ``cam_b``, each ``PPP_ANGLE.bmp``, or the one above it.
        split: Which split, 0 to 9.

    Returns:
        The data set. Cameras A and B are 1 and 2; frames are the angles of the view in degrees. A note names the origin
        of the split.

    Raises:
        DataError: A folder is missing or has no image of the set's names, no person is in both, or the list of splits
            is of another set.
        ConfigError: There is no such split.
    """
    root = find_root("viper", root, CAMERAS, folder_names=("VIPeR", "VIPeR.v1.0", "viper", "VIPeR.v1.0/VIPeR"))
    notes: list[str] = []
    pairs = read_cameras("viper", root, CAMERAS, PATTERN, FORM, notes)
    lists = [folder / "Partition_viper.mat" for folder in (root, root.parent)]
    halves = split_people("viper", pairs.people, lists, split, notes, SplitRule(read=read_partition))
    return pairs.dataset(halves, pairs.gallery(halves[1], "single", split), published=PUBLISHED, notes=notes)
