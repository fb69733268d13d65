"""A table of images with their decoded pixels, for training and extraction."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resight.arrays import text_column
from resight.data.image_store import MEMORY_LIMIT, ImageStore, load_images
from resight.data.images import Pixels, resize_picture
from resight.data.lazy_images import ImageFiles
from resight.errors import DataError, shown
from resight.records import ImageTable, Ints, Mask

Picture = str | os.PathLike[str] | Pixels | Image.Image
"""One image of a user: a file, an ``(H, W, 3)`` uint8 RGB array, or a Pillow image."""

IMAGES = "a path or a list of paths, an ImageTable, Crops, (H, W, 3) uint8 arrays or Pillow images"
"""The expected argument, for errors."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Images with their pixels.

    Attributes:
        table: The ``N`` images: the readable ones, or all if the store decodes them on demand.
        store: The decoded pixels of these images and perhaps of more; or the files.
        rows: ``(N,)`` the row of each image in the store.
    """

    table: ImageTable
    store: ImageStore | ImageFiles
    rows: Ints

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, rows: slice | Ints | Mask) -> Crops:
        """Select some of the images; the pixels are shared."""
        return Crops(self.table[rows], self.store, self.rows[rows])

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """The path of each unreadable image, and the reason."""
        return self.store.problems

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.store.size

    def pixels(self, rows: slice | Ints) -> Tensor:
        """Read a copy of the ``(B, H, W, 3)`` uint8 pixels of some images."""
        return torch.from_numpy(self.store.read(self.rows[rows]))


def images_of(images: Any, size: tuple[int, int]) -> Crops | ImageTable:
    """Convert a user's images to a table or to crops.

    Args:
        images: A path or a list of paths; an ``(H, W, 3)`` uint8 RGB array or a Pillow image, or several of them.
        size: (height, width) to resize pictures in memory to, pixels.

    Returns:
        A table of paths, or the pictures in memory as crops.

    Raises:
        DataError: The images are of another type, or there are none.
    """
    if isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim == 3):
        images = [images]
    if not isinstance(images, Iterable) or isinstance(images, bytes | Mapping):
        raise DataError(f"images must be {IMAGES}; found {shown(images)}")
    images = list(images)
    if not images:
        raise DataError(f"images must be {IMAGES}; found none")
    if all(isinstance(image, str | os.PathLike) for image in images):
        return ImageTable(text_column(images, "images"))
    if any(isinstance(image, str | os.PathLike) for image in images):
        number = next(row for row, image in enumerate(images) if not isinstance(image, str | os.PathLike))
        raise DataError(
            f"images must be all paths or all pictures in memory; found paths, and {shown(images[number])} as image "
            f"{number}"
        )
    names = [f"image {number}" for number in range(len(images))]
    pixels = np.stack([resize_picture(image, size, name) for image, name in zip(images, names, strict=True)])
    store = ImageStore(pixels, np.ones(len(images), np.bool_))
    return Crops(ImageTable(np.array(names)), store, np.arange(len(images)))


def fits_memory(images: int, size: tuple[int, int]) -> bool:
    """Return whether this number of decoded images fits into ``MEMORY_LIMIT``."""
    return images * size[0] * size[1] * 3 <= MEMORY_LIMIT


def open_crops(table: ImageTable, size: tuple[int, int]) -> Crops:
    """Open a table's images and decode each on demand, see `resight.data.lazy_images`.

    Args:
        table: The images.
        size: (height, width) to resize to, pixels.

    Returns:
        All images. Images that turn out to be unreadable join `Crops.problems`.
    """
    return Crops(table, ImageFiles(table, size), np.arange(len(table)))


def load_crops(table: ImageTable, size: tuple[int, int]) -> Crops:
    """Decode a table's images once, and leave out the unreadable ones.

    Args:
        table: The images.
        size: (height, width) to resize to, pixels.

    Returns:
        The readable images; the others are in `Crops.problems`.

    Raises:
        DataError: No image can be read, or the pixels fit neither into memory nor into the temporary folder.
    """
    store = load_images(table, size)
    rows = np.flatnonzero(store.readable)
    return Crops(table[rows], store, rows)
