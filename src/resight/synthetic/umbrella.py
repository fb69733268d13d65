"""An open umbrella over a figure's head."""

from __future__ import annotations

import math

import numpy as np

from resight.records import Doubles, Floats
from resight.synthetic.cameras import Camera
from resight.synthetic.raster import EMPTY, rasterise

_PANELS, _RINGS, _RADIUS, _HEIGHT = 8, 4, 0.5, 0.24


def draw_umbrella(
    camera: Camera, points: Floats, color: tuple[float, float, float], box: Doubles, size: tuple[int, int], samples: int
) -> Floats:
    """Draw an umbrella.

    Args:
        camera: The camera.
        points: ``(V, 3)`` the figure on the image plane: right, down and 1 / depth.
        color: Linear RGB.
        box: The crop on the image plane: left, top, right, bottom.
        size: Height and width of the crop, pixels.
        samples: The number of samples along a pixel's side.

    Returns:
        ``(H, W, 4)`` float32 linear RGB times coverage, and coverage.
    """
    vertices, triangles, panels = _canopy()
    head = points[points[:, 1].argmin()].astype(np.float64)
    depth = 1 / head[2]
    sine, cosine = math.sin(camera.pitch), math.cos(camera.pitch)
    away = depth + vertices[:, 1] * cosine - vertices[:, 2] * sine
    up = -head[1] * depth + vertices[:, 1] * sine + vertices[:, 2] * cosine
    right = head[0] * depth + vertices[:, 0]
    height, width = size
    corners = np.stack(
        [
            (right / away - box[0]) / (box[2] - box[0]) * width * samples,
            (-up / away - box[1]) / (box[3] - box[1]) * height * samples,
            1 / away,
        ],
        axis=1,
    )
    covered, _ = rasterise(corners.astype(np.float32), triangles, height * samples, width * samples)
    normals = np.cross(*(vertices[triangles[:, k]] - vertices[triangles[:, 0]] for k in (1, 2)))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    normals *= np.sign(normals[:, 2:])  # the outside, which the camera sees
    light = camera.sky + camera.sun * np.clip(normals @ np.array(camera.light), 0, 1)
    shades = light * np.where(panels % 2, 0.86, 1.0)
    layer = np.zeros((height * samples, width * samples, 4))
    inside = covered != EMPTY
    layer[inside, :3] = shades[covered[inside], None] * np.array(color)
    layer[inside, 3] = 1
    pooled: Floats = layer.reshape(height, samples, width, samples, 4).mean((1, 3)).astype(np.float32)
    return pooled


def _canopy() -> tuple[Doubles, np.ndarray, np.ndarray]:
    """Return vertices around the top of the head, triangles, and the panel of each triangle."""
    shares = [ring / _RINGS for ring in range(_RINGS + 1)]
    rings = [(math.sin(1.3 * share) / math.sin(1.3), 1 - share**2) for share in shares]
    vertices, triangles, panels = list[tuple[float, float, float]](), list[tuple[int, int, int]](), list[int]()
    for radius, height in rings:
        for panel in range(_PANELS):
            angle = 2 * math.pi * panel / _PANELS
            vertices.append(
                (_RADIUS * radius * math.cos(angle), _RADIUS * radius * math.sin(angle), _HEIGHT * height + 0.07)
            )
    for ring in range(_RINGS):
        for panel in range(_PANELS):
            after = (panel + 1) % _PANELS
            inner, outer = ring * _PANELS, (ring + 1) * _PANELS
            triangles += [(inner + panel, outer + panel, outer + after), (inner + panel, outer + after, inner + after)]
            panels += [panel, panel]
    return np.array(vertices), np.array(triangles, np.int64), np.array(panels)
