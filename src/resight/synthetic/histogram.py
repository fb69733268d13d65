"""The baseline that synthetic people must not give in to: a color histogram."""

from __future__ import annotations

import math

import numpy as np

from resight.errors import DataError
from resight.records import Floats, Ints
from resight.synthetic.cameras import Pixels

STRIPES = 6
"""How many horizontal stripes an image is cut into."""

BINS = (8, 8, 4)
"""How finely hue, saturation and value are cut."""


def stripe_histogram(pixels: Pixels) -> Floats:
    """Describe images by the colors of horizontal stripes.

    Args:
        pixels: ``(N, H, W, 3)`` uint8 sRGB.

    Returns:
        ``(N, D)`` float32, L2-normalized, ``D = 6 * 8 * 8 * 4``: square roots of each stripe's shares, so
        that the dot product compares histograms by Bhattacharyya's coefficient.

    Raises:
        DataError: The images have fewer rows than stripes.
    """
    count, height = pixels.shape[:2]
    if height < STRIPES:
        raise DataError(f"{STRIPES} stripes need images of {STRIPES} rows or more, found {height}")
    cells = math.prod(BINS)
    vectors = np.zeros((count, STRIPES * cells), np.float32)
    edges = np.linspace(0, height, STRIPES + 1).round().astype(int)
    for row, image in enumerate(pixels):
        cell = _hsv_cells(image)
        for stripe in range(STRIPES):
            part = cell[edges[stripe] : edges[stripe + 1]]
            counts = np.bincount(part.ravel(), minlength=cells)
            vectors[row, stripe * cells : (stripe + 1) * cells] = np.sqrt(counts / (part.size * STRIPES))
    return vectors


def _hsv_cells(image: Pixels) -> Ints:
    """Return each pixel of an ``(H, W, 3)`` image its cell of the HSV histogram, ``(H, W)``."""
    red, green, blue = np.moveaxis(image.astype(np.float32) / 255, -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    spread = value - np.minimum(np.minimum(red, green), blue)
    safe = np.where(spread > 0, spread, 1)
    hue = np.select(
        [value == red, value == green],
        [((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    ) / 6  # fmt: skip
    saturation = np.where(value > 0, spread / np.where(value > 0, value, 1), 0)
    cell = np.zeros(image.shape[:2], np.int64)
    for channel, count in zip((hue, saturation, value), BINS, strict=True):
        cell = cell * count + np.minimum((channel * count).astype(np.int64), count - 1)
    return cell
