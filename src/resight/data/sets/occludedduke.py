"""Occluded-DukeMTMC: DukeMTMC-reID, split again so that something hides a part of each query's person.

License: the authors of DukeMTMC withdrew it in 2019, because the people in it had not consented. The authors of this
split publish lists of names and no images. resight reads existing copies to check older results, and uses the set
nowhere by default.

References:
    Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCVW 2016.
    Miao et al., "Pose-Guided Feature Alignment for Occluded Person Re-Identification", ICCV 2019.
"""

from __future__ import annotations

from pathlib import Path

from resight.data.dataset import Dataset
from resight.data.roots import read_market_style
from resight.data.sets.dukemtmc import FORM, PATTERN

PUBLISHED = {"train": (15_618, 702), "query": (2_210, 519), "gallery": (17_661, 1_110)}
"""Images and person ids."""


def load_occludedduke(root: Path) -> Dataset:
    """Read Occluded-DukeMTMC.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or the one above.

    Returns:
        The data set; frames are the numbers in the names.

    Raises:
        DataError: A folder is missing or has no image of the set's names.
    """
    names = ("Occluded_Duke", "Occluded-DukeMTMC", "Occluded-Duke", "occluded_duke", "OccludedDuke")
    return read_market_style("occludedduke", root, pattern=PATTERN, form=FORM, published=PUBLISHED, folder_names=names)
