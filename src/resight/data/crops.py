"""A table together with its decoded pixels: what training and extraction read from."""

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
from resight.data.images import Pixels, pixels_of
from resight.data.lazy_images import ImageFiles
from resight.errors import DataError, shown
from resight.records import ImageTable, Ints, Mask

Picture = str | os.PathLike[str] | Pixels | Image.Image
"""One image as users have it: a file, or an ``(H, W, 3)`` uint8 RGB array or a Pillow image in memory."""

IMAGES = "a path or a list of paths, an ImageTable, Crops, (H, W, 3) uint8 arrays or Pillow images"
"""What to give where images are needed, for errors."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Images with their pixels.

    Attributes:
        table: The ``N`` images: those that could be read, or all where they are decoded only when asked for.
        store: The decoded pixels, of these and perhaps of more; or the files.
        rows: ``(N,)`` where each image of the table lies in the store.
    """

    table: ImageTable
    store: ImageStore | ImageFiles
    rows: Ints

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, chosen: slice | Ints | Mask) -> Crops:
        """Give some of the images over the same pixels."""
        return Crops(self.table[chosen], self.store, self.rows[chosen])

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """The path and the reason of each image that could not be read."""
        return self.store.problems

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.store.size

    def pixels(self, chosen: slice | Ints) -> Tensor:
        """Read ``(B, H, W, 3)`` uint8 pixels of some images, a copy."""
        return torch.from_numpy(self.store.read(self.rows[chosen]))


def images_of(images: Any, size: tuple[int, int]) -> Crops | ImageTable:
    """Give images however they are given.

    Args:
        images: A path or a list of paths; an ``(H, W, 3)`` uint8 RGB array or a Pillow image, or several of them.
        size: (height, width) that pictures in memory are resized to, pixels.

    Returns:
        A table of paths, or pictures in memory as crops.

    Raises:
        DataError: It is something else, or there is none.
    """
    if isinstance(images, str | os.PathLike | Image.Image) or (isinstance(images, np.ndarray) and images.ndim == 3):
        images = [images]
    if not isinstance(images, Iterable) or isinstance(images, bytes | Mapping):
        raise DataError(f"images must be {IMAGES}; found {shown(images)}")
    given = list(images)
    if not given:
        raise DataError(f"images must be {IMAGES}; found none")
    if all(isinstance(image, str | os.PathLike) for image in given):
        return ImageTable(text_column(given, "images"))
    if any(isinstance(image, str | os.PathLike) for image in given):
        number = next(at for at, image in enumerate(given) if not isinstance(image, str | os.PathLike))
        raise DataError(
            f"images must be all paths or all pictures in memory; found paths, and {shown(given[number])} as image "
            f"{number}"
        )
    names = [f"image {number}" for number in range(len(given))]
    pixels = np.stack([pixels_of(image, size, name) for image, name in zip(given, names, strict=True)])
    store = ImageStore(pixels, np.ones(len(given), np.bool_))
    return Crops(ImageTable(np.array(names)), store, np.arange(len(given)))


def fits_memory(images: int, size: tuple[int, int]) -> bool:
    """Say whether so many decoded images are few enough to be kept in memory, ``MEMORY_LIMIT``."""
    return images * size[0] * size[1] * 3 <= MEMORY_LIMIT


def open_crops(table: ImageTable, size: tuple[int, int]) -> Crops:
    """Give a table's images, each decoded when it is asked for, see `resight.data.lazy_images`.

    Args:
        table: The images.
        size: (height, width) to resize to, pixels.

    Returns:
        All images; what turns out not to be readable joins `Crops.problems`.
    """
    return Crops(table, ImageFiles(table, size), np.arange(len(table)))


def load_crops(table: ImageTable, size: tuple[int, int]) -> Crops:
    """Decode a table's images once and leave out those that cannot be read.

    Args:
        table: The images.
        size: (height, width) to resize to, pixels.

    Returns:
        The readable images; the others are in `Crops.problems`.

    Raises:
        DataError: No image can be read, or the temporary folder has no room for pixels that do not fit in memory.
    """
    store = load_images(table, size)
    rows = np.flatnonzero(store.readable)
    return Crops(table[rows], store, rows)
