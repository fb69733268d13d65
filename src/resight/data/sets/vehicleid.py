"""PKU VehicleID: 221,763 images of 26,267 vehicles, from the front or the back, by unnamed cameras.

The tests have 800, 1,600 or 2,400 vehicles. One random image of each vehicle is the gallery, all others are queries.
Published scores are the average of ten random galleries. There are no cameras, so nothing is excluded
(``exclude="none"``). Reports disagree on the number of images of the lists, so counts are not compared with published
ones. A note tells you if the number of vehicles differs from the list's name.

License: for research, on an agreement with its authors. resight contains no data of the set.

References:
    Liu et al., "Deep Relative Distance Learning: Tell the Difference Between Similar Vehicles", CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.roots import describe_missing_images, find_root, list_folder, part_path
from resight.errors import ConfigError, DataError
from resight.records import ImageTable

SIZES = (800, 1_600, 2_400)
"""The number of vehicles of the three tests."""


def load_vehicleid(root: Path, *, size: int = 800, split: int = 0) -> Dataset:
    """Read one of the three tests of VehicleID.

    Args:
        root: The folder with ``image`` and ``train_test_split``, or the one above it.
        size: Number of vehicles of the test, one of `SIZES`.
        split: Which of the ten random galleries, 0 to 9: the seed of its images. The same seed gives the same images,
            whatever the order of the list.

    Returns:
        The data set; ``person_ids`` are vehicles, cameras and frames are unknown. A note describes the gallery.

    Raises:
        DataError: A list or the folder is missing, a line has another form, or no image of the list exists.
        ConfigError: There is no such test.
    """
    if size not in SIZES:
        raise ConfigError(f"vehicleid: the test is of {', '.join(map(str, SIZES))} vehicles; found {size}")
    name = f"vehicleid-{size}"
    lists = {part: f"train_test_split/{part}.txt" for part in ("train_list", f"test_list_{size}")}
    names = ("VehicleID_V1.0", "VehicleID", "vehicleid", "PKU-VehicleID")
    root = find_root(name, root, ("image", *lists.values()), folder_names=names)
    files = set(list_folder(root / "image")[1])
    notes: list[str] = []
    train, test = (_read_list(name, root, path, files, notes) for path in lists.values())
    # Sort by vehicle and path, so that the random gallery depends on nothing else.
    test = test[np.lexsort((test.paths, test.person_ids))]
    vehicles, starts, sizes = np.unique(test.person_ids, return_index=True, return_counts=True)
    in_gallery = np.zeros(len(test), np.bool_)
    in_gallery[starts + np.random.default_rng((split, size)).integers(sizes)] = True
    if in_gallery.all():
        raise DataError(f"{name}: each vehicle of test_list_{size}.txt has a single image, which leaves no query")
    if len(vehicles) != size:
        notes.append(f"not the official split: {len(vehicles):,} vehicles to test on, {size:,} are published")
    notes.append(
        f"gallery: one random image of each of {len(vehicles):,} vehicles (seed {split}); published scores are the "
        "average of ten random galleries"
    )
    return Dataset(
        name, root, train, test[~in_gallery], test[in_gallery], "none", notes=tuple(notes), vehicles=True
    )  # fmt: skip


def _read_list(name: str, root: Path, path: str, files: set[str], notes: list[str]) -> ImageTable:
    """Read the images of a list with a line ``NUMBER VEHICLE`` per image; a note counts missing images."""
    paths, vehicles, missing = [], [], []
    for number, line in enumerate(part_path(root, path).read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        image, *vehicle = line.split()
        if len(vehicle) != 1 or not vehicle[0].isdecimal():
            raise DataError(f"{name}: line {number} of {root / path} must be IMAGE VEHICLE, found {line.strip()!r}")
        file = image if image.endswith(".jpg") else f"{image}.jpg"
        if file in files:
            paths.append(str(root / "image" / file))
            vehicles.append(int(vehicle[0]))
        else:
            missing.append(file)
    if missing:
        notes.append(f"{path}: {describe_missing_images(missing)}")
    if not paths:
        raise DataError(f"{name}: {root / path} names no image in {root / 'image'}")
    return ImageTable(np.array(paths), np.array(vehicles))
