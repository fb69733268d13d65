"""GRID (QMUL underground re-identification): 1,275 boxes of 1,025 people by eight cameras in a metro station.

250 people have two images by two different cameras, one in ``probe`` and one in ``gallery``. The other 775 people have
one image each, in the gallery, as distractors (person 0). The thesis' table 2.1 counts two cameras. The protocol is ten
splits of the 250 people, which come with the set in ``features_and_partitions.mat``: 125 to train on, 125 to test on.
The gallery is one image of each person to test on and all distractors (single-shot). Published scores are the average
of the splits.

This parser is untested on a copy of the set. Its authors do not describe the file of the partitions: ``trainIdxAll``
has a cell for each split. resight takes the last vector in it that can be people to train on.

License: for research; ask its authors. resight contains no data of the set.

References:
    Loy et al., "Multi-camera Activity Correlation Analysis", CVPR 2009.
    Loy et al., "Person Re-Identification by Manifold Ranking", ICIP 2013 (the partitions).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.data.crop_pairs import CropPairs
from resight.data.dataset import Dataset
from resight.data.matlab import read_leaves
from resight.data.roots import find_root, read_split
from resight.data.split_people import SplitRule, missing_split, split_people
from resight.errors import DataError
from resight.records import ImageTable, Ints

PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_(?P<camera>[0-9]{1,4})_(?P<frame>[0-9]{1,18})_")
FORM = "PPPP_C_FFFFF_X_Y_W_H.jpeg"
FOLDERS = ("probe", "gallery")
LIST = "features_and_partitions.mat"
PUBLISHED = {"train": (250, 125), "query": (125, 125), "gallery": (900, 126)}
"""Images and person ids; the distractors' 0 counts as one id of the gallery."""


def load_grid(root: Path, *, split: int = 0) -> Dataset:
    """Read one of the ten splits of GRID.

    Args:
        root: The folder with ``probe``, ``gallery`` and ``features_and_partitions.mat``, or the one above it.
        split: Which split, 0 to 9.

    Returns:
        The data set; frames are the numbers in the names. Without the partitions, the split is drawn, and a note says
        so.

    Raises:
        DataError: A folder is missing or has no image of the set's names, no person is in both, or the partitions are
            of another set.
        ConfigError: There is no such split.
    """
    root = find_root("grid", root, FOLDERS, folder_names=("underground_reid", "GRID", "grid", "grid/underground_reid"))
    (probe, notes), (gallery, more_notes) = (read_split("grid", root / folder, PATTERN, FORM) for folder in FOLDERS)
    notes += more_notes
    is_distractor = gallery.person_ids == 0
    pairs = CropPairs("grid", root, probe, gallery[~is_distractor])
    lists = [folder / LIST for folder in (root, root.parent)]
    halves = split_people("grid", pairs.people, lists, split, notes, SplitRule(read=_read_partition))
    searched = ImageTable.concatenate(pairs.gallery(halves[1], "multi", split), gallery[is_distractor])
    return pairs.dataset(halves, searched, published=PUBLISHED, notes=notes, distractor_id=0)


def _read_partition(name: str, path: Path, split: int, people: Ints) -> tuple[Ints, Ints]:
    """Read the people of a split; a cell may hold a struct, a cell or the vector itself."""
    found: dict[int, Ints] = {}
    num_splits = 0
    for place, leaf in read_leaves(name, path, "trainIdxAll"):
        number = sum(position for position in place[:2] if isinstance(position, int))  # one of row and column is 0
        num_splits = max(num_splits, number + 1)
        values = np.asarray(leaf).ravel()
        if _are_some(values, people):
            found[number] = values.astype(np.int64)
    if split >= num_splits:
        raise missing_split(name, path, num_splits, split)
    if split not in found:
        raise DataError(
            f"{name}: split {split} of {path} has no vector of some of the set's {len(people)} people: the partitions "
            "are of another set"
        )
    train = np.sort(found[split])
    return train, np.setdiff1d(people, train)


def _are_some(values: npt.NDArray[Any], people: Ints) -> bool:
    """Return whether values are some of the people, each once."""
    is_some = values.dtype.kind in "iuf" and 0 < len(values) < len(people)
    return is_some and len(np.unique(values)) == len(values) and bool(np.isin(values, people).all())
