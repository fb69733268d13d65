"""Hand-made descriptions, pixel by pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def texture_histograms(pixels):
    """The square roots of the shares of uniform local binary patterns in each of six stripes, (N, 6 * 59).

    Rows and columns at the border have no pattern. The bins of uniform patterns ascend, all others are the last.
    """
    ring = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    uniform = [p for p in range(256) if sum(p >> b & 1 != p >> (b + 1) % 8 & 1 for b in range(8)) <= 2]
    vectors = []
    for image in pixels.astype(float):
        gray = np.round(image @ [0.299, 0.587, 0.114])
        height, width = gray.shape
        patterns = []
        for row in range(1, height - 1):
            for column in range(1, width - 1):
                bits = [gray[row + down, column + right] >= gray[row, column] for down, right in ring]
                patterns.append(sum(bit << place for place, bit in enumerate(bits)))
        patterns = np.array(patterns).reshape(height - 2, width - 2)
        edges = np.linspace(0, height - 2, 7).round().astype(int)
        for top, bottom in pairwise(edges):
            stripe = patterns[top:bottom].ravel().tolist()
            counts = [stripe.count(pattern) for pattern in uniform]
            vectors += np.sqrt(np.array([*counts, len(stripe) - sum(counts)]) / len(stripe) / 6).tolist()
    return np.reshape(vectors, (len(pixels), -1))
