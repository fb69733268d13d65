"""Fit a posed body to landmarks, in closed form.

Each limb takes the direction between its landmarks, by the smallest rotation from where its parent leaves it. The trunk
also takes the line through both hips and that through both shoulders, and the head that through both ears. The picture
is placed by least squares between the landmarks and those of the body. Lengths of limbs do not enter: a landmark model
guesses them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from resight.bodies.landmarks import (
    ANKLE_LEFT,
    ANKLE_RIGHT,
    EAR_LEFT,
    EAR_RIGHT,
    ELBOW_LEFT,
    ELBOW_RIGHT,
    HEEL_LEFT,
    HEEL_RIGHT,
    HIP_LEFT,
    HIP_RIGHT,
    KNEE_LEFT,
    KNEE_RIGHT,
    NOSE,
    SHOULDER_LEFT,
    SHOULDER_RIGHT,
    TOE_LEFT,
    TOE_RIGHT,
    USED,
    WRIST_LEFT,
    WRIST_RIGHT,
    Landmarks,
    camera_axes,
    points_on_body,
)
from resight.records import Doubles, Floats
from resight.synthetic.body import Body, Build, load_body, shape_body, turn
from resight.synthetic.cameras import project
from resight.synthetic.turns import BUILD, SOLE, PosedBodies, place

DISTANCE = 8.0
"""Distance of the camera from a fitted body, meters: that of people in the middle of a surveillance camera's view."""

STEEPEST = 0.6
"""The most that the camera of a fitted body looks down, radians."""

LIMBS = {
    "shoulder_left": (SHOULDER_LEFT, ELBOW_LEFT), "elbow_left": (ELBOW_LEFT, WRIST_LEFT),
    "shoulder_right": (SHOULDER_RIGHT, ELBOW_RIGHT), "elbow_right": (ELBOW_RIGHT, WRIST_RIGHT),
    "hip_left": (HIP_LEFT, KNEE_LEFT), "knee_left": (KNEE_LEFT, ANKLE_LEFT), "ankle_left": (HEEL_LEFT, TOE_LEFT),
    "hip_right": (HIP_RIGHT, KNEE_RIGHT), "knee_right": (KNEE_RIGHT, ANKLE_RIGHT),
    "ankle_right": (HEEL_RIGHT, TOE_RIGHT),
}  # fmt: skip
"""The joints that turn a limb, and the landmarks that its direction leads from and to."""

_MOST_HEAD = math.radians(70)
"""The most that a head turns against the chest."""


def fit_body(landmarks: Landmarks, aspect: float, *, build: Build | None = None) -> PosedBodies:
    """Return the body that has the directions of the landmarks' limbs, framed as the crop.

    Args:
        landmarks: The landmarks.
        aspect: Width of the crop over its height.
        build: The shape of the body; None is the average.

    Returns:
        One body.
    """
    body, build = load_body(), build or Build()
    positions, yaw, pitch = upright(landmarks)
    return frame(posed(_rotations(body, build, positions), build=build, yaw=yaw, pitch=pitch), landmarks, aspect)


def upright(landmarks: Landmarks) -> tuple[Doubles, float, float]:
    """Turn landmarks as if the person stood upright and faced a level camera.

    Args:
        landmarks: The landmarks.

    Returns:
        Their positions ``(33, 3)``, the yaw that the person has, and the pitch of the camera, radians.
    """
    tilt = estimate_tilt(landmarks)
    positions = landmarks.positions.astype(np.float64) @ camera_axes(tilt)
    yaw = estimate_yaw(positions)
    return positions @ turn((0, 0, 1), yaw), yaw, max(0.0, min(tilt, STEEPEST))


def posed(rotations: Doubles, *, build: Build, yaw: float, pitch: float) -> PosedBodies:
    """Return one body that stands on the ground, in a picture of a size still to be chosen.

    Args:
        rotations: ``(J, 3, 3)`` the rotations of its joints.
        build: Its shape.
        yaw: Which way it faces, radians.
        pitch: Angle at which the camera looks down, radians.
    """
    hanging = PosedBodies(
        builds=np.array([[getattr(build, name) for name in BUILD]], np.float32),
        rotations=rotations[None].astype(np.float32),
        heights=np.zeros(1, np.float32),
        yaws=np.array([yaw % (2 * math.pi)], np.float32),
        pitches=np.array([pitch], np.float32),
        distances=np.array([DISTANCE], np.float32),
        boxes=np.array([[-1, -1, 1, 1]], np.float32),
    )
    vertices, joints = place(hanging, 0)
    height = joints[load_body().joint("pelvis"), 2] - vertices[:, 2].min() + SOLE
    return replace(hanging, heights=np.array([height], np.float32))


def estimate_yaw(positions: Doubles) -> float:
    """Return which way a person faces, from the lines through both shoulders and both hips.

    Args:
        positions: ``(33, 3)`` over the ground: right, away, up.

    Returns:
        Radians, as `Stance.yaw`.
    """
    left = positions[SHOULDER_LEFT] - positions[SHOULDER_RIGHT] + positions[HIP_LEFT] - positions[HIP_RIGHT]
    return math.atan2(left[1], left[0])


def estimate_tilt(landmarks: Landmarks) -> float:
    """Return by how much a person's shoulders are farther from the camera than the ankles would have them, radians.

    People who walk are upright, so this is the pitch of the camera, and not how they lean.
    """
    positions = landmarks.positions.astype(np.float64)
    up = positions[[SHOULDER_LEFT, SHOULDER_RIGHT]].mean(0) - positions[[ANKLE_LEFT, ANKLE_RIGHT]].mean(0)
    return math.atan2(-up[1], up[2])


def frame(bodies: PosedBodies, landmarks: Landmarks, aspect: float) -> PosedBodies:
    """Return one body with the picture that puts its landmarks onto those of a crop, in least squares.

    Args:
        bodies: The body.
        landmarks: The landmarks, whose visibility weighs them.
        aspect: Width of the crop over its height.

    Returns:
        The body with another box.
    """
    used = list(USED)
    vertices, joints = place(bodies, 0)
    positions = points_on_body(vertices, joints)[used]
    own = project(positions, float(bodies.pitches[0]), float(bodies.distances[0]))[:, :2].astype(np.float64)
    seen = landmarks.points[used].astype(np.float64) * (aspect, 1)
    weights = np.maximum(landmarks.visibility[used].astype(np.float64), 0.02)[:, None]
    own_middle, seen_middle = ((weights * points).sum(0) / weights.sum() for points in (own, seen))
    own, seen = own - own_middle, seen - seen_middle
    scale = max(float((weights * own * seen).sum() / (weights * own * own).sum()), 1e-3)
    corner = own_middle - seen_middle / scale
    box = np.concatenate([corner, corner + np.array([aspect, 1]) / scale])
    return replace(bodies, boxes=box[None].astype(np.float32))


def _rotations(body: Body, build: Build, positions: Doubles) -> Doubles:
    """Return ``(J, 3, 3)`` rotations of the joints for landmarks of a person who faces the camera."""
    rest_vertices, rest_joints = shape_body(body, build)
    rest = points_on_body(rest_vertices, rest_joints).astype(np.float64)
    local = np.tile(np.eye(3), (len(rest_joints), 1, 1))
    whole = local.copy()  # each joint's rotation over the ground
    trunks = [_trunk(points) for points in (rest, positions)]

    def set_whole(name: str, rotation: Doubles) -> None:
        row = body.joint(name)
        parent = body.parents[row]
        whole[row], local[row] = rotation, rotation if parent < 0 else whole[parent].T @ rotation

    for row, name in enumerate(body.joint_names):
        parent = whole[body.parents[row]] if body.parents[row] >= 0 else np.eye(3)
        if name == "pelvis":
            set_whole(name, _across(positions, HIP_LEFT, HIP_RIGHT, np.array([0.0, 0, 1])))
        elif name == "spine_low":
            chest = _across(positions, SHOULDER_LEFT, SHOULDER_RIGHT, _lean(trunks, parent))
            half = _half(parent.T @ chest)
            set_whole(name, parent @ half)
        elif name == "spine_mid":
            set_whole(name, parent @ half)
        elif name == "head":
            set_whole(name, parent @ _limited(parent.T @ _head(positions) @ _head(rest).T, _MOST_HEAD))
        elif name in LIMBS:
            start, end = LIMBS[name]
            direction = parent.T @ _unit(positions[end] - positions[start])
            set_whole(name, parent @ _smallest(_unit(rest[end] - rest[start]), direction))
        else:
            set_whole(name, parent)
    return local


def _trunk(positions: Doubles) -> Doubles:
    """Return the direction from the middle of the hips to that of the shoulders."""
    return _unit(positions[[SHOULDER_LEFT, SHOULDER_RIGHT]].mean(0) - positions[[HIP_LEFT, HIP_RIGHT]].mean(0))


def _lean(trunks: list[Doubles], pelvis: Doubles) -> Doubles:
    """Return the vertical of a chest, which the trunk's own inclination at rest is taken from."""
    leaned: Doubles = _smallest(pelvis @ trunks[0], trunks[1]) @ pelvis[:, 2]
    return leaned


def _across(positions: Doubles, left: int, right: int, up: Doubles) -> Doubles:
    """Return the rotation of a body part whose left-right line and rough vertical are known."""
    across = _unit(positions[left] - positions[right])
    up = up - (up @ across) * across
    if np.linalg.norm(up) < 1e-3:
        return np.eye(3)
    up = _unit(up)
    return np.stack([across, np.cross(up, across), up], axis=1)


def _head(positions: Doubles) -> Doubles:
    """Return the axes of a head: across the ears, to the back, and up; the level ones if nose and ears are in line."""
    across = _unit(positions[EAR_LEFT] - positions[EAR_RIGHT])
    back = positions[[EAR_LEFT, EAR_RIGHT]].mean(0) - positions[NOSE]
    back = back - (back @ across) * across
    if np.linalg.norm(back) < 1e-6:
        return np.eye(3)
    back = _unit(back)
    return np.stack([across, back, np.cross(across, back)], axis=1)


def _smallest(start: Doubles, end: Doubles) -> Doubles:
    """Return the smallest rotation between two unit vectors."""
    axis = np.cross(start, end)
    sine, cosine = float(np.linalg.norm(axis)), float(start @ end)
    if sine < 1e-9:
        if cosine > 0:
            return np.eye(3)
        axis = np.cross(start, np.eye(3)[int(np.abs(start).argmin())])
    return turn(axis, math.atan2(sine, cosine))


def _half(rotation: Doubles) -> Doubles:
    return _limited(rotation, angle(rotation) / 2)


def _limited(rotation: Doubles, most: float) -> Doubles:
    """Return a rotation about the same axis by at most an angle."""
    whole = angle(rotation)
    if whole <= most or whole < 1e-9:
        return rotation
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    if np.linalg.norm(axis) < 1e-9:  # half a circle: the axis is not determined
        return np.eye(3)
    return turn(axis, most)


def angle(rotation: Doubles | Floats) -> float:
    """Return the angle of a rotation, radians."""
    return math.acos(max(-1.0, min(1.0, (float(np.trace(rotation)) - 1) / 2)))


def _unit(vector: Doubles) -> Doubles:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 1e-9 else np.array([0.0, 0.0, 1.0])
