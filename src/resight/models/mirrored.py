"""The layers of the generator and the discriminator: convolutions of maps whose border is mirrored."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Of a leaky ReLU below 0."""


class MirroredConv(nn.Conv2d):
    """A convolution that sees the map mirrored at its border, so that a stride of 1 keeps its size.

    Args:
        channels: Channels of the map.
        out_channels: Channels of the result.
        kernel: Rows and columns of the kernel, odd.
        stride: Rows and columns from one place to the next.
        dilation: Distance of the kernel's neighbors.
    """

    def __init__(
        self, channels: int, out_channels: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(channels, out_channels, kernel, stride=stride, dilation=dilation)
        self.reach = dilation * (kernel - 1) // 2

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C', h', w')`` of ``(B, C, h, w)`` maps."""
        # A map that is smaller than the reach has nothing to mirror; its outermost pixels are repeated.
        mode = "reflect" if self.reach < min(maps.shape[2:]) else "replicate"
        return super().forward(F.pad(maps, (self.reach,) * 4, mode=mode) if self.reach else maps)


def active(*modules: nn.Module) -> nn.Sequential:
    """Return modules with a leaky ReLU behind them."""
    return nn.Sequential(*modules, nn.LeakyReLU(SLOPE))


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3, the first with a leaky ReLU, whose result is added to their input.

    Args:
        channels: Channels of the map.
        norm: Whether each convolution is followed by instance norm.
    """

    def __init__(self, channels: int, *, norm: bool) -> None:
        super().__init__()
        self.first = active(MirroredConv(channels, channels), *_norms(channels, norm))
        self.second = nn.Sequential(MirroredConv(channels, channels), *_norms(channels, norm))

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        residual: Tensor = self.second(self.first(maps))
        return maps + residual


def _norms(channels: int, norm: bool) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels)] if norm else []


def scaled(channels: int, width: float) -> int:
    """Return a number of channels times a factor, at least 1."""
    return max(1, round(channels * width))
