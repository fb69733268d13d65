"""Pictures of turned people, of the generator of GCL or of any other, and a gate for those that show another person.

A generator that draws offline, such as a diffusion model, writes its pictures to the folders ``view``, ``view_45`` and
so on; `resight.bodies.files.TurnedFiles` with the kind `PICTURES` reads them and is a `ViewGenerator`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resight.bodies.maps import StructureMaps
from resight.compute.devices import Devices
from resight.data.crops import Crops, images_of
from resight.data.transforms import to_float
from resight.methods.structure import PairedViews, check_pictures
from resight.models.encoder import Encoder
from resight.models.generator import Generator
from resight.models.identity_encoder import IdentityEncoder
from resight.numerics.distances import normalize
from resight.records import Floats, Ints, Mask
from resight.retrieval.extraction import embed_crops

Pixels = npt.NDArray[np.uint8]

BATCH = 64
"""Pictures that are drawn at once."""


class DecodedViews:
    """The views that a generator of GCL draws from part codes and structure maps (thesis §5.3.1).

    Args:
        encoder: The identity encoder of the same run.
        generator: The generator.
        images: ``N`` images, of the size that the encoder takes.
        structure: The structure maps of these images.
        devices: Where to compute.

    Attributes:
        usable: ``(N,)`` bool, the images that have structure maps.
    """

    def __init__(
        self, encoder: Encoder, generator: Generator, *, images: Crops, structure: StructureMaps, devices: Devices
    ) -> None:
        self.images, self.structure, self.devices, self.usable = images, structure, devices, structure.usable
        self._encoder = devices.to_device(encoder).eval()
        self._identity = IdentityEncoder(self._encoder)
        self._generator = devices.to_device(generator).eval()

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Draw people turned; see `ViewGenerator`."""
        return self._draw(self.codes(rows), rows, turns)

    def mix(self, rows: Ints, others: Ints, shares: npt.ArrayLike) -> Tensor:
        """Draw people in their own pose, with codes between their own and other people's (thesis figure 5.9).

        Args:
            rows: ``(B,)`` rows of usable images, whose structure is kept.
            others: ``(B,)`` rows of the images whose codes are mixed in.
            shares: ``(B,)`` the share of the other code, 0..1.

        Returns:
            ``(B, 3, H, W)`` uint8.
        """
        part = torch.as_tensor(np.asarray(shares, np.float32), device=self.devices.device)[:, None]
        return self._draw((1 - part) * self.codes(rows) + part * self.codes(others), rows, np.zeros_like(rows))

    @torch.inference_mode()
    def codes(self, rows: Ints) -> Tensor:
        """Return the ``(B, C * 4)`` part codes of images."""
        unique, inverse = np.unique(rows, return_inverse=True)
        parts = []
        for block in np.split(unique, range(BATCH, len(unique), BATCH)):
            with self.devices.autocast("inference"):
                _, codes = self._identity(to_float(self.images.pixels(block).to(self.devices.device)))
            parts.append(codes.float())
        chosen: Tensor = torch.cat(parts)[torch.from_numpy(inverse).to(self.devices.device)]
        return chosen

    @torch.inference_mode()
    def _draw(self, codes: Tensor, rows: Ints, turns: Ints) -> Tensor:
        pictures = []
        for start in range(0, len(rows), BATCH):
            block = slice(start, start + BATCH)
            maps = self.structure.load(rows[block], turns[block])
            check_pictures(maps, (len(rows[block]), 1, *self.images.size))
            with self.devices.autocast("inference"):
                drawn = self._generator(maps.to(self.devices.device).float() / 127.5 - 1, codes[block])
            pixels = drawn * self._encoder.std + self._encoder.mean
            pictures.append((255 * pixels.clamp(0, 1)).round().to(torch.uint8).cpu())
        return torch.cat(pictures)


def draw(views: PairedViews, rows: Ints, turns: Ints) -> Pixels:
    """Return ``(B, T, H, W, 3)`` uint8 pictures of each of ``(B,)`` rows by each of ``(T,)`` turns."""
    pictures = views.load(np.repeat(rows, len(turns)), np.tile(turns, len(rows)))
    drawn: Pixels = pictures.permute(0, 2, 3, 1).contiguous().numpy()
    return drawn.reshape(len(rows), len(turns), *drawn.shape[1:])


@dataclass(frozen=True, eq=False)
class Gate:
    """Refuses pictures that do not show the person of their image.

    Attributes:
        encoder: What judges: an encoder that has not learned with the generator, which would please it.
        threshold: The least cosine of image and picture, -1..1; -1 refuses none.
        devices: Where to compute.
    """

    encoder: Encoder
    threshold: float = -1.0
    devices: Devices = field(default_factory=Devices)

    def embed(self, pictures: Pixels) -> Floats:
        """Return ``(B, D)`` unit vectors of ``(B, H, W, 3)`` uint8 pictures, scaled to what the encoder takes."""
        crops = images_of(list(pictures), self.encoder.settings.size)
        assert isinstance(crops, Crops)
        return embed_crops(self.encoder, crops, devices=self.devices)

    def cosines(self, images: Floats, pictures: Pixels) -> Floats:
        """Measure how much of the identity is kept.

        Args:
            images: ``(B, D)`` vectors of the images, of `embed`.
            pictures: ``(B, T, H, W, 3)`` uint8, what was drawn of each image.

        Returns:
            ``(B, T)`` float32 cosines, -1..1.
        """
        vectors = self.embed(pictures.reshape(-1, *pictures.shape[2:])).reshape(*pictures.shape[:2], -1)
        kept: Floats = np.einsum("bd,btd->bt", normalize(images), vectors)
        return kept

    def refuses(self, cosines: npt.ArrayLike) -> Mask:
        """Return which pictures are refused, of the cosines of image and picture."""
        refused: Mask = np.asarray(cosines) < self.threshold
        return refused
