"""The gait of synthetic people: rotations of the joints as a function of the phase of the step.

The curves approximate clinical gait tables (hip, knee and ankle flexion over one cycle). Each person scales them, so
that people also differ in their movement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from resight.records import Doubles, Floats
from resight.synthetic.body import Body, turn

_X, _Y, _Z = np.eye(3)

PEDAL = 0.11
"""Height of the lower pedal of a bicycle, on which the lower foot of a rider stands, meters."""


@dataclass(frozen=True)
class Gait:
    """A person's way of walking.

    Attributes:
        stride: Share of the average step, 0 (stands) to about 1.2.
        swing: Share of the average arm swing, 0 to about 1.3.
        spread: Angle of the upper arms away from the body, degrees.
        bend: Angle of the elbows, degrees.
        lean: Forward lean of the trunk, degrees.
        phone: Whether one forearm is raised, as with a telephone.
        rides: Whether the person rides a bicycle.
    """

    stride: float = 1.0
    swing: float = 1.0
    spread: float = 10.0
    bend: float = 20.0
    lean: float = 3.0
    phone: bool = False
    rides: bool = False


def walk(body: Body, joints: Floats, gait: Gait, phase: float) -> Doubles:
    """Return the rotations of the joints in one moment of a walk.

    Args:
        body: The body, for the names of its joints.
        joints: ``(J, 3)`` rest positions of this person's joints.
        gait: The way of walking.
        phase: Share of the cycle, 0..1; at 0 the left heel touches the ground.

    Returns:
        ``(J, 3, 3)`` float64 rotations for `joint_transforms`.
    """
    turns = np.tile(np.eye(3), (len(joints), 1, 1))
    position = {name: joints[row].astype(np.float64) for row, name in enumerate(body.joint_names)}
    wave = math.cos(2 * math.pi * phase)

    turns[body.joint("pelvis")] = turn(_Z, math.radians(-5 * wave * gait.stride))
    turns[body.joint("spine_low")] = turn(_X, math.radians(gait.lean / 2))
    counter = turn(_Z, math.radians(9 * wave * gait.stride))
    turns[body.joint("spine_mid")] = turn(_X, math.radians(gait.lean / 2)) @ counter
    turns[body.joint("head")] = turn(_X, -math.radians(gait.lean)) @ turn(_Z, -math.radians(4 * wave * gait.stride))
    for side, sign, delay in (("left", 1.0, 0.0), ("right", -1.0, 0.5)):
        hip, ankle = position[f"hip_{side}"], position[f"ankle_{side}"]
        turns[[body.joint(f"{name}_{side}") for name in ("hip", "knee", "ankle")]] = _leg(
            hip, ankle - hip, sign, gait, phase + delay
        )
        shoulder, elbow, wrist = (position[f"{name}_{side}"] for name in ("shoulder", "elbow", "wrist"))
        turns[[body.joint(f"{name}_{side}") for name in ("shoulder", "elbow")]] = _arm(
            elbow - shoulder, wrist - elbow, sign, gait, phase + delay
        )
    return turns


def _leg(hip: Doubles, leg: Doubles, sign: float, gait: Gait, phase: float) -> Doubles:
    # At rest the feet are far apart; walking feet land a hand's breadth from the middle.
    offset = 0.07 + 0.03 * (1 - gait.stride)
    close = math.asin(max(-0.3, min(0.3, (sign * (hip[0] + leg[0]) - offset) / -leg[2])))
    hip_bend = gait.stride * (6 + 23 * math.cos(2 * math.pi * phase))
    knee_bend = 3 + gait.stride * (13 * _bump(phase, 0.14, 0.07) + 54 * _bump(phase, 0.72, 0.10))
    if gait.rides:
        hip_bend, knee_bend = (middle + by * math.cos(2 * math.pi * phase) for middle, by in ((52, 22), (72, 30)))
    toe_down = gait.stride * (16 * _bump(phase, 0.63, 0.07) - 7 * _bump(phase, 0.42, 0.12))
    level = turn(_Y, -sign * close)  # keeps the soles flat although the legs lean inwards
    return np.stack([
        turn(_X, -math.radians(hip_bend)) @ turn(_Y, sign * close),
        turn(_X, math.radians(knee_bend)),
        turn(_X, math.radians(toe_down)) @ level,
    ])  # fmt: skip


def _arm(upper: Doubles, lower: Doubles, sign: float, gait: Gait, phase: float) -> Doubles:
    down = math.atan2(sign * upper[0], -upper[2]) - math.radians(gait.spread)
    # An arm swings against the leg of its own side.
    swing = -gait.swing * 20 * math.cos(2 * math.pi * phase) + 2
    bend = gait.bend + 8 * gait.swing * (1 - math.cos(2 * math.pi * phase))
    if gait.rides:
        swing, bend = 48.0, 22.0
    elif gait.phone and sign > 0:
        swing, bend = 25.0, 115.0
    axis = np.cross(upper, lower)
    rest_bend = math.atan2(float(np.linalg.norm(axis)), float(upper @ lower))
    return np.stack([
        turn(_X, -math.radians(swing)) @ turn(_Y, sign * down),
        turn(axis, math.radians(bend) - rest_bend),
    ])  # fmt: skip


def _bump(phase: float, center: float, width: float) -> float:
    gap = (phase - center + 0.5) % 1.0 - 0.5
    return math.exp(-0.5 * (gap / width) ** 2)
