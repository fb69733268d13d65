"""The body of synthetic people: load it, shape it, pose it.

Lengths are meters; z points up, the body faces -y and its left is +x. ``scripts/bake_body.py`` made the arrays from
MakeHuman's CC0 body.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from resight.numerics.compiled import njit
from resight.records import Doubles, Floats, Ints


@dataclass(frozen=True, eq=False)
class Body:
    """The average body, its variation, and its skeleton.

    Attributes:
        vertices: ``(V, 3)`` rest positions, soles at z = 0.
        triangles: ``(T, 3)`` vertex rows, counter-clockwise from outside.
        joints: ``(J, 3)`` rest positions; parents come before children.
        parents: ``(J,)`` joint rows, ``-1`` for the root.
        joint_names: Names in the order of ``joints``.
        bones: ``(V, 4)`` the joints that move each vertex.
        weights: ``(V, 4)`` their shares, each row sums to 1.
        terms: Names of the shape terms: a `Build` field or a product ``"a*b"`` of two.
        vertex_directions: ``(S, V, 3)`` shift of the vertices for a term of 1.
        joint_directions: ``(S, J, 3)`` shift of the joints for a term of 1.
        triangle_parts: ``(T,)`` rows of ``part_names``.
        part_names: The body parts.
    """

    vertices: Floats
    triangles: Ints
    joints: Floats
    parents: Ints
    joint_names: tuple[str, ...]
    bones: Ints
    weights: Floats
    terms: tuple[str, ...]
    vertex_directions: Floats
    joint_directions: Floats
    triangle_parts: Ints
    part_names: tuple[str, ...]

    def joint(self, name: str) -> int:
        """Return the index of a joint."""
        return self.joint_names.index(name)


@dataclass(frozen=True)
class Build:
    """How a body differs from the average; every number lies in -1..1.

    Attributes:
        gender: Female (-1) to male (1).
        age: About 18 years (-1) to old (1).
        muscle: Slack to athletic.
        weight: Thin to heavy.
        height: About 1.45 m (-1) to 2.2 m (1) in the middle of the other ranges.
        proportions: Uncommon to ideal proportions, in MakeHuman's sense.
        childhood: Adult (0) to about five years (1): a smaller body, and a head that is large for it.
    """

    gender: float = 0.0
    age: float = 0.0
    muscle: float = 0.0
    weight: float = 0.0
    height: float = 0.0
    proportions: float = 0.0
    childhood: float = 0.0


@cache
def load_body() -> Body:
    """Load the body of the installation.

    Returns:
        The body, with read-only arrays.
    """
    source = resources.files("resight.synthetic") / "body.npz"
    with resources.as_file(source) as path, np.load(path) as arrays:
        content = {name: arrays[name] for name in arrays.files}

    def numbers(name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
        array = np.ascontiguousarray(content[name], kind)
        array.setflags(write=False)
        return array

    content["weights"] = content["weights"] / np.float32(255)
    return Body(
        vertices=numbers("vertices", np.float32),
        triangles=numbers("triangles", np.int64),
        joints=numbers("joints", np.float32),
        parents=numbers("parents", np.int64),
        joint_names=tuple(content["joint_names"].tolist()),
        bones=numbers("bones", np.int64),
        weights=numbers("weights", np.float32),
        terms=tuple(content["terms"].tolist()),
        vertex_directions=numbers("vertex_directions", np.float32),
        joint_directions=numbers("joint_directions", np.float32),
        triangle_parts=numbers("triangle_parts", np.int64),
        part_names=tuple(content["part_names"].tolist()),
    )


def shape_body(body: Body, build: Build) -> tuple[Floats, Floats]:
    """Return the vertices and joints of a body with a build.

    Args:
        body: The average body.
        build: The differences from it.

    Returns:
        Vertices ``(V, 3)`` and joints ``(J, 3)`` at rest, float32 meters.
    """
    terms = np.ones(len(body.terms), np.float32)
    for row, term in enumerate(body.terms):
        for factor in term.split("*"):
            terms[row] *= getattr(build, factor)
    vertices = body.vertices + np.tensordot(terms, body.vertex_directions, 1)
    joints = body.joints + np.tensordot(terms, body.joint_directions, 1)
    if build.childhood:
        size, head = 1 - 0.38 * build.childhood, body.joint("head")
        of_head = ((body.bones == head) * body.weights).sum(1, keepdims=True)
        vertices += 0.35 * build.childhood * of_head * (vertices - joints[head])
        vertices, joints = size * vertices, size * joints
    return vertices.astype(np.float32), joints.astype(np.float32)


def joint_transforms(joints: Floats, parents: Ints, rotations: Doubles) -> Doubles:
    """Compute the transforms of the joints in a pose.

    Args:
        joints: ``(J, 3)`` rest positions.
        parents: ``(J,)`` rows, ``-1`` for the root, parents before children.
        rotations: ``(J, 3, 3)`` the rotation of each joint relative to its parent, about the axes of the rest pose.

    Returns:
        ``(J, 3, 4)`` float64; row ``j`` maps a rest position (with a 1 appended) to its position after joint ``j``
        has moved it.
    """
    transforms = np.empty((len(joints), 3, 4))
    rest = joints.astype(np.float64)
    for row, parent in enumerate(parents.tolist()):
        if parent < 0:
            rotation, position = rotations[row], rest[row]
        else:
            rotation = transforms[parent, :, :3] @ rotations[row]
            position = transforms[parent, :, :3] @ rest[row] + transforms[parent, :, 3]
        transforms[row, :, :3] = rotation
        transforms[row, :, 3] = position - rotation @ rest[row]
    return transforms


@njit(cache=True)
def skin(vertices: Floats, bones: Ints, weights: Floats, transforms: Doubles) -> Floats:
    """Move vertices with their joints (linear blend skinning).

    Args:
        vertices: ``(V, 3)`` rest positions.
        bones: ``(V, 4)`` transform rows.
        weights: ``(V, 4)`` shares, each row sums to 1.
        transforms: ``(J, 3, 4)`` from `joint_transforms`.

    Returns:
        ``(V, 3)`` float32 positions.
    """
    moved = np.zeros((len(vertices), 3), np.float32)
    for v in range(len(vertices)):
        for k in range(4):
            weight = weights[v, k]
            if weight == 0:
                continue
            t = transforms[bones[v, k]]
            for axis in range(3):
                moved[v, axis] += weight * (
                    t[axis, 0] * vertices[v, 0] + t[axis, 1] * vertices[v, 1] + t[axis, 2] * vertices[v, 2] + t[axis, 3]
                )
    return moved


@njit(cache=True)
def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Average the triangles' normals at each vertex, by area.

    Args:
        vertices: ``(V, 3)`` positions.
        triangles: ``(T, 3)`` vertex rows.

    Returns:
        ``(V, 3)`` float32 unit vectors; zero for a vertex without area.
    """
    normals = np.zeros((len(vertices), 3), np.float32)
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, vx = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
        uy, vy = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
        uz, vz = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for v in range(len(vertices)):
        length = np.sqrt((normals[v] ** 2).sum())
        if length > 0:
            normals[v] /= length
    return normals


def turn(axis: Iterable[float], angle: float) -> Doubles:
    """Return the matrix of a rotation.

    Args:
        axis: ``(3,)`` direction of any length but zero.
        angle: Radians, counter-clockwise seen from the axis' tip.

    Returns:
        ``(3, 3)`` float64 rotation matrix (Rodrigues).
    """
    x, y, z = (float(number) for number in axis)
    length = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / length, y / length, z / length
    s, c = math.sin(angle), math.cos(angle)
    d = 1 - c
    return np.array(
        [
            [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
            [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
            [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
        ]
    )
