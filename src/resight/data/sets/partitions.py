"""The partitions of classic sets that a benchmark of them published, as MATLAB files.

``idx_test`` holds, for each split, whether an image is to test with. The images are those of the first camera by
person, then those of the second.

References:
    Karanam et al., "A Systematic Evaluation and Benchmark for Person Re-Identification: Features, Metrics, and
    Datasets", PAMI 2018.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.data.matlab import read_leaves
from resight.data.split_people import missing_split
from resight.errors import DataError
from resight.records import Ints


def read_partition(name: str, path: Path, split: int, people: Ints) -> tuple[Ints, Ints]:
    """Read a split of a partition.

    Args:
        name: The set's name, for the error.
        path: The file.
        split: Index of the split.
        people: The people that both cameras saw, ascending.

    Returns:
        The people to train on and the people to test on, ascending.

    Raises:
        DataError: The file cannot be read, has no such split, or is of another set.
    """
    masks = [np.asarray(leaf).ravel() for place, leaf in read_leaves(name, path, "partition") if "idx_test" in place]
    if split >= len(masks):
        raise missing_split(name, path, len(masks), split)
    mask = masks[split]
    first, second = np.array_split(mask != 0, 2)
    if len(mask) != 2 * len(people) or (first != second).any():
        raise DataError(
            f"{name}: {path} splits {len(mask):,} images of two cameras, and the set has {2 * len(people):,} (one of "
            "each person and camera): the partition is of another set"
        )
    return people[~first], people[first]
