"""Augmentation of batches of images by tensor operations, with its own random parameters for every image.

Sampling and applying are separate. `sample_params` only needs a generator, so every process of a run can sample for the
entire batch and apply its own shard. `apply_params` is pure and runs on the device of the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from resight.config.types import check_types
from resight.data.jitter import add_noise, recolor, warp
from resight.errors import ConfigError

_TRIES = 100
"""Rectangles to sample for each image; the first that fits is erased."""


@dataclass(frozen=True)
class AugmentSettings:
    """How to augment images.

    Attributes:
        flip: Probability of mirroring, 0..1.
        pad: Black border in pixels, from which a random crop of the image's own size is cut.
        blur: Probability of a Gaussian blur, 0..1.
        blur_sigma: Range of the blur's standard deviation, pixels.
        erase: Probability of erasing a rectangle, 0..1.
        erase_area: Range of the rectangle's fraction of the image, 0..1.
        erase_aspect: Smallest height-to-width ratio of the rectangle; the largest is its inverse.
        erase_color: Fill color of the rectangle, RGB in 0..1. The default equals the fill of the authors' code (the
            ImageNet mean as the value in normalized images).
        brightness: Largest relative change of brightness, 0..1.
        contrast: Largest relative change of contrast, 0..1.
        tint: Largest relative change of each color channel, 0..1: cameras differ in white balance.
        saturation: Largest relative change of the distance of colors to gray, 0..1.
        hue: Largest turn of the colors about the gray axis to each side, 0..0.5 turns.
        scale: Largest relative change of the size of what is shown, 0 or more, below 1; the border is black.
        rotate: Largest rotation to each side, 0..180 degrees; the border is black.
        noise: Largest standard deviation of Gaussian noise, 0..1; each image has its own, from 0 on.
    """

    flip: float = 0.5
    pad: int = 10
    blur: float = 0.5
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    erase: float = 0.6
    erase_area: tuple[float, float] = (0.02, 0.4)
    erase_aspect: float = 0.3
    erase_color: tuple[float, float, float] = (0.596, 0.558, 0.497)
    brightness: float = 0.0
    contrast: float = 0.0
    tint: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("flip", "blur", "erase", "brightness", "contrast", "tint", "saturation", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name} must be in 0..1, found {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ConfigError(f"augment.hue must be in 0..0.5 turns, found {self.hue}")
        if not 0 <= self.scale < 1:
            raise ConfigError(f"augment.scale must be 0 or more, below 1, found {self.scale}")
        if not 0 <= self.rotate <= 180:
            raise ConfigError(f"augment.rotate must be in 0..180 degrees, found {self.rotate}")
        if self.pad < 0:
            raise ConfigError(f"augment.pad must be 0 or more, found {self.pad}")
        low, high = self.blur_sigma
        if not 0 < low <= high:
            raise ConfigError(f"augment.blur_sigma must ascend from above 0, found {self.blur_sigma}")
        low, high = self.erase_area
        if not 0 < low <= high < 1:
            raise ConfigError(f"augment.erase_area must ascend within 0..1, found {self.erase_area}")
        if not 0 < self.erase_aspect <= 1:
            raise ConfigError(f"augment.erase_aspect must be in 0..1, found {self.erase_aspect}")
        if not all(0 <= value <= 1 for value in self.erase_color):
            raise ConfigError(f"augment.erase_color must be in 0..1, found {self.erase_color}")


class AugmentParams(NamedTuple):
    """The sampled parameters of a batch; every field has one row per image.

    Attributes:
        flip: ``(B,)`` bool.
        shift: ``(B, 2)`` int64, offset of the crop from the image (down, right), pixels.
        sigma: ``(B,)`` standard deviation of the blur, pixels; 0 for none.
        box: ``(B, 4)`` int64 top, left, height, width of the erased rectangle; height 0 for none.
        gain: ``(B, 3)`` factor of each color (brightness and tint together).
        contrast: ``(B,)`` factor of the distance to the image's mean.
        saturation: ``(B,)`` factor of the distance of colors to gray.
        hue: ``(B,)`` turn of the colors, radians.
        zoom: ``(B,)`` factor of the size of what is shown.
        angle: ``(B,)`` rotation, radians.
        noise: ``(B,)`` standard deviation of the noise.
        seed: ``(B,)`` int64, what the noise is computed from.
    """

    flip: Tensor
    shift: Tensor
    sigma: Tensor
    box: Tensor
    gain: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    zoom: Tensor
    angle: Tensor
    noise: Tensor
    seed: Tensor

    def rows(self, start: int, stop: int) -> AugmentParams:
        """Return the parameters of some images of the batch."""
        return AugmentParams(*(field[start:stop] for field in self))


def sample_params(
    settings: AugmentSettings, batch: int, size: tuple[int, int], generator: torch.Generator
) -> AugmentParams:
    """Sample the augmentation of a batch.

    Args:
        settings: How to augment images.
        batch: B, the number of images.
        size: (height, width), pixels.
        generator: The random number generator, on the CPU.

    Returns:
        The parameters, on the CPU.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    flip = uniform(batch) < settings.flip
    shift = torch.randint(-settings.pad, settings.pad + 1, (batch, 2), generator=generator)
    low, high = settings.blur_sigma
    sigma = torch.where(uniform(batch) < settings.blur, low + (high - low) * uniform(batch), 0.0)
    box = _sample_boxes(settings, batch, size, generator)
    box[uniform(batch) >= settings.erase] = 0
    gain = 1 + settings.tint * (2 * uniform(batch, 3) - 1)
    gain = gain * (1 + settings.brightness * (2 * uniform(batch, 1) - 1))
    contrast = 1 + settings.contrast * (2 * uniform(batch) - 1)

    def within(largest: float) -> Tensor:
        # What is off draws nothing, so the numbers of everything else stay what they were before it existed.
        return largest * (2 * uniform(batch) - 1) if largest else torch.zeros(batch)

    saturation, hue = 1 + within(settings.saturation), within(2 * math.pi * settings.hue)
    zoom, angle = 1 + within(settings.scale), within(math.radians(settings.rotate))
    noise, seed = torch.zeros(batch), torch.zeros(batch, dtype=torch.int64)
    if settings.noise:
        noise, seed = settings.noise * uniform(batch), torch.randint(2**31, (batch,), generator=generator)
    return AugmentParams(flip, shift, sigma, box, gain, contrast, saturation, hue, zoom, angle, noise, seed)


def _sample_boxes(settings: AugmentSettings, batch: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Sample rectangles that fit, ``(B, 4)``; height 0 if no try fits.

    References:
        Zhong et al., Random erasing data augmentation, 2020, algorithm 1.
    """
    height, width = size
    low, high = settings.erase_area
    area = (low + (high - low) * torch.rand((batch, _TRIES), generator=generator)) * height * width
    lowest = settings.erase_aspect
    aspect = lowest + (1 / lowest - lowest) * torch.rand((batch, _TRIES), generator=generator)
    tall, wide = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    fits = (tall < height) & (wide < width) & (tall > 0) & (wide > 0)
    first = fits.int().argmax(1, keepdim=True)
    tall, wide = tall.gather(1, first)[:, 0], wide.gather(1, first)[:, 0]
    position = torch.rand((batch, 2), generator=generator)
    top = (position[:, 0] * (height - tall + 1)).long()
    left = (position[:, 1] * (width - wide + 1)).long()
    box = torch.stack([top, left, tall, wide], 1)
    return box * fits.any(1, keepdim=True)


def to_float(pixels: Tensor) -> Tensor:
    """Convert ``(B, H, W, 3)`` uint8 pixels to ``(B, 3, H, W)`` float32 in 0..1, channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def apply_params(pixels: Tensor, params: AugmentParams, *, color: tuple[float, float, float]) -> Tensor:
    """Apply sampled parameters: crop and mirror, scale and rotate, change colors, blur, add noise, erase.

    Args:
        pixels: ``(B, H, W, 3)`` uint8.
        params: The parameters of B images, on any device.
        color: Fill color of erased rectangles, RGB in 0..1.

    Returns:
        ``(B, 3, H, W)`` float32 in 0..1.
    """
    # Read these values before moving to the images' device: reading them from a GPU would wait for it.
    recolored = bool((params.gain != 1).any()) or bool((params.contrast != 1).any())
    colored = bool((params.hue != 0).any()) or bool((params.saturation != 1).any())
    warped = bool((params.angle != 0).any()) or bool((params.zoom != 1).any())
    noisy = bool((params.noise != 0).any())
    blurred, largest_sigma = params.sigma.nonzero()[:, 0], float(params.sigma.max())
    params = AugmentParams(*(field.to(pixels.device) for field in params))
    images = to_float(_crop(pixels, params))
    if warped:
        images = warp(images, params.zoom, params.angle)
    if colored:
        images = recolor(images, params.hue, params.saturation).clamp(0, 1)
    if recolored:
        images = images * params.gain[:, :, None, None]
        mean = images.mean((1, 2, 3), keepdim=True)
        images = ((images - mean) * params.contrast[:, None, None, None] + mean).clamp(0, 1)
    if len(blurred):
        images = _blur(images, params.sigma, blurred.to(pixels.device), largest_sigma)
    if noisy:
        images = add_noise(images, params.noise, params.seed).clamp(0, 1)
    return _erase(images, params.box, color)


def _crop(pixels: Tensor, params: AugmentParams) -> Tensor:
    batch, height, width, _ = pixels.shape
    rows = torch.arange(height, device=pixels.device) + params.shift[:, :1]
    columns = torch.arange(width, device=pixels.device) + params.shift[:, 1:]
    columns = torch.where(params.flip[:, None], columns.flip(1), columns)
    images = torch.arange(batch, device=pixels.device)[:, None, None]
    cropped = pixels[images, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    return cropped * inside[..., None]


def _blur(images: Tensor, sigma: Tensor, blurred: Tensor, largest: float) -> Tensor:
    sigma = sigma[blurred]
    radius = min(math.ceil(3 * largest), min(images.shape[2:]) - 1)
    taps = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-0.5 * (taps / sigma[:, None]) ** 2)
    # Each kernel ends at three times its own sigma, so an image's blur does not depend on the rest of the batch.
    weights = weights * (taps.abs() <= (3 * sigma[:, None]).ceil())
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(3, 0)
    count, (height, width) = len(blurred), images.shape[2:]
    flat = images[blurred].reshape(1, count * 3, height, width)
    flat = F.pad(flat, (radius, radius, radius, radius), mode="reflect")
    flat = F.conv2d(flat, weights[:, None, :, None], groups=count * 3)
    flat = F.conv2d(flat, weights[:, None, None, :], groups=count * 3)
    return images.index_copy(0, blurred, flat.view(count, 3, height, width))


def _erase(images: Tensor, box: Tensor, color: tuple[float, float, float]) -> Tensor:
    top, left, tall, wide = (box[:, i, None] for i in range(4))
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    inside = ((rows >= top) & (rows < top + tall))[:, :, None] & ((columns >= left) & (columns < left + wide))[
        :, None, :
    ]
    fill = torch.tensor(color, device=images.device, dtype=images.dtype).view(1, 3, 1, 1)
    return torch.where(inside[:, None], fill, images)
