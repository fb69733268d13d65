"""The identity encoder of GCL: any encoder, with a part code beside its features (thesis §5.4.2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resight.models.encoder import Encoder

PARTS = 4
"""Into how many parts, from the top, the map of a person is pooled: one for each residual block of the generator."""


def part_code(maps: list[Tensor]) -> Tensor:
    """Pool the parts of maps: what a generator needs to know of a person.

    Args:
        maps: ``(B, C, h, w)`` each; `Encoder.maps` gives them. Those of several branches are taken as one map of all
            their channels.

    Returns:
        ``(B, C * 4)`` float32, channel after channel: its means in the four parts of the map, from the top.
    """
    # Transformers give their patches as a column, row after row; a part of it is a part of the image too.
    return torch.cat([F.adaptive_avg_pool2d(one.float(), (PARTS, 1)) for one in maps], 1).flatten(1)


class IdentityEncoder(nn.Module):
    """An encoder that also returns the part code of its maps.

    Args:
        encoder: With any head; it is shared, and only its own weights learn.

    Attributes:
        code_width: C, the channels of all maps together; a part code has four times as many numbers.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.code_width = _channels(encoder)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the ``(B, D)`` features after the neck and the ``(B, C * 4)`` part code.

        Args:
            images: ``(B, 3, H, W)`` float; 0..1, or beyond if a generator made them.
        """
        maps = self.encoder.maps(images)
        return self.encoder.forward_maps(maps)[1], part_code(maps)


@torch.no_grad()
def _channels(encoder: Encoder) -> int:
    """Count the channels of an encoder's maps, on one empty image."""
    training = encoder.training
    maps = encoder.eval().maps(torch.zeros(1, 3, *encoder.settings.size, device=encoder.mean.device))
    encoder.train(training)
    return sum(one.shape[1] for one in maps)
