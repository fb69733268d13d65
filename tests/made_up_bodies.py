"""Bodies for GCL without any mesh: a block of gray that narrows as it turns, and true pictures of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from resight.records import Ints, Mask


@dataclass(frozen=True)
class Bodies:
    """Structure maps in memory.

    Attributes:
        count: N, the images.
        size: (height, width) of a map.
        missing: Images without a body.
    """

    count: int
    size: tuple[int, int]
    missing: tuple[int, ...] = ()

    @property
    def usable(self) -> Mask:
        return ~np.isin(np.arange(self.count), self.missing)

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        assert self.usable[rows].all()
        assert ((turns >= 0) & (turns < 8)).all()
        height, width = self.size
        maps = torch.full((len(rows), 1, height, width), 255, dtype=torch.uint8)
        for i, (row, turn) in enumerate(zip(rows.tolist(), turns.tolist(), strict=True)):
            half = width // 4 - (turn % 4) * width // 32
            top = height // 8 + row % 3
            maps[i, 0, top : -height // 8, width // 2 - half : width // 2 + half] = 40 + 20 * turn
        return maps


@dataclass(frozen=True)
class Pictures(Bodies):
    """True pictures of such bodies, in the color of the person; the background is black."""

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        body = super().load(rows, turns) < 255
        colors = torch.tensor([[50 + 20 * (row % 8), 200 - 20 * (row % 8), 90] for row in rows.tolist()])
        return (body * colors[:, :, None, None]).to(torch.uint8)
