"""Structure maps of the people in a table of images, for methods that generate turned views (thesis §5.3.1)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from resight.errors import DataError
from resight.records import Ints, Mask
from resight.synthetic.turns import PosedBodies, render_structure

SIZE = (256, 128)
"""Height and width of structure maps, as the thesis' generator takes them."""


class StructureMaps(Protocol):
    """The structure maps of ``N`` images.

    Attributes:
        usable: ``(N,)`` bool, whether an image has maps.
    """

    usable: Mask

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Return maps of some images.

        Args:
            rows: ``(B,)`` rows of usable images.
            turns: ``(B,)`` by how many eighths of a circle to turn each person.

        Returns:
            ``(B, 1, H, W)`` uint8 gray.

        Raises:
            DataError: A row is not usable, or its map cannot be read.
        """


class DrawnMaps:
    """Structure maps that are drawn from posed bodies whenever they are needed.

    Args:
        bodies: ``N`` bodies; those of unusable rows are ignored.
        usable: ``(N,)`` whether the body of a row is known.
        size: Height and width of the maps.
        white: Whether their background is white or black.
    """

    def __init__(self, bodies: PosedBodies, usable: Mask, *, size: tuple[int, int] = SIZE, white: bool = True) -> None:
        self.bodies, self.usable, self.size, self.white = bodies, usable, size, white

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Draw maps; see `StructureMaps.load`."""
        rows = np.asarray(rows)
        check_usable(self.usable, rows)
        maps = render_structure(self.bodies[rows], turns, self.size, white=self.white)
        return torch.from_numpy(maps)[:, None]


def check_usable(usable: Mask, rows: Ints) -> None:
    """Check that images have maps.

    Raises:
        DataError: One has none.
    """
    unusable = rows[~usable[rows]]
    if len(unusable):
        raise DataError(f"row {unusable[0]} has no structure map: choose rows by the mask usable")
