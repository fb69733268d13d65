"""Landmarks of a person in a crop: what a landmark model gives, and what they are on a known body."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np

from resight.records import Floats, Ints
from resight.synthetic.body import load_body
from resight.synthetic.cameras import Pixels
from resight.synthetic.turns import PosedBodies, place, to_pixels

NOSE, EAR_LEFT, EAR_RIGHT = 0, 7, 8
(SHOULDER_LEFT, SHOULDER_RIGHT, ELBOW_LEFT, ELBOW_RIGHT, WRIST_LEFT, WRIST_RIGHT) = range(11, 17)
(HIP_LEFT, HIP_RIGHT, KNEE_LEFT, KNEE_RIGHT, ANKLE_LEFT, ANKLE_RIGHT, HEEL_LEFT, HEEL_RIGHT, TOE_LEFT,
 TOE_RIGHT) = range(23, 33)  # fmt: skip

NUM_LANDMARKS = 33
"""The number of landmarks, in BlazePose's order. Eyes, mouth and fingers, between those named here, are not used."""

USED = (NOSE, EAR_LEFT, EAR_RIGHT, *range(SHOULDER_LEFT, WRIST_RIGHT + 1), *range(HIP_LEFT, TOE_RIGHT + 1))
"""The landmarks that bodies are fitted to."""

SPREAD = 0.2
"""Distance between two looks, in meters, by which confidence falls to 37 %."""

JOINTS = {
    index: f"{name}_{side}"
    for first, name in enumerate(("shoulder", "elbow", "wrist"))
    for index, side in ((11 + 2 * first, "left"), (12 + 2 * first, "right"))
} | {
    index: f"{name}_{side}"
    for first, name in enumerate(("hip", "knee", "ankle"))
    for index, side in ((23 + 2 * first, "left"), (24 + 2 * first, "right"))
}
"""The joint of the body that each of these landmarks is."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The landmarks of a person.

    Attributes:
        positions: ``(33, 3)`` float32 meters from the middle of the hips, along the camera's axes: right, away, up.
        points: ``(33, 2)`` float32 positions in the crop: shares of its width and of its height, 0..1 inside.
        visibility: ``(33,)`` float32 probability that each is seen, 0..1.
        presence: Probability that there is a person, 0..1.
        spread: Mean distance between where several looks at the crop find the same landmark, meters.
    """

    positions: Floats
    points: Floats
    visibility: Floats
    presence: float
    spread: float = 0.0

    @property
    def confidence(self) -> float:
        """How far to trust the landmarks, 0..1: less if they are hidden, or if two looks at the crop disagree."""
        return self.presence * float(self.visibility[list(USED)].mean()) * math.exp(-self.spread / SPREAD)


class LandmarkModel(Protocol):
    """Finds the landmarks of the person in a crop.

    Attributes:
        identity: A name that changes with the model, for caches.
    """

    identity: str

    def find(self, pixels: Pixels) -> Landmarks:
        """Return the landmarks of a person.

        Args:
            pixels: ``(H, W, 3)`` uint8 RGB, a crop of any size.
        """


def true_landmarks(bodies: PosedBodies, row: int) -> Landmarks:
    """Return the landmarks of a known body in its picture.

    Args:
        bodies: The bodies.
        row: The row of the body.

    Returns:
        The landmarks of `USED`; the others lie at the nose with visibility 0.
    """
    vertices, joints = place(bodies, row)
    positions = points_on_body(vertices, joints)
    pixels = to_pixels(bodies, row, positions, (1, 1))
    visibility = np.zeros(NUM_LANDMARKS, np.float32)
    visibility[list(USED)] = 1
    middle = (positions[HIP_LEFT] + positions[HIP_RIGHT]) / 2
    along = (positions - middle) @ camera_axes(float(bodies.pitches[row])).T
    return Landmarks(along.astype(np.float32), pixels[:, :2], visibility, 1.0)


def points_on_body(vertices: Floats, joints: Floats) -> Floats:
    """Return where the landmarks are on a body.

    Args:
        vertices: ``(V, 3)`` of the body.
        joints: ``(J, 3)`` of the body.

    Returns:
        ``(33, 3)``; those outside `USED` are the nose.
    """
    body, surface = load_body(), _surface_landmarks()
    positions = np.tile(vertices[surface[NOSE]].mean(0), (NUM_LANDMARKS, 1))
    for index, rows in surface.items():
        positions[index] = vertices[rows].mean(0)
    for index, name in JOINTS.items():
        positions[index] = joints[body.joint(name)]
    return positions.astype(np.float32)


def camera_axes(pitch: float) -> Floats:
    """Return the rotation from right, away, up over the ground to those along the axes of a camera.

    Args:
        pitch: Angle at which the camera looks down, radians.

    Returns:
        ``(3, 3)``, whose rows are the camera's axes.
    """
    sine, cosine = math.sin(pitch), math.cos(pitch)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]], np.float32)


@cache
def _surface_landmarks() -> dict[int, Ints]:
    """Return the vertices whose mean is each landmark of the head and the feet."""
    body = load_body()

    def part(*names: str) -> Ints:
        rows = [body.part_names.index(name) for name in names]
        return np.unique(body.triangles[np.isin(body.triangle_parts, rows)])

    face, head, feet = part("face"), part("face", "hair"), part("foot")
    x, y, z = body.vertices.T
    nose = face[np.argsort(y[face])[:1]]
    level = head[np.abs(z[head] - z[nose[0]] - 0.02) < 0.025]  # ears are a little above the tip of the nose
    found = {NOSE: nose}
    for sign, ear, heel, toe in ((1, EAR_LEFT, HEEL_LEFT, TOE_LEFT), (-1, EAR_RIGHT, HEEL_RIGHT, TOE_RIGHT)):
        found[ear] = level[np.argsort(-sign * x[level])[:2]]
        foot = feet[sign * x[feet] > 0]
        found[heel], found[toe] = foot[np.argsort(-y[foot])[:2]], foot[np.argsort(y[foot])[:2]]
    return found
