"""The bicycle under a figure that rides."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from resight.records import Doubles, Floats
from resight.synthetic.body import turn
from resight.synthetic.cameras import Camera

_SAMPLES = 4
_WHEEL = 0.33  # meters
_Line = Sequence[tuple[float, float, float]]

_FRAME: tuple[_Line, ...] = (
    [(0, 0.05, 0.92), (0, -0.2, 0.28), (0, 0.4, _WHEEL), (0, 0.02, 0.78), (0, -0.5, 0.86), (0, -0.2, 0.28)],
    [(0, -0.5, 0.98), (0, -0.65, _WHEEL)],
)
_BARS: tuple[_Line, ...] = ([(-0.26, -0.48, 1.0), (0.26, -0.48, 1.0)], [(-0.08, 0.05, 0.93), (0.08, 0.05, 0.93)])


def draw_bicycle(
    camera: Camera, yaw: float, color: tuple[float, float, float], box: Doubles, size: tuple[int, int]
) -> Floats:
    """Draw a bicycle below a rider who stands in the middle of the view.

    Args:
        camera: The camera.
        yaw: Direction of the rider, as in `Stance.yaw`.
        color: Linear RGB of the frame.
        box: The crop on the image plane: left, top, right, bottom.
        size: Height and width of the crop, pixels.

    Returns:
        ``(H, W, 4)`` float32 linear RGB times coverage, and coverage.
    """
    height, width = size
    pixels = height * _SAMPLES / (box[3] - box[1]) / camera.distance  # of a meter
    heading = turn((0, 0, 1), yaw).T
    sine, cosine = math.sin(camera.pitch), math.cos(camera.pitch)

    def placed(line: _Line) -> list[tuple[float, float]]:
        right, away, up = (np.array(line) @ heading + np.array([0, 0, -0.9])).T
        depth = away * cosine - up * sine + camera.distance
        columns = (right / depth - box[0]) / (box[2] - box[0]) * width * _SAMPLES
        rows = (-(away * sine + up * cosine) / depth - box[1]) / (box[3] - box[1]) * height * _SAMPLES
        return list(zip(columns.tolist(), rows.tolist(), strict=True))

    turns = np.linspace(0, 2 * math.pi, 33)
    wheels = [
        [(0.0, hub + _WHEEL * math.cos(angle), _WHEEL + _WHEEL * math.sin(angle)) for angle in turns]
        for hub in (0.4, -0.65)
    ]
    layer = np.zeros((height * _SAMPLES, width * _SAMPLES, 4))
    light = camera.sky + 0.5 * camera.sun
    dark = (0.02, 0.02, 0.02)
    for lines, meters, paint in ((wheels, 0.035, dark), (_FRAME, 0.035, color), (_BARS, 0.04, dark)):
        mask = Image.new("1", (width * _SAMPLES, height * _SAMPLES))
        pen = ImageDraw.Draw(mask)
        for line in lines:
            pen.line(placed(line), fill=1, width=max(1, round(meters * pixels)), joint="curve")
        layer[np.asarray(mask)] = (*(light * np.array(paint)), 1)
    pooled: Floats = layer.reshape(height, _SAMPLES, width, _SAMPLES, 4).mean((1, 3)).astype(np.float32)
    return pooled
