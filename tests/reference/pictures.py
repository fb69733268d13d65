"""Twins of the measures of pictures."""

from __future__ import annotations

import itertools

import numpy as np


def structural_similarity(first, second, mask=None, window=7):
    """SSIM of two (H, W, C) pictures, window by window; with a mask, of windows whose middle pixel counts."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    height, width, channels = first.shape
    for top, left, channel in itertools.product(range(height - window + 1), range(width - window + 1), range(channels)):
        if mask is not None and not mask[top + window // 2, left + window // 2]:
            continue
        place = np.s_[top : top + window, left : left + window, channel]
        x, y = ([float(value) for value in picture[place].ravel()] for picture in (first, second))
        n, mx, my = len(x), sum(x) / len(x), sum(y) / len(y)
        vx = sum((a - mx) ** 2 for a in x) / (n - 1)
        vy = sum((b - my) ** 2 for b in y) / (n - 1)
        cxy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / (n - 1)
        values.append((2 * mx * my + c1) * (2 * cxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return sum(values) / len(values) if values else float("nan")


def covariance(rows):
    """The unbiased covariance of (N, D) rows, entry by entry, and their mean."""
    n, width = len(rows), len(rows[0])
    mean = [sum(float(row[j]) for row in rows) / n for j in range(width)]
    entries = [
        [sum((float(row[i]) - mean[i]) * (float(row[j]) - mean[j]) for row in rows) / (n - 1) for j in range(width)]
        for i in range(width)
    ]
    return np.array(mean), np.array(entries)


def frechet_distance(first, second):
    """The formula with the eigenvalues of S1 S2, whose roots sum to the trace of the root."""
    (m1, s1), (m2, s2) = covariance(first), covariance(second)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(s1 @ s2).real, 0)).sum()
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * roots)


def masked_difference(first, second, mask):
    """Pixel by pixel."""
    values = [
        abs(int(a) - int(b)) / 255
        for place in np.ndindex(*mask.shape)
        if mask[place]
        for a, b in zip(first[place], second[place], strict=True)
    ]
    return sum(values) / len(values) if values else float("nan")


def region_color_error(first, second, regions, count):
    """Region by region, color by color."""
    errors = []
    for number in range(1, count + 1):
        places = [place for place in np.ndindex(*regions.shape) if regions[place] == number]
        means = [[sum(int(p[place][c]) for place in places) for c in range(3)] for p in (first, second)]
        apart = [abs(a - b) / 255 / len(places) for a, b in zip(*means, strict=True)] if places else [float("nan")]
        errors.append(sum(apart) / len(apart))
    return errors
