"""Changes of images that are off by default: scale and rotation, hue and saturation, noise.

They are batched, run on the device of the images, and an image's change does not depend on the rest of its batch.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_MASK = 0xFFFFFFFF


def warp(images: Tensor, zoom: Tensor, angle: Tensor) -> Tensor:
    """Scale and rotate images about their centers; what lies outside of an image is black.

    Args:
        images: ``(B, 3, H, W)`` float.
        zoom: ``(B,)`` factor of the size of what is shown.
        angle: ``(B,)`` counterclockwise rotation, radians.

    Returns:
        ``(B, 3, H, W)``, interpolated linearly.
    """
    height, width = images.shape[2:]
    cosine, sine, zero = angle.cos() / zoom, angle.sin() / zoom, torch.zeros_like(zoom)
    # `affine_grid` measures in halves of the image's width and height.
    across = torch.stack([cosine, -sine * (height / width), zero], 1)
    down = torch.stack([sine * (width / height), cosine, zero], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def recolor(images: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """Turn the colors of images about the gray axis, and scale their distance to it.

    Args:
        images: ``(B, 3, H, W)`` float.
        hue: ``(B,)`` turn from red towards green, radians.
        saturation: ``(B,)`` factor; 0 makes an image gray.

    Returns:
        ``(B, 3, H, W)``, not limited to 0..1; gray pixels, the mean of their colors, keep their value.
    """
    gray = torch.full((3, 3), 1 / 3, device=images.device)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=images.device) / math.sqrt(3)
    own = torch.eye(3, device=images.device) - gray
    turn = hue.cos()[:, None, None] * own + hue.sin()[:, None, None] * across  # Rodrigues, without the gray axis
    return torch.einsum("bij,bjhw->bihw", gray + saturation[:, None, None] * turn, images)


def add_noise(images: Tensor, sigma: Tensor, seed: Tensor) -> Tensor:
    """Add Gaussian noise, each color of each pixel for itself.

    Args:
        images: ``(B, 3, H, W)`` float.
        sigma: ``(B,)`` standard deviation.
        seed: ``(B,)`` int64, 0 or more, below 2^31: what an image's noise is computed from, on every device alike.

    Returns:
        ``(B, 3, H, W)``, not limited to 0..1.
    """
    size = images[0].numel()
    place = torch.arange(size, device=images.device)
    start = _hash(seed[:, None] * 2)
    first, second = (_hash(start ^ _hash(2 * place + half)).double() for half in (0, 1))
    # Box and Muller: two uniform numbers, never 0, make a normal one.
    radius = (-2 * torch.log((first + 0.5) / (_MASK + 1))).sqrt()
    normal = radius * torch.cos(2 * math.pi * second / (_MASK + 1))
    return images + sigma[:, None, None, None] * normal.view(images.shape).to(images.dtype)


def _hash(number: Tensor) -> Tensor:
    """Mix the bits of int64 numbers of 32 bits, one to one (the finalizer of MurmurHash3)."""
    number = (number ^ number >> 16) * 0x85EBCA6B & _MASK
    number = (number ^ number >> 13) * 0xC2B2AE35 & _MASK
    return number ^ number >> 16
