"""The z-buffer of a small software renderer.

It holds for each sample the nearest triangle and the sample's position in it, so that colors are computed once for each
visible sample.
"""

from __future__ import annotations

import numpy as np

from resight.numerics.compiled import njit
from resight.records import Floats, Ints

EMPTY = -1
"""The triangle of a sample that nothing covers."""


@njit(cache=True)
def rasterise(points: Floats, triangles: Ints, height: int, width: int) -> tuple[Ints, Floats]:
    """Find the nearest triangle of each sample.

    Args:
        points: ``(V, 3)`` float32: column, row (in samples; sample centers lie at halves) and 1 / depth.
        triangles: ``(T, 3)`` vertex rows; both sides are drawn.
        height: Rows of samples.
        width: Columns of samples.

    Returns:
        ``(height, width)`` int64 triangle rows, `EMPTY` where there is none, and ``(height, width, 3)`` float32
        shares of the three corners, corrected for perspective.
    """
    owner = np.full((height, width), EMPTY, np.int64)
    nearest = np.zeros((height, width), np.float32)
    shares = np.zeros((height, width, 3), np.float32)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0], points[b, 1], points[b, 2]
        cx, cy, cz = points[c, 0], points[c, 1], points[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        scale = 1 / area
        top = max(0, int(np.ceil(min(ay, by, cy) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(ay, by, cy) - 0.5)))
        left = max(0, int(np.ceil(min(ax, bx, cx) - 0.5)))
        right = min(width - 1, int(np.floor(max(ax, bx, cx) - 0.5)))
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                wc = 1 - wa - wb
                if wa < 0 or wb < 0 or wc < 0:
                    continue
                closeness = wa * az + wb * bz + wc * cz
                if closeness <= nearest[row, column]:
                    continue
                nearest[row, column] = closeness
                owner[row, column] = t
                shares[row, column, 0] = wa * az / closeness
                shares[row, column, 1] = wb * bz / closeness
                shares[row, column, 2] = wc * cz / closeness
    return owner, shares
