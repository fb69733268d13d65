"""CUHK03's original file ``cuhk-03.mat``, unpacked into image files.

``labeled`` and ``detected`` hold the boxes drawn by hand and by a detector: a cell for each pair of cameras, in it a
row for each person, with five images by the first camera and five by the second (fewer for some). resight cannot train
from inside the file. The first call therefore writes the images of one kind as PNG files into ``cuhk-03-images`` next
to it, with CUHK03-NP's names; later calls read those. The file has version 7.3 and needs
``python -m pip install "resight[mat]"``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.matlab import read_leaves
from resight.data.roots import read_split
from resight.errors import DataError
from resight.files import drafted
from resight.progress import progress
from resight.records import ImageTable, Ints

Boxes = Literal["labeled", "detected"]
"""The origin of the boxes around people: drawn by hand or by a detector."""

FILE = "cuhk-03.mat"
IMAGES = "cuhk-03-images"
PATTERN = re.compile(r"(?P<person>[0-9]{1,18})_c(?P<camera>[12])_(?P<name>[0-9]_[0-9]{3,4}_[12]_[0-9]{2}\.png)")
FORM = "PPPP_cC_K_NNN_C_II.png"
PAIRS = (843, 440, 77, 58, 49)
"""The published number of people of each pair of cameras; people are numbered through them."""


def find_file(root: Path) -> Path | None:
    """Return the original file at a path, in a folder or in ``cuhk03_release`` below it; None if there is none."""
    paths = (root, root / FILE, root / "cuhk03_release" / FILE, root / "cuhk03" / "cuhk03_release" / FILE)
    return next((path for path in paths if path.suffix == ".mat" and path.is_file()), None)


def read_images(name: str, path: Path, boxes: Boxes) -> tuple[ImageTable, list[str]]:
    """Read the images of one kind of boxes as files, which the first call writes.

    Args:
        name: The set's name, for errors.
        path: The file ``cuhk-03.mat``.
        boxes: The boxes to read.

    Returns:
        All images, and notes on skipped files. People are numbered through the pairs of cameras, as in CUHK03-NP.

    Raises:
        DataError: The images cannot be read or written.
    """
    folder = path.parent / IMAGES / boxes
    if not folder.is_dir():
        next(read_leaves(name, path, boxes), None)  # an unreadable file fails before a folder is made
        try:
            with drafted(folder, folder=True) as draft:
                _write_images(name, path, boxes, draft)
        except OSError as error:
            if not folder.is_dir():  # another process has not written them meanwhile either
                raise DataError(
                    f"{name}: cannot write the images of {path} into {folder} ({error.strerror or error}): copy the "
                    "file to a folder that you can write into"
                ) from error
    return read_split(name, folder, PATTERN, FORM)


def _write_images(name: str, path: Path, boxes: Boxes, folder: Path) -> None:
    """Write the images of one kind of boxes, named as in CUHK03-NP."""
    leaves = read_leaves(name, path, boxes)
    for place, leaf in progress(leaves, f"unpacking {path.name}", total=sum(PAIRS) * 10):
        pixels = np.asarray(leaf)
        if not pixels.size:
            continue
        if len(place) != 4 or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(
                f"{name}: expected a cell for each pair of cameras in {boxes} of {path}, and in it images (H, W, 3) of "
                f"8 bits; found {pixels.dtype} {pixels.shape}"
            )
        pair, _, row, column = (int(position) for position in place)
        person = number_people(name, path, np.array([pair]), np.array([row]))[0]
        view = 1 if column < 5 else 2
        _save(pixels, folder / f"{person:04}_c{view}_{pair + 1}_{row + 1:03}_{view}_{column + 1:02}.png")


def _save(pixels: npt.NDArray[np.uint8], path: Path) -> None:
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)


def number_people(name: str, path: Path, pairs: Ints, rows: Ints) -> Ints:
    """Number people through the pairs of cameras.

    Args:
        name: The set's name, for the error.
        path: The file, likewise.
        pairs: ``(N,)`` the pair of cameras of each person, from 0.
        rows: ``(N,)`` the row of each person in its pair, from 0.

    Returns:
        ``(N,)`` int64 person ids, from 1, as in CUHK03-NP.

    Raises:
        DataError: The set has no such person.
    """
    sizes, offsets = np.array(PAIRS), np.cumsum([0, *PAIRS])
    valid = (pairs >= 0) & (pairs < len(PAIRS)) & (rows >= 0)
    if not valid.all() or (rows >= sizes[pairs]).any():
        raise DataError(
            f"{name}: {path} names a person beyond the {sum(PAIRS):,} of CUHK03's five pairs of cameras: it is of "
            "another set"
        )
    return np.asarray(offsets[pairs] + rows + 1, np.int64)


def original_name(path: str) -> str:
    """Return the name that the lists of the new protocol have for an image of `read_images`."""
    match = PATTERN.match(Path(path).name)
    assert match  # read_split has matched it
    return match["name"]
