"""CUHK03 as published: a MATLAB file, ``cuhk-03.mat``, of boxes of 1,467 people by five pairs of cameras on a campus.

It has boxes drawn by hand (``labeled``) and by a detector. `resight.data.sets.cuhk03_file` unpacks it.

- The classic protocol (``cuhk03-classic-labeled``, ``cuhk03-classic-detected``) has twenty splits, in ``testsets``: 100
  people to test on, the other 1,367 to train on. The first camera's images ask. The gallery is one random image of each
  person by the second (single-shot). Published scores are the average of the splits.
- The new protocol of 767 and 700 people (``cuhk03np-labeled``, ``cuhk03np-detected``) needs
  ``cuhk03_new_protocol_config_labeled.mat`` or ``..._detected.mat`` next to the file or above it.

The thesis' table 2.1 counts the 13,164 images of 1,360 people of three of the pairs.

License: for research; ask its authors. resight contains no data of the set.

References:
    Li et al., "DeepReID: Deep Filter Pairing Neural Network for Person Re-identification", CVPR 2014.
    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding", CVPR 2017 (the new protocol).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.data.crop_pairs import CropPairs
from resight.data.dataset import Dataset
from resight.data.matlab import read_leaves, read_matrix
from resight.data.sets.cuhk03_file import FILE, Boxes, find_file, number_people, original_name, read_images
from resight.data.split_people import check_split, missing_split
from resight.errors import DataError
from resight.records import Ints

LISTS = "cuhk03_new_protocol_config_{}.mat"
SPLITS = 20
PUBLISHED = {"gallery": (100, 100)}
"""Images and person ids; those of the other parts differ from split to split."""


def load_cuhk03_classic(root: Path, *, boxes: Boxes, split: int = 0) -> Dataset:
    """Read one of the twenty splits of CUHK03's classic protocol.

    Args:
        root: The folder with ``cuhk-03.mat``, or the one above it; or the file.
        boxes: The boxes to read.
        split: Which split, 0 to 19; also the seed of the gallery's images.

    Returns:
        The data set. Cameras 1 and 2 are the first and the second of each pair. Frames are unknown.

    Raises:
        DataError: The file is missing, has version 7.3 and h5py is not installed, has no such boxes, or its images
            cannot be written next to it.
        ConfigError: There is no such split.
    """
    name = f"cuhk03-classic-{boxes}"
    check_split(name, split, SPLITS)
    path = find_file(root)
    if path is None:
        raise DataError(f"{name}: expected {FILE} in {root}: name the folder of cuhk03_release, as it was unpacked")
    table, notes = read_images(name, path, boxes)
    tests = _read_tests(name, path)
    if split >= len(tests):
        raise missing_split(name, path, len(tests), split)
    pairs = CropPairs(name, path.parent, *(table[table.camera_ids == camera] for camera in (1, 2)))
    absent = np.setdiff1d(tests[split], pairs.people)
    if len(absent):
        raise DataError(
            f"{name}: split {split} of {path} tests on {len(absent):,} people without images by both cameras, such as "
            f"{absent[0]}: the file is damaged"
        )
    halves = np.setdiff1d(table.person_ids, tests[split]), tests[split]
    notes.append(f"split {split} of {len(tests)}, as in {FILE}; published scores are the average of all")
    notes.append(f"gallery: one random image of each of {len(halves[1])} people by the second camera (seed {split})")
    return pairs.dataset(halves, pairs.gallery(halves[1], "single", split), published=PUBLISHED, notes=notes)


def read_new_protocol(name: str, path: Path, boxes: Boxes) -> Dataset:
    """Read the new protocol of CUHK03 from the original file and the lists of the protocol.

    Args:
        name: The set's name.
        path: The file ``cuhk-03.mat``.
        boxes: The boxes to read.

    Returns:
        The data set, without published counts.

    Raises:
        DataError: A file is missing or cannot be read, or the lists name images that the file does not have.
    """
    lists = lists_of(path, boxes)
    if lists is None:
        config = LISTS.format(boxes)
        raise DataError(
            f"{name}: {path} is raw CUHK03: put {config}, the lists of the new protocol, next to it, or name the "
            "folder with bounding_box_train, query and bounding_box_test"
        )
    table, notes = read_images(name, path, boxes)
    rows = {original_name(image): row for row, image in enumerate(table.paths.tolist())}
    listed = [str(leaf) for _, leaf in read_leaves(name, lists, "filelist")]
    absent = [image for image in listed if image not in rows]
    if absent:
        raise DataError(
            f"{name}: {lists} names {len(absent):,} images that {path} does not have, such as {absent[0]}: these are "
            "the lists of other boxes"
        )
    order = np.array([rows[image] for image in listed], np.int64)
    tables = {}
    for part, key in (("train", "train_idx"), ("query", "query_idx"), ("gallery", "gallery_idx")):
        index = read_matrix(name, lists, key).ravel() - 1
        if not len(index) or index.min() < 0 or index.max() >= len(order):
            raise DataError(f"{name}: {key} in {lists} must be rows of its {len(order):,} names, from 1")
        tables[part] = table[order[index]]
    notes.append(f"the {boxes} boxes of {path.name} are read, and split as in {lists.name}")
    return Dataset(name, path.parent, tables["train"], tables["query"], tables["gallery"], notes=tuple(notes))


def lists_of(path: Path, boxes: Boxes) -> Path | None:
    """Return the lists of the new protocol next to the original file or above it; None if there are none."""
    places = (folder / LISTS.format(boxes) for folder in (path.parent, path.parent.parent))
    return next((place for place in places if place.is_file()), None)


def _read_tests(name: str, path: Path) -> list[Ints]:
    """Read the people to test on of each split, ascending."""
    tests = []
    for _, leaf in read_leaves(name, path, "testsets"):
        matrix = np.asarray(leaf)
        if matrix.ndim != 2 or matrix.shape[1] != 2 or matrix.dtype.kind not in "iuf":
            raise DataError(f"{name}: testsets in {path} must have the columns pair and person; found {matrix.shape}")
        pairs, rows = matrix.astype(np.int64).T - 1
        tests.append(np.unique(number_people(name, path, pairs, rows)))
    return tests
