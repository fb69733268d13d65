"""Descriptions of people that nothing has learned: the colors and the texture of horizontal stripes (§2.3).

They are the floor that every network must beat. As backbones, they stand wherever a network does.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

STRIPES = 6
"""The number of horizontal stripes of an image."""

BINS = (8, 8, 4)
"""The numbers of bins of hue, saturation and value."""

_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
"""The eight neighbors of a pixel, clockwise (down, right)."""


def _patterns() -> list[int]:
    """Number the 256 patterns of eight bits: those with two changes around the ring or fewer each, all others alike."""
    changes = [(pattern ^ (pattern >> 1 | (pattern & 1) << 7)).bit_count() for pattern in range(256)]
    uniform = [pattern for pattern in range(256) if changes[pattern] <= 2]
    return [uniform.index(pattern) if pattern in uniform else len(uniform) for pattern in range(256)]


PATTERNS = _patterns()
"""The bin of each local binary pattern: 58 uniform ones, and one bin for the rest."""


class StripeHistograms(nn.Module):
    """Describe images by histograms of horizontal stripes, as a network without weights.

    Args:
        texture: Whether to add local binary patterns to the colors; both have the same weight.

    References:
        Gray and Tao, Viewpoint invariant pedestrian recognition with an ensemble of localized features, 2008.
        Ojala et al., Multiresolution gray-scale and rotation invariant texture classification with local binary
            patterns, 2002.
    """

    def __init__(self, *, texture: bool) -> None:
        super().__init__()
        self.texture = texture
        self.channels = STRIPES * (math.prod(BINS) + texture * (max(PATTERNS) + 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the ``(B, C, 1, 1)`` float32 description of ``(B, 3, H, W)`` images in 0..1."""
        images = images.float()
        parts = [color_histograms(images), *([texture_histograms(images)] if self.texture else [])]
        return torch.cat(parts, 1)[:, :, None, None]


def color_histograms(images: Tensor) -> Tensor:
    """Describe images by the hue, saturation and value of horizontal stripes.

    Args:
        images: ``(B, 3, H, W)`` float32 sRGB, 0..1.

    Returns:
        ``(B, 6 * 8 * 8 * 4)`` float32, L2-normalized: square roots of each stripe's shares, so that the dot product
        compares histograms by Bhattacharyya's coefficient.
    """
    red, green, blue = images.clamp(0, 1).unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    spread = value - torch.minimum(torch.minimum(red, green), blue)
    safe = torch.where(spread > 0, spread, 1.0)
    sector = torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = torch.where(value == red, ((green - blue) / safe) % 6, sector) / 6
    saturation = torch.where(value > 0, spread / torch.where(value > 0, value, 1.0), 0.0)
    bins = torch.zeros_like(value, dtype=torch.int64)
    for channel, count in zip((hue, saturation, value), BINS, strict=True):
        bins = bins * count + (channel * count).long().clamp(max=count - 1)
    return _stripe_shares(bins, math.prod(BINS))


def texture_histograms(images: Tensor) -> Tensor:
    """Describe images by the uniform local binary patterns of horizontal stripes.

    A pattern has a bit for each of the eight neighbors of a pixel that is at least as bright. Gray values are rounded
    to whole numbers of 0..255; pixels at the border of the image have no pattern.

    Args:
        images: ``(B, 3, H, W)`` float32 sRGB, 0..1.

    Returns:
        ``(B, 6 * 59)`` float32, L2-normalized square roots of shares, as `color_histograms`.
    """
    weights = torch.tensor((0.299, 0.587, 0.114), device=images.device).view(1, 3, 1, 1)
    gray = (images.clamp(0, 1) * 255 * weights).sum(1).round()
    height, width = gray.shape[1:]
    center = gray[:, 1:-1, 1:-1]
    pattern = torch.zeros_like(center, dtype=torch.int64)
    for bit, (down, right) in enumerate(_RING):
        neighbor = gray[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        pattern += (neighbor >= center).long() << bit
    bins = torch.tensor(PATTERNS, device=images.device)[pattern]
    return _stripe_shares(bins, max(PATTERNS) + 1)


def _stripe_shares(bins: Tensor, count: int) -> Tensor:
    """Return the square roots of the shares of ``count`` bins in each stripe, ``(B, STRIPES * count)`` of length 1."""
    images, height, width = bins.shape
    edges = [round(height * stripe / STRIPES) for stripe in range(STRIPES + 1)]
    sizes = torch.tensor([low - high for high, low in pairwise(edges)], device=bins.device)
    stripe = torch.repeat_interleave(torch.arange(STRIPES, device=bins.device), sizes, output_size=height)
    image = torch.arange(images, device=bins.device)
    flat = (image[:, None, None] * STRIPES + stripe[None, :, None]) * count + bins
    counts = torch.bincount(flat.flatten(), minlength=images * STRIPES * count)
    shares = counts.view(images, STRIPES, count) / (sizes * width * STRIPES)[None, :, None]
    return shares.sqrt().flatten(1)
