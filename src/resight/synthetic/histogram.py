"""A color histogram: the baseline that must not solve the search for synthetic people."""

from __future__ import annotations

import math

import numpy as np

from resight.errors import DataError
from resight.records import Floats, Ints
from resight.synthetic.cameras import Pixels

STRIPES = 6
"""The number of horizontal stripes of an image."""

BINS = (8, 8, 4)
"""The numbers of bins of hue, saturation and value."""


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
    num_bins = math.prod(BINS)
    vectors = np.zeros((count, STRIPES * num_bins), np.float32)
    edges = np.linspace(0, height, STRIPES + 1).round().astype(int)
    for row, image in enumerate(pixels):
        bins = _hsv_bins(image)
        for stripe in range(STRIPES):
            stripe_bins = bins[edges[stripe] : edges[stripe + 1]]
            counts = np.bincount(stripe_bins.ravel(), minlength=num_bins)
            vectors[row, stripe * num_bins : (stripe + 1) * num_bins] = np.sqrt(counts / (stripe_bins.size * STRIPES))
    return vectors


def _hsv_bins(image: Pixels) -> Ints:
    """Return for each pixel of an ``(H, W, 3)`` image its bin of the HSV histogram, ``(H, W)``."""
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
    bins = np.zeros(image.shape[:2], np.int64)
    for channel, count in zip((hue, saturation, value), BINS, strict=True):
        bins = bins * count + np.minimum((channel * count).astype(np.int64), count - 1)
    return bins
