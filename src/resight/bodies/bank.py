"""Stand-ins for bodies that cannot be recovered: walking people who fill the crop as a detector's box does."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from resight.bodies.fitting import LIMBS, posed, upright
from resight.bodies.landmarks import Landmarks, points_on_body
from resight.records import Doubles
from resight.synthetic.body import Build, load_body, shape_body
from resight.synthetic.gait import Gait, walk
from resight.synthetic.turns import PosedBodies, place, to_pixels

PHASES = 16
"""The number of walking poses, spread evenly over a cycle."""

PITCH = 0.2
"""Angle at which the camera of a stand-in looks down, radians."""

MARGIN = 1.06
"""Height of a detector's box, relative to the person."""


def stand_in(landmarks: Landmarks, aspect: float) -> PosedBodies:
    """Return a walking body that faces as the landmarks do, in the phase that fits them best.

    Args:
        landmarks: Landmarks that are not trusted.
        aspect: Width of the crop over its height.

    Returns:
        One body of average shape that fills the height of the crop.
    """
    positions, yaw, _ = upright(landmarks)
    wanted = _directions(positions)
    weights = np.array([min(landmarks.visibility[start], landmarks.visibility[end]) for start, end in LIMBS.values()])
    fits = [float((weights[:, None] * wanted * directions).sum()) for _, directions in _bank()]
    body = posed(_bank()[int(np.argmax(fits))][0], build=Build(), yaw=yaw, pitch=PITCH)
    points = to_pixels(body, 0, place(body, 0)[0], (2, 2))[:, :2].astype(np.float64) - 1  # back on the image plane
    low, high = points.min(0), points.max(0)
    half = np.array([aspect, 1]) * MARGIN * (high[1] - low[1]) / 2
    middle = (low + high) / 2
    return replace(body, boxes=np.concatenate([middle - half, middle + half])[None].astype(np.float32))


@cache
def _bank() -> list[tuple[Doubles, Doubles]]:
    """Return the rotations of each walking pose, and the directions of its limbs."""
    body = load_body()
    _, joints = shape_body(body, Build())
    poses = []
    for phase in range(PHASES):
        rotations = walk(body, joints, Gait(), phase / PHASES)
        one = posed(rotations, build=Build(), yaw=0.0, pitch=0.0)
        poses.append((rotations, _directions(points_on_body(*place(one, 0)).astype(np.float64))))
    return poses


def _directions(positions: Doubles) -> Doubles:
    """Return the unit direction of each limb, ``(10, 3)``."""
    limbs = np.stack([positions[end] - positions[start] for start, end in LIMBS.values()])
    lengths: Doubles = np.linalg.norm(limbs, axis=1, keepdims=True)
    return np.where(lengths > 1e-9, limbs / np.maximum(lengths, 1e-9), 0.0)
