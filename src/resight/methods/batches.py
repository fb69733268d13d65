"""Batches of an epoch: their random numbers, and the shard of each batch that a process works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resight.compute.devices import Devices
from resight.data.crops import Crops
from resight.data.transforms import AugmentSettings, apply_params, sample_params, to_float
from resight.records import Ints


def epoch_generators(seed: int, epoch: int) -> tuple[np.random.Generator, torch.Generator]:
    """Return the generators of an epoch: one for its batches, one for its augmentations.

    They depend on nothing but the seed and the epoch, so a resumed run draws what an uninterrupted one draws.
    """
    batch_generator = np.random.default_rng([seed, epoch])
    return batch_generator, torch.Generator().manual_seed(int(batch_generator.integers(2**62)))


@dataclass(frozen=True, eq=False)
class Shard:
    """The part of a batch that one process works on.

    Attributes:
        batch: ``(B,)`` rows of the whole batch, in the table of training images.
        span: Which ``S`` of the ``B`` rows belong to this process.
        pixels: ``(S, H, W, 3)`` uint8 images of this process's rows, on its device.
    """

    batch: Ints
    span: slice
    pixels: Tensor

    def plain(self) -> Tensor:
        """Return the shard's images without augmentation, ``(S, 3, H, W)`` float in 0..1."""
        return to_float(self.pixels)

    def augmented(self, settings: AugmentSettings, generator: torch.Generator) -> Tensor:
        """Return the shard's images with random augmentation, ``(S, 3, H, W)`` float in 0..1.

        Numbers are drawn for the whole batch, so they do not depend on how many processes share it.
        """
        height, width = self.pixels.shape[1:3]
        params = sample_params(settings, len(self.batch), (height, width), generator)
        start, stop, _ = self.span.indices(len(self.batch))
        return apply_params(self.pixels, params.rows(start, stop), color=settings.erase_color)

    def lookup(self, column: npt.NDArray[Any]) -> Tensor:
        """Return the values of a ``(N,)`` column for the whole batch, ``(B,)``, on the shard's device."""
        return torch.from_numpy(np.ascontiguousarray(column[self.batch])).to(self.pixels.device)


def load_shard(images: Crops, batch: Ints, devices: Devices) -> Shard:
    """Load this process's shard of a batch; rows that processes cannot share equally are dropped."""
    batch = devices.drop_remainder(batch)
    span = devices.shard(len(batch))
    return Shard(batch, span, images.pixels(batch[span]).to(devices.device))


def load_batch(images: Crops, batch: Ints, devices: Devices) -> Shard:
    """Load a whole batch in every process."""
    return Shard(batch, slice(None), images.pixels(batch).to(devices.device))
