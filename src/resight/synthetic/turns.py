"""Posed bodies without clothes, and structure maps of them from any side: gray, depth and body parts.

A structure map shows what a generator must keep when it changes a person's view: shape, pose and framing, but no
clothes. Turns count in eighths of a circle. A turn of 1 adds 45 degrees to the yaw, so that a person who faces the
camera turns towards the image's right; camera and framing stay the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from resight.numerics.compiled import njit
from resight.records import Floats, Ints, Mask
from resight.synthetic.body import Body, Build, joint_transforms, load_body, shape_body, skin, turn, vertex_normals
from resight.synthetic.cameras import AIM, Camera, Pixels, project
from resight.synthetic.gait import PEDAL, walk
from resight.synthetic.raster import rasterise
from resight.synthetic.render import Shot, shot_box

TURNS = 8
"""The number of turns in a circle."""

TURN = 2 * math.pi / TURNS
"""A turn in radians."""

SOLE = 0.008
"""Thickness of soles, meters: the body itself stands so much above the ground."""

BUILD = tuple(field.name for field in fields(Build))
"""The columns of `PosedBodies.builds`."""

_DARK, _BRIGHT = 40.0, 200.0  # of a surface seen edge-on, and of one that faces the camera


@dataclass(frozen=True, eq=False)
class PosedBodies:
    """Bodies in poses before cameras.

    Attributes:
        builds: ``(N, 7)`` float32, the fields of `Build`.
        rotations: ``(N, J, 3, 3)`` float32, the rotation of each joint relative to its parent, as in
            `joint_transforms`.
        heights: ``(N,)`` float32 heights of the pelvis above the ground, meters.
        yaws: ``(N,)`` float32 radians, as `Stance.yaw`: 0 faces the camera.
        pitches: ``(N,)`` float32 angles at which the cameras look down, radians.
        distances: ``(N,)`` float32 meters from the cameras to the bodies.
        boxes: ``(N, 4)`` float32 the picture's left, top, right and bottom on the image plane, at a distance of 1.
    """

    builds: Floats
    rotations: Floats
    heights: Floats
    yaws: Floats
    pitches: Floats
    distances: Floats
    boxes: Floats

    def __len__(self) -> int:
        return len(self.yaws)

    def __getitem__(self, rows: slice | Ints | Mask) -> PosedBodies:
        """Return some of the bodies."""
        return PosedBodies(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def concatenate(parts: Sequence[PosedBodies]) -> PosedBodies:
        """Join bodies, in order."""
        return PosedBodies(
            *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(PosedBodies))
        )


@dataclass(frozen=True, eq=False)
class Layers:
    """What a camera sees of bodies.

    Attributes:
        shades: ``(B, H, W)`` uint8 brightness under a light at the camera; 0 where there is no body.
        depths: ``(B, H, W)`` float32 meters from the camera; 0 where there is no body.
        parts: ``(B, H, W)`` uint8, 1 + row of `Body.part_names`; 0 where there is no body.
    """

    shades: Pixels
    depths: Floats
    parts: Pixels


def angle_folder(kind: str, turns: int) -> str:
    """Return the folder of an angle as released programs name it: ``render``, ``render_45`` ... ``render_315``."""
    degrees = turns % TURNS * 360 // TURNS
    return f"{kind}_{degrees}" if degrees else kind


def body_in(body: Body, camera: Camera, shot: Shot, aspect: float) -> PosedBodies:
    """Return the body under the clothes of a drawn person.

    Args:
        body: The average body.
        camera: The camera.
        shot: The contents of the crop.
        aspect: Width of the crop over its height.

    Returns:
        One body, with the framing of the crop.
    """
    person, gait = shot.figure.person, shot.stance.gait or shot.figure.person.gait
    vertices, joints = shape_body(body, person.build)
    rotations = walk(body, joints, gait, shot.stance.phase)
    posed, pelvis = _pose(body, vertices, joints, rotations)
    ground = float(posed[:, 2].min()) - SOLE - (PEDAL if gait.rides else 0)
    numbers = np.array([pelvis[2] - ground, shot.stance.yaw + shot.turn, camera.pitch, camera.distance], np.float32)
    return PosedBodies(
        builds=np.array([[getattr(person.build, name) for name in BUILD]], np.float32),
        rotations=rotations[None].astype(np.float32),
        heights=numbers[:1],
        yaws=numbers[1:2],
        pitches=numbers[2:3],
        distances=numbers[3:],
        boxes=shot_box(body, camera, shot, aspect)[None].astype(np.float32),
    )


def place(bodies: PosedBodies, row: int, turns: float = 0.0) -> tuple[Floats, Floats]:
    """Compute where the surface and the joints of a posed body are.

    Args:
        bodies: The bodies.
        row: The row of the body.
        turns: By how many turns to turn it; fractions are allowed.

    Returns:
        Vertices ``(V, 3)`` and joints ``(J, 3)``, float32 meters: to the image's right, away from the camera, and up,
        from where the camera aims.
    """
    body = load_body()
    vertices, joints = _shaped(Build(*bodies.builds[row].tolist()))
    rotations = bodies.rotations[row].astype(np.float64)
    transforms = joint_transforms(joints, body.parents, rotations)
    posed = skin(vertices, body.bones, body.weights, transforms)
    moved = (transforms[:, :, :3] @ joints[:, :, None])[..., 0] + transforms[:, :, 3]
    heading = turn((0, 0, 1), float(bodies.yaws[row]) + turns * TURN).T
    up = np.array([0, 0, float(bodies.heights[row]) - AIM])
    pelvis = moved[body.joint("pelvis")]
    return (
        ((posed - pelvis) @ heading + up).astype(np.float32),
        ((moved - pelvis) @ heading + up).astype(np.float32),
    )


def to_pixels(bodies: PosedBodies, row: int, positions: Floats, size: tuple[int, int]) -> Floats:
    """Project positions into the picture of a body.

    Args:
        bodies: The bodies.
        row: The row of the body.
        positions: ``(V, 3)`` as `place` returns them.
        size: Height and width of the picture.

    Returns:
        ``(V, 3)`` float32: column and row in pixels (pixel centers lie at halves), and 1 / depth.
    """
    points = project(positions, float(bodies.pitches[row]), float(bodies.distances[row]))
    left, top, right, bottom = bodies.boxes[row].tolist()
    points[:, 0] = (points[:, 0] - left) / (right - left) * size[1]
    points[:, 1] = (points[:, 1] - top) / (bottom - top) * size[0]
    return points


def render_layers(bodies: PosedBodies, turns: npt.ArrayLike, size: tuple[int, int]) -> Layers:
    """Draw bodies from a side.

    Args:
        bodies: The ``B`` bodies.
        turns: ``(B,)`` or one number: by how many turns to turn each; fractions are allowed.
        size: Height and width, pixels.

    Returns:
        The layers.
    """
    shape = (len(bodies), *size)
    layers = Layers(np.zeros(shape, np.uint8), np.zeros(shape, np.float32), np.zeros(shape, np.uint8))
    for row, (points, mesh, light) in enumerate(_meshes(bodies, turns, size)):
        fragments = rasterise(points, mesh[0], *size)
        _shade(fragments, mesh, points[:, 2], light, (layers.shades[row], layers.depths[row], layers.parts[row]))
    return layers


def render_structure(bodies: PosedBodies, turns: npt.ArrayLike, size: tuple[int, int], *, white: bool = True) -> Pixels:
    """Draw structure maps: gray bodies from a side.

    Args:
        bodies: The ``B`` bodies.
        turns: ``(B,)`` or one number: by how many turns to turn each; fractions are allowed.
        size: Height and width, pixels.
        white: Whether the background is white or black.

    Returns:
        ``(B, H, W)`` uint8.
    """
    layers = render_layers(bodies, turns, size)
    if white:
        layers.shades[layers.parts == 0] = 255
    return layers.shades


Mesh = tuple[Ints, Ints, Floats]
"""Triangles ``(T, 3)``, the part of each ``(T,)``, and unit normals of the vertices ``(V, 3)``."""


def _meshes(bodies: PosedBodies, turns: npt.ArrayLike, size: tuple[int, int]) -> Iterator[tuple[Floats, Mesh, Floats]]:
    """Yield of each body its points in pixels, its mesh without the sides that face away, and the light."""
    body = load_body()
    for row, turned in enumerate(np.broadcast_to(np.asarray(turns, np.float64), len(bodies)).tolist()):
        vertices, _ = place(bodies, row, turned)
        points = to_pixels(bodies, row, vertices, size)
        seen = _facing(points, body.triangles)
        pitch = float(bodies.pitches[row])
        light = np.array([0, -math.cos(pitch), math.sin(pitch)], np.float32)
        mesh = (body.triangles[seen], body.triangle_parts[seen], vertex_normals(vertices, body.triangles))
        yield points, mesh, light


@lru_cache(maxsize=64)
def _shaped(build: Build) -> tuple[Floats, Floats]:
    """Return the vertices and joints of the last shapes used; recovered bodies share one."""
    return shape_body(load_body(), build)


def _pose(body: Body, vertices: Floats, joints: Floats, rotations: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Return posed vertices, and the pelvis."""
    transforms = joint_transforms(joints, body.parents, rotations)
    root = body.joint("pelvis")
    pelvis = transforms[root, :, :3] @ joints[root] + transforms[root, :, 3]
    return skin(vertices, body.bones, body.weights, transforms), pelvis


@njit(cache=True)
def _facing(points: Floats, triangles: Ints) -> Mask:
    """Return ``(T,)`` whether the outside of each triangle faces the camera."""
    facing = np.empty(len(triangles), np.bool_)
    for t in range(len(triangles)):
        a, b, c = points[triangles[t, 0]], points[triangles[t, 1]], points[triangles[t, 2]]
        facing[t] = (b[0] - a[0]) * (c[1] - a[1]) < (b[1] - a[1]) * (c[0] - a[0])
    return facing


@njit(cache=True)
def _shade(
    fragments: tuple[Ints, Floats], mesh: Mesh, closeness: Floats, light: Floats, layers: tuple[Pixels, Floats, Pixels]
) -> None:
    """Fill the layers of one body, of which ``closeness`` is 1 / depth of the vertices."""
    owner, shares = fragments
    triangles, triangle_parts, normals = mesh
    shades, depths, parts = layers
    for row in range(owner.shape[0]):
        for column in range(owner.shape[1]):
            t = owner[row, column]
            if t < 0:
                continue
            x = y = z = depth = 0.0
            for corner in range(3):
                v, share = triangles[t, corner], shares[row, column, corner]
                x += share * normals[v, 0]
                y += share * normals[v, 1]
                z += share * normals[v, 2]
                depth += share / closeness[v]
            lit = (x * light[0] + y * light[1] + z * light[2]) / (np.sqrt(x * x + y * y + z * z) + 1e-9)
            shades[row, column] = np.uint8(_DARK + (_BRIGHT - _DARK) * max(0.0, lit) + 0.5)
            depths[row, column] = depth
            parts[row, column] = triangle_parts[t] + 1
