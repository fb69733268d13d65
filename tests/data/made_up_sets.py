"""Names of files as the sets of images have them, and tables of made-up people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.records import ImageTable

Draw = Callable[..., Path]

MARKET = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000551_01.jpg",
    "bounding_box_train/0007_c3s3_077419_03.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0001_c2s1_000301_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c1s1_000151_01.jpg",
    "bounding_box_test/0001_c6s4_005961_02.JPG",
)
DUKE = (
    "bounding_box_train/0001_c2_f0046182.jpg",
    "query/0005_c2_f0046985.jpg",
    "bounding_box_test/0005_c5_f0051781.jpg",
    "bounding_box_test/7139_c8_f0000001.jpg",
)
CUHK = (
    "bounding_box_train/0001_c1_1_001_1_01.png",
    "query/0003_c1_1_003_1_02.png",
    "bounding_box_test/0003_c2_1_003_2_08.png",
)


def people_table(sizes: dict[int, dict[int, int]]) -> ImageTable:
    """A table from the number of images for each person and camera."""
    rows = [
        (f"/crops/{person:04}_c{camera}_{i:03}.jpg", person, camera)
        for person, cameras in sizes.items()
        for camera, images in cameras.items()
        for i in range(images)
    ]
    paths, people, cameras = zip(*rows, strict=True)
    return ImageTable(np.array(paths), np.array(people), np.array(cameras))


def dataset_of(sizes: dict[int, dict[int, int]], rule: str = "same-camera") -> Dataset:
    table = people_table(sizes)
    return Dataset("made", Path("/"), table, table[:0], table[:0], rule, published={"train": (1, 1)})
