"""Person30K: 1,384,940 images of 30,000 people by 6,497 cameras, indoors and outdoors.

Its authors describe no layout of the files, and we know no public program that reads them. resight therefore reads a
copy as a folder of crops: folders for splits, people and cameras in any order, or a table ``labels.csv``. A note
compares its size with the published one. If the names of a copy hold the labels, read it with ``folder=PATH`` and a
pattern.

License: ask its authors. resight contains no data of the set.

References:
    Bai et al., "Person30K: A Dual-Meta Generalization Network for Person Re-Identification", CVPR 2021.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.folder import load_folder
from resight.records import UNKNOWN, ImageTable

IMAGES, PEOPLE, CAMERAS = 1_384_940, 30_000, 6_497
"""The published numbers."""


def load_person30k(root: Path) -> Dataset:
    """Read Person30K as a folder of crops.

    Args:
        root: The folder of the images.

    Returns:
        The data set. A note compares its numbers of images, people and cameras with the published ones.

    Raises:
        DataError: As `load_folder`.
    """
    dataset = load_folder(root)
    table = ImageTable.concatenate(*dataset.tables.values())
    people, cameras = (
        len(np.unique(ids[ids != UNKNOWN])) for ids in (table.person_ids, table.camera_ids)
    )  # fmt: skip
    note = (
        f"read as a folder of crops, because its authors describe no layout: {len(table):,} images of {people:,} "
        f"people by {cameras:,} cameras (published {IMAGES:,} of {PEOPLE:,} by {CAMERAS:,})"
    )
    return replace(dataset, name="person30k", notes=(note, *dataset.notes))
