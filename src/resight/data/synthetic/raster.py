"""A small software renderer: project, fill a z-buffer, shade.

The z-buffer keeps for each sample which triangle is nearest and where in it the sample lies; colours are worked
out once, for the samples that are seen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from resight.data.synthetic.paint import surface_colour
from resight.records import Floats, Ints

EMPTY = -1
"""The triangle of a sample that nothing covers."""


@njit(cache=True)
def rasterise(points: Floats, triangles: Ints, height: int, width: int) -> tuple[Ints, Floats]:
    """Find the nearest triangle of each sample.

    Args:
        points: ``(V, 3)`` float32: column, row (in samples; sample centres lie at halves) and 1 / depth.
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


@njit(cache=True)
def shade(
    samples: tuple[Ints, Floats],
    mesh: tuple[Ints, Ints, Floats, Floats],
    paint: tuple[Floats, npt.NDArray[np.float64]],
    light: Floats,
    factor: int,
) -> Floats:
    """Colour what `rasterise` found and average it down to pixels.

    Args:
        samples: Triangle rows ``(H, W)`` and corner shares ``(H, W, 3)``.
        mesh: Triangles ``(T, 3)``, surfaces ``(T,)``, coordinates ``(V, 4)`` and unit normals ``(V, 3)``.
        paint: Linear colours ``(10, 3)`` and numbers ``(16,)``.
        light: ``(5,)`` float32: unit direction towards the light, its strength, strength of the light from all sides.
        factor: Samples along a pixel's side; must divide ``H`` and ``W``.

    Returns:
        ``(H / factor, W / factor, 4)`` float32: linear RGB times coverage, and coverage 0..1.
    """
    owner, shares = samples
    triangles, surfaces, coordinates, normals = mesh
    colours, numbers = paint
    height, width = owner.shape
    pixels = np.zeros((height // factor, width // factor, 4), np.float32)
    weight = np.float32(1 / (factor * factor))
    for row in range(height):
        for column in range(width):
            t = owner[row, column]
            if t < 0:
                continue
            x = y = z = along = nx = ny = nz = 0.0
            for corner in range(3):
                v, s = triangles[t, corner], shares[row, column, corner]
                x += s * coordinates[v, 0]
                y += s * coordinates[v, 1]
                z += s * coordinates[v, 2]
                along += s * coordinates[v, 3]
                nx += s * normals[v, 0]
                ny += s * normals[v, 1]
                nz += s * normals[v, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            lit = (nx * light[0] + ny * light[1] + nz * light[2]) / length
            sky = 0.75 + 0.25 * nz / length  # light from all sides comes rather from above
            strength = light[3] * max(0.0, lit) + light[4] * sky
            slot, tint = surface_colour(surfaces[t], x, y, z, along, numbers)
            pixel = pixels[row // factor, column // factor]
            for channel in range(3):
                pixel[channel] += weight * min(1.0, colours[slot, channel] * tint) * strength
            pixel[3] += weight
    return pixels
