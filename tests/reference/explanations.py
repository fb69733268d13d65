"""Twins of the explanations."""

from __future__ import annotations

import math

import numpy as np


def grad_cam(score, maps, step=1e-4):
    """Selvaraju et al. 2017, eq. 1 and 2, for a score of one (C, h, w) map, by finite differences; scaled to 0..1."""
    channels, height, width = maps.shape
    heat = np.zeros((height, width))
    for c in range(channels):
        slopes = 0.0
        for i in range(height):
            for j in range(width):
                up, down = maps.copy(), maps.copy()
                up[c, i, j] += step
                down[c, i, j] -= step
                slopes += (score(up) - score(down)) / (2 * step)
        heat += slopes / (height * width) * maps[c]
    heat = np.maximum(heat, 0)
    return heat / heat.max() if heat.max() > 0 else heat


def part_shares(a, b, parts):
    """What each of equally long parts adds to the cosine similarity of two vectors, and its own cosine similarity."""
    lengths = math.sqrt(sum(float(x) ** 2 for x in a)) * math.sqrt(sum(float(x) ** 2 for x in b))
    shares, cosines = [], []
    for s, t in zip(np.split(np.asarray(a, float), parts), np.split(np.asarray(b, float), parts), strict=True):
        product = sum(float(x) * float(y) for x, y in zip(s, t, strict=True))
        own_lengths = math.sqrt(sum(x**2 for x in s)) * math.sqrt(sum(y**2 for y in t))
        shares.append(product / lengths)
        cosines.append(product / own_lengths if own_lengths else 0.0)
    return shares, cosines
