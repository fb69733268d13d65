"""Market-1501: 32,668 boxes of 1,501 people by six cameras in front of a supermarket, found by a detector.

Person 0 in the gallery is any other person (2,798 distractors). Person -1 is a box that barely shows a person (3,819
junk images); the evaluation and the published counts here leave junk out.

The frame numbers of the names restart in each sequence (``s``) of a camera. In the table they go on: the last numbers
of the camera's earlier sequences are added, so that the time between two images can be told (JVTC).

``market1501-500k`` adds the set's 500,000 further distractors to the gallery. Their images lie in ``images``, next to
the other folders. Each counts as person 0, whatever its name; its camera is unknown unless its name tells.

License: for research; ask its authors. resight contains no data of the set.

References:
    Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from resight.data.dataset import Dataset
from resight.data.image_formats import is_image_name
from resight.data.roots import list_folder, read_market_style
from resight.errors import DataError, counted
from resight.records import UNKNOWN, ImageTable

PATTERN = re.compile(r"(?P<person>-1|[0-9]{1,18})_c(?P<camera>[0-9]{1,4})s[0-9]+_(?P<frame>[0-9]{1,18})_[0-9]+\.")
SEQUENCE = re.compile(r"_c[0-9]+s([0-9]{1,4})_")
FORM = "PPPP_cCsS_FFFFFF_NN.jpg"
PUBLISHED = {"train": (12_936, 751), "query": (3_368, 750), "gallery": (15_913, 751)}
"""Images without junk, and person ids; the distractors' 0 counts as one id of the gallery."""


def load_market1501(root: Path) -> Dataset:
    """Read Market-1501, or another set with its layout and file names.

    Args:
        root: The folder with ``bounding_box_train``, ``query`` and ``bounding_box_test``, or the one above.

    Returns:
        The data set; frames are the numbers in the names, on one clock for all sequences of a camera.

    Raises:
        DataError: A folder is missing or has no image of the set's names.
    """
    names = ("Market-1501-v15.09.15", "Market-1501", "market1501", "Market1501")
    dataset = read_market_style("market1501", root, pattern=PATTERN, form=FORM, published=PUBLISHED, folder_names=names)
    train, query, gallery = on_one_clock(dataset.train, dataset.query, dataset.gallery)
    return replace(dataset, train=train, query=query, gallery=gallery, distractor_id=0)


def on_one_clock(*tables: ImageTable) -> list[ImageTable]:
    """Add to each frame number the last ones of its camera's earlier sequences, over all tables together."""
    images = ImageTable.concatenate(*tables)
    names = [os.path.basename(path) for path in images.paths.tolist()]  # noqa: PTH119  (a Path for each image is slow)
    sequences = np.array([int(match[1]) if (match := SEQUENCE.search(name)) else 0 for name in names], np.int64)
    frames = images.frame_ids.copy()
    for camera in np.unique(images.camera_ids):
        start = 0
        for sequence in np.unique(sequences[images.camera_ids == camera]):
            rows = (images.camera_ids == camera) & (sequences == sequence)
            frames[rows] += start
            start += int(images.frame_ids[rows].max())
    parts = np.split(frames, np.cumsum([len(table) for table in tables])[:-1])
    return [replace(table, frame_ids=part) for table, part in zip(tables, parts, strict=True)]


def load_market1501_500k(root: Path) -> Dataset:
    """Read Market-1501 with its 500,000 further distractors.

    Args:
        root: The folder of `load_market1501`, with the distractors in ``images``.

    Returns:
        The data set; a note counts the distractors. The gallery's published count is that of the set without them.

    Raises:
        DataError: As `load_market1501`; or there is no image in ``images``.
    """
    dataset = load_market1501(root)
    folder = dataset.root / "images"
    names = [name for name in list_folder(folder)[1] if is_image_name(name)] if folder.is_dir() else []
    if not names:
        problem = "has no image" if folder.is_dir() else "is not there"
        raise DataError(
            f"market1501-500k: the folder of the distractors, {folder}, {problem}: unpack them, or read market1501"
        )
    cameras = [int(match["camera"]) if (match := PATTERN.match(name)) else UNKNOWN for name in names]
    paths = np.array([str(folder / name) for name in names])
    distractors = ImageTable(paths, np.zeros(len(names), np.int64), np.array(cameras, np.int64))
    return replace(
        dataset,
        name="market1501-500k",
        gallery=ImageTable.concatenate(dataset.gallery, distractors),
        published={split: counts for split, counts in PUBLISHED.items() if split != "gallery"},
        notes=(f"gallery: {counted(len(names), 'further distractor')} of images", *dataset.notes),
    )
