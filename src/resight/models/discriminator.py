"""The discriminator of GCL: does a patch of an image look real, at three scales (thesis §5.4.2)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from resight.models.mirrored import MirroredConv, ResidualBlock, active, scaled

SCALES = 3


class PatchDiscriminator(nn.Module):
    """Scores each patch of an image: five convolutions, four residual blocks and a last convolution, without norms.

    Args:
        width: Factor of the thesis' numbers of channels.

    References:
        Isola et al., Image-to-image translation with conditional adversarial networks, 2017.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        narrow, wide = scaled(32, width), scaled(64, width)
        self.layers = nn.Sequential(
            active(MirroredConv(3, narrow, kernel=1)),
            active(MirroredConv(narrow, narrow)),
            active(MirroredConv(narrow, narrow, stride=2)),
            active(MirroredConv(narrow, narrow)),
            active(MirroredConv(narrow, wide, stride=2)),
            *(ResidualBlock(wide, norm=False) for _ in range(4)),
            MirroredConv(wide, 1, kernel=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, 1, H / 4, W / 4)`` scores of ``(B, 3, H, W)`` normalized images."""
        scores: Tensor = self.layers(images)
        return scores


class Discriminator(nn.Module):
    """D: a patch discriminator for the image as it is, halved, and halved again.

    Args:
        width: Factor of the thesis' numbers of channels.
    """

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(width=width) for _ in range(SCALES))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the scores of each scale, ``(B, 1, h, w)``, of ``(B, 3, H, W)`` normalized images."""
        scores = []
        for number, scale in enumerate(self.scales):
            if number:
                images = F.avg_pool2d(images, 3, stride=2, padding=1, count_include_pad=False)
            scores.append(scale(images))
        return scores
