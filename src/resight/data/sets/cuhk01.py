"""CUHK01: 3,884 boxes of 971 people by two cameras on a campus, two images by each camera, drawn by hand.

Images 1 and 2 of a person are by camera 1, images 3 and 4 by camera 2. The thesis' table 2.1 counts one image by each
camera. The protocol is ten random splits of the people: 486 to train on, 485 to test on. Both images by camera 1 ask.
The gallery is one random image of each person by camera 2 (``cuhk01``, single-shot, M = 1), or both
(``cuhk01-multi-shot``, M = 2). Published scores are the average of the splits. The set has no list of splits. If
``CUHK01M1.mat`` lies next to the images, resight reads its ten splits, and for M = 1 the gallery's images. Otherwise it
draws both, and a note says so.

License: for research; ask its authors. resight contains no data of the set.

References:
    Li et al., "Human Reidentification with Transferred Metric Learning", ACCV 2012.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.crop_pairs import CropPairs, Shots
from resight.data.dataset import Dataset
from resight.data.matlab import read_leaves
from resight.data.roots import find_root, read_split
from resight.data.split_people import SplitRule, missing_split, split_people
from resight.errors import DataError
from resight.records import ImageTable, Ints

PATTERN = re.compile(r"(?P<person>[0-9]{4})(?P<frame>[0-9]{3})\.")
FORM = "PPPPNNN.png"
FOLDER = "campus"
PUBLISHED = {"train": (1_944, 486), "query": (970, 485)}
PUBLISHED_GALLERY = {"single": (485, 485), "multi": (970, 485)}
"""Images and person ids."""


def load_cuhk01(root: Path, *, shots: Shots = "single", split: int = 0) -> Dataset:
    """Read one of the ten splits of CUHK01.

    Args:
        root: The folder with ``campus/PPPPNNN.png``, or the one above it.
        shots: How many images of each person the gallery has.
        split: Which split, 0 to 9; also the seed of a drawn gallery.

    Returns:
        The data set. Frames are the numbers of a person's images. A note names the origin of the split.

    Raises:
        DataError: The folder is missing or has no image of the set's names, nobody was seen by both cameras, or the
            list names images that are not there.
        ConfigError: There is no such split.
    """
    name = "cuhk01" if shots == "single" else "cuhk01-multi-shot"
    root = find_root(name, root, (FOLDER,), folder_names=("CUHK01", "cuhk01"))
    table, notes = read_split(name, root / FOLDER, PATTERN, FORM)
    table = replace(table, camera_ids=np.where(table.frame_ids <= 2, 1, 2))
    pairs = CropPairs(name, root, *(table[table.camera_ids == camera] for camera in (1, 2)))
    lists = [folder / "CUHK01M1.mat" for folder in (root, root / FOLDER, root.parent)]
    halves = split_people(name, pairs.people, lists, split, notes, SplitRule(read=_read_people))
    path = next((path for path in lists if path.is_file()), None)
    if path is None or shots == "multi":
        gallery = pairs.gallery(halves[1], shots, split)
    else:
        gallery = _read_gallery(name, path, split, pairs.second)
    return pairs.dataset(halves, gallery, published={**PUBLISHED, "gallery": PUBLISHED_GALLERY[shots]}, notes=notes)


def _read_people(name: str, path: Path, split: int, _: Ints) -> tuple[Ints, Ints]:
    """Read the people of a split from the names of its images."""
    train, test = (_read_names(name, path, split, f"{part}imagenames_set") for part in ("train", "test"))
    return _people(train), _people(test)


def _read_names(name: str, path: Path, split: int, key: str) -> list[str]:
    """Read the names of a split's images, without the slash before them."""
    names = [str(leaf).lstrip("/") for _, leaf in read_leaves(name, path, key, under=(split,))]
    if not names:
        raise missing_split(name, path, len({place[0] for place, _ in read_leaves(name, path, key)}), split)
    other = next((leaf for leaf in names if not PATTERN.match(leaf)), None)
    if other is not None:
        raise DataError(f"{name}: {path} names an image {other!r}, expected a name like {FORM}")
    return names


def _read_gallery(name: str, path: Path, split: int, second: ImageTable) -> ImageTable:
    """Read the images that a split searches in: those of camera 2; -1 marks the images that it does not use."""
    names = _read_names(name, path, split, "testimagenames_set")
    _, cameras = next(read_leaves(name, path, "testcamIDs_set", under=(split,)), ((), ""))
    if isinstance(cameras, str) or cameras.size != len(names):
        raise DataError(f"{name}: split {split} of {path} must name the camera of each of its {len(names):,} images")
    listed = [image for image, camera in zip(names, cameras.ravel().tolist(), strict=True) if camera == 2]
    rows = {Path(file).name: row for row, file in enumerate(second.paths.tolist())}
    absent = [image for image in listed if image not in rows]
    if absent:
        raise DataError(
            f"{name}: {path} names {len(absent):,} images that are not in {FOLDER}, such as {absent[0]}: unpack "
            "the set again"
        )
    return second[np.array([rows[image] for image in listed], np.int64)]


def _people(names: list[str]) -> Ints:
    return np.unique(np.array([int(image[:4]) for image in names], np.int64))
