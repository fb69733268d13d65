"""A table together with its decoded pixels: what training and extraction read from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resight.data.images import ImageStore, load_images
from resight.records import ImageTable, Ints, Mask


@dataclass(frozen=True, eq=False)
class Crops:
    """Images that could be read, with their pixels.

    Attributes:
        table: The ``N`` images that could be read.
        store: The decoded pixels, of these and perhaps of more.
        rows: ``(N,)`` where each image of the table lies in the store.
    """

    table: ImageTable
    store: ImageStore
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
        height, width = self.store.pixels.shape[1:3]
        return int(height), int(width)

    def pixels(self, chosen: slice | Ints) -> Tensor:
        """Read ``(B, H, W, 3)`` uint8 pixels of some images, a copy."""
        # Fancy indexing copies, so the tensor never shares the read-only store.
        return torch.from_numpy(self.store.pixels[self.rows[chosen]])


def load_crops(table: ImageTable, size: tuple[int, int], *, cache: Path | None = None) -> Crops:
    """Decode a table's images once and leave out those that cannot be read.

    Args:
        table: The images.
        size: (height, width) to resize to, pixels.
        cache: The folder for a memory-mapped file where the pixels do not fit in memory.

    Returns:
        The readable images; the others are in `Crops.problems`.

    Raises:
        DataError: No image can be read.
    """
    store = load_images(table, size, cache=cache)
    rows = np.flatnonzero(store.readable)
    return Crops(table[rows], store, rows)
