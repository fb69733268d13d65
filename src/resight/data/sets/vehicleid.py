"""PKU VehicleID: 221,763 images of 26,267 vehicles, from the front or the back, by cameras that are not named.

It is tested on 800, 1,600 or 2,400 vehicles. One image of each, drawn at random, is the gallery, all others are
queries; published scores are the average of ten draws. Without cameras the rule is ``none``. Reports disagree on how
many images the lists hold, so counts are not compared with published ones; a note says where the vehicles are not as
many as the list's name says.

License: for research, on an agreement with its authors. Nothing of it comes with resight.

References:
    Liu et al., "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles", CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import find_root, list_folder, part_of, skipped_images
from resight.errors import ConfigError, DataError
from resight.records import ImageTable

SIZES = (800, 1_600, 2_400)
"""Vehicles of the three tests."""


def load_vehicleid(root: Path, *, size: int = 800, seed: int = 0) -> Dataset:
    """Read one of the three tests of VehicleID.

    Args:
        root: The folder with ``image`` and ``train_test_split``, or the one above it.
        size: The vehicles of the test, one of `SIZES`.
        seed: Draws the gallery; the same seed gives the same images, whatever the order of the list.

    Returns:
        The data set; ``people`` are vehicles, cameras and frames are unknown. A note says how the gallery was drawn.

    Raises:
        DataError: A list or the folder is missing, a line is of another form, or the list names no image that is there.
        ConfigError: There is no such test.
    """
    if size not in SIZES:
        raise ConfigError(f"vehicleid: the test is of {', '.join(map(str, SIZES))} vehicles; found {size}")
    name = f"vehicleid-{size}"
    lists = {part: f"train_test_split/{part}.txt" for part in ("train_list", f"test_list_{size}")}
    inside = ("VehicleID_V1.0", "VehicleID", "vehicleid", "PKU-VehicleID")
    found = find_root(name, root, ("image", *lists.values()), inside=inside)
    there = set(list_folder(found / "image")[1])
    notes: list[str] = []
    train, test = (_read_list(name, found, path, there, notes) for path in lists.values())
    # By vehicle and path, so that the draw depends on nothing else.
    test = test[np.lexsort((test.paths, test.person_ids))]
    vehicles, starts, sizes = np.unique(test.person_ids, return_index=True, return_counts=True)
    kept = np.zeros(len(test), np.bool_)
    kept[starts + np.random.default_rng((seed, size)).integers(sizes)] = True
    if kept.all():
        raise DataError(f"{name}: each vehicle of test_list_{size}.txt has a single image, which leaves no query")
    if len(vehicles) != size:
        notes.append(f"not the official split: {len(vehicles):,} vehicles to test with, {size:,} are published")
    notes.append(
        f"gallery: one random image of each of {len(vehicles):,} vehicles (seed {seed}); published scores are the "
        "average of ten draws"
    )
    return Dataset(name, found, train, test[~kept], test[kept], "none", notes=tuple(notes), vehicles=True)


def _read_list(name: str, root: Path, path: str, there: set[str], notes: list[str]) -> ImageTable:
    """Read the images that a list names, one ``NUMBER VEHICLE`` a line; those not there join the notes."""
    paths, vehicles, missing = [], [], []
    for number, line in enumerate(part_of(root, path).read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        image, *vehicle = line.split()
        if len(vehicle) != 1 or not vehicle[0].isdecimal():
            raise DataError(f"{name}: line {number} of {root / path} must be IMAGE VEHICLE, found {line.strip()!r}")
        file = image if image.endswith(".jpg") else f"{image}.jpg"
        if file in there:
            paths.append(str(root / "image" / file))
            vehicles.append(int(vehicle[0]))
        else:
            missing.append(file)
    if missing:
        notes.append(f"{path}: {skipped_images(missing, 'that is not there', 'that are not there')}")
    if not paths:
        raise DataError(f"{name}: {root / path} names no image that is in {root / 'image'}")
    return ImageTable(np.array(paths), np.array(vehicles))
