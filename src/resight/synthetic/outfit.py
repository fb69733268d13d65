"""The mesh of a person: the shaped body, the thickness of clothes and hair, and separate pieces such as bags.

Everything is one skinned mesh, so that one call poses a complete figure. Each triangle belongs to a surface. Each
vertex has its position on the average body, where patterns are painted, so that they stay on the cloth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from resight.records import Doubles, Floats, Ints
from resight.synthetic.appearance import Person
from resight.synthetic.body import Body, joint_transforms, shape_body, skin, vertex_normals
from resight.synthetic.gait import PEDAL, Gait, walk
from resight.synthetic.paint import Paint, Surface, mix_paint

_SURFACES = {
    "torso_upper": Surface.TORSO, "torso_lower": Surface.TORSO, "neck": Surface.NECK, "face": Surface.FACE,
    "hair": Surface.HAIR, "upper_arm": Surface.ARM, "forearm": Surface.ARM, "hand": Surface.ARM,
    "upper_leg": Surface.LEG, "lower_leg": Surface.LEG, "foot": Surface.FOOT,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Figure:
    """A dressed person as a skinned mesh.

    Attributes:
        vertices: ``(V, 3)`` float32 rest positions, meters.
        triangles: ``(T, 3)`` int64 vertex rows.
        surfaces: ``(T,)`` int64 `Surface` of each triangle.
        coordinates: ``(V, 4)`` float32: position on the average body (x, y, z), meters, and along the arm (0 shoulder,
            0.5 elbow, 1 wrist).
        bones: ``(V, 4)`` int64 transform rows; rows after the body's joints are hands that hold things.
        weights: ``(V, 4)`` float32 shares.
        joints: ``(J, 3)`` float32 rest joints of this body.
        paint: The colors and cuts.
        person: The person.
    """

    vertices: Floats
    triangles: Ints
    surfaces: Ints
    coordinates: Floats
    bones: Ints
    weights: Floats
    joints: Floats
    paint: Paint
    person: Person


@dataclass(frozen=True, eq=False)
class _Piece:
    vertices: Doubles
    triangles: Ints
    coordinates: Doubles
    bones: Ints
    weights: Doubles
    surface: Surface


def dress(body: Body, person: Person) -> Figure:
    """Build the figure of a person.

    Args:
        body: The average body.
        person: The person.

    Returns:
        The figure at rest.
    """
    vertices, joints = shape_body(body, person.build)
    coordinates = _coordinates(body)
    part_surface = np.array([_SURFACES[name] for name in body.part_names], np.int64)
    surfaces = part_surface[body.triangle_parts]
    bald = person.hair_style == "bald" and person.hat == "none"
    thickness = _thickness(body, person, surfaces, coordinates)
    puffed = vertices + thickness[:, None] * vertex_normals(vertices, body.triangles)
    if bald:
        surfaces = np.where(surfaces == Surface.HAIR, Surface.FACE, surfaces)
    pieces = _build_pieces(body, person, puffed.astype(np.float64), joints.astype(np.float64))
    offsets = np.cumsum([len(puffed), *(len(piece.vertices) for piece in pieces)])
    return Figure(
        vertices=np.concatenate([puffed, *(p.vertices for p in pieces)]).astype(np.float32),
        triangles=np.concatenate([body.triangles, *(p.triangles + o for p, o in zip(pieces, offsets, strict=False))]),
        surfaces=np.concatenate([surfaces, *(np.full(len(p.triangles), p.surface, np.int64) for p in pieces)]),
        coordinates=np.concatenate([coordinates, *(p.coordinates for p in pieces)]).astype(np.float32),
        bones=np.concatenate([body.bones, *(p.bones for p in pieces)]),
        weights=np.concatenate([body.weights, *(p.weights for p in pieces)]).astype(np.float32),
        joints=joints,
        paint=mix_paint(person),
        person=person,
    )


def pose(body: Body, figure: Figure, phase: float, gait: Gait | None = None) -> Floats:
    """Return the vertices of a figure in one moment of its walk.

    Args:
        body: The average body.
        figure: The figure that walks.
        phase: Share of the walking cycle, 0..1.
        gait: The way of walking; None takes the person's own.

    Returns:
        Vertices ``(V, 3)`` float32 meters, the lowest at z = 0, or on the lower pedal, and the pelvis above the origin.
    """
    gait = gait or figure.person.gait
    turns = walk(body, figure.joints, gait, phase)
    moved = joint_transforms(figure.joints, body.parents, turns)
    hanging = []
    for side in ("left", "right"):  # things in a hand hang straight down
        wrist = body.joint(f"wrist_{side}")
        rest = figure.joints[wrist].astype(np.float64)
        position = moved[wrist, :, :3] @ rest + moved[wrist, :, 3]
        hanging.append(np.concatenate([np.eye(3), (position - rest)[:, None]], axis=1))
    transforms = np.concatenate([moved, np.stack(hanging)])
    vertices = skin(figure.vertices, figure.bones, figure.weights, transforms)
    root = body.joint("pelvis")
    shift = moved[root, :, :3] @ figure.joints[root] + moved[root, :, 3]
    ground = vertices[:, 2].min() - (PEDAL if gait.rides else 0)
    grounded: Floats = vertices - np.array([shift[0], shift[1], ground], np.float32)
    return grounded


def _coordinates(body: Body) -> Doubles:
    """Return for each vertex its position on the average body, and along the arm."""
    coordinates = np.zeros((len(body.vertices), 4))
    coordinates[:, :3] = body.vertices
    for side in ("left", "right"):
        shoulder, elbow, wrist = (body.joints[body.joint(f"{name}_{side}")] for name in ("shoulder", "elbow", "wrist"))
        upper, lower = elbow - shoulder, wrist - elbow
        sign = 1 if side == "left" else -1
        on_side = body.vertices[:, 0] * sign > 0.12
        along_upper = (body.vertices - shoulder) @ upper / (upper @ upper)
        along_lower = (body.vertices - elbow) @ lower / (lower @ lower)
        along = np.where(along_lower > 0, 0.5 + 0.5 * along_lower, 0.5 * np.minimum(along_upper, 1))
        coordinates[on_side, 3] = along[on_side]
    return coordinates


def _thickness(body: Body, person: Person, surfaces: Ints, coordinates: Doubles) -> Floats:
    """Return for each vertex the thickness of its clothes or hair, meters."""
    covered = np.zeros((len(Surface), len(coordinates)), bool)
    for surface in Surface:
        covered[surface, body.triangles[surfaces == surface].ravel()] = True
    height, along = coordinates[:, 2], coordinates[:, 3]
    thickness = np.zeros(len(coordinates))
    legs_end = {"trousers": 0.06, "shorts": 0.5}.get(person.lower, 0.75)
    legs = covered[Surface.LEG] & (height > legs_end)
    thickness[legs] = 0.006 + person.leg_width * np.clip((0.95 - height[legs]) / (0.95 - legs_end), 0.15, 1)
    thickness[covered[Surface.TORSO] & (height > person.hem)] = person.looseness
    sleeves = covered[Surface.ARM] & (along < person.sleeve)
    thickness[sleeves] = person.looseness * np.clip(1.6 - person.sleeve, 0.6, 1.3)  # short sleeves are wide
    thickness[covered[Surface.FOOT]] = 0.008
    puff = {"bald": 0.0, "short": 0.008, "full": 0.025, "bob": 0.022, "long": 0.018}.get(person.hair_style, 0.01)
    puff = {"none": puff, "cap": 0.012, "beanie": 0.02, "hood": 0.035}[person.hat]
    thickness[covered[Surface.HAIR]] = puff
    if person.scarf:
        thickness[covered[Surface.NECK]] = 0.03
    return thickness.astype(np.float32)


def _build_pieces(body: Body, person: Person, vertices: Doubles, joints: Doubles) -> list[_Piece]:
    """Build the pieces on top of the body: skirts, coats, long hair, brims and bags."""
    position = {name: joints[row] for row, name in enumerate(body.joint_names)}
    torso = vertices[np.abs(vertices[:, 0]) < 0.16]
    stature = vertices[:, 2].max() / body.vertices[:, 2].max()
    pieces = []
    if person.lower in ("skirt", "long_skirt"):
        low = 0.48 if person.lower == "skirt" else 0.22
        pieces.append(_tube(body, vertices, joints, 1.02, low, 0.10 if low > 0.4 else 0.07))
    if person.hem < 0.8:
        pieces.append(_tube(body, vertices, joints, 1.0, person.hem, 0.055 + person.looseness))
    head = vertices[(vertices[:, 2] > position["head"][2]) & (np.abs(vertices[:, 0]) < 0.15)]
    back, top = head[:, 1].max(), head[:, 2].max()
    on_head, on_chest = body.joint("head"), body.joint("chest")
    if person.hat != "hood":
        style = person.hair_style
        if style in ("long", "bob"):
            drop = 0.36 if style == "long" else 0.22
            center = np.array([0, back - 0.035, top - 0.07 - drop / 2])
            mop = _blob(center, np.array([0.095, 0.055, drop / 2 + 0.06]), 0.7, Surface.HAIR, on_head)
            pieces.append(mop)
        elif style == "bun" and person.hat == "none":
            pieces.append(_blob(np.array([0, back + 0.01, top - 0.04]), np.full(3, 0.05), 1, Surface.HAIR, on_head))
        elif style == "ponytail":
            center = np.array([0, back + 0.03, top - 0.2])
            pieces.append(_blob(center, np.array([0.035, 0.035, 0.15]), 0.9, Surface.HAIR, on_head))
    if person.hat == "cap":
        center = np.array([0, head[:, 1].min() - 0.03, top - 0.085])
        pieces.append(_blob(center, np.array([0.08, 0.09, 0.012]), 0.8, Surface.HAT, on_head))
    scale = person.bag_size * stature
    sign = 1 if person.bag_left else -1
    if person.bag == "backpack":
        half = np.array([0.15, 0.085, 0.22]) * scale
        behind = torso[np.abs(torso[:, 2] - position["chest"][2] - 0.1) < 0.2, 1].max()
        center = np.array([0, behind + half[1] * 0.8, position["chest"][2] + 0.06])
        pieces.append(_blob(center, half, 0.45, Surface.BAG, on_chest))
    elif person.bag == "shoulder":
        half = np.array([0.06, 0.15, 0.11]) * scale
        wide = np.abs(torso[np.abs(torso[:, 2] - position["pelvis"][2]) < 0.1, 0]).max()
        center = np.array([sign * (wide + half[0] + 0.02), 0.03, position["pelvis"][2] + 0.02])
        pieces.append(_blob(center, half, 0.4, Surface.BAG, body.joint("pelvis")))
    elif person.bag == "hand":
        wrist = position["wrist_left" if sign > 0 else "wrist_right"]
        half = np.array([0.05, 0.16, 0.14]) * scale
        center = wrist + np.array([0, 0, -0.12 - half[2]])
        grip = len(joints) + (0 if sign > 0 else 1)
        pieces.append(_blob(center, half, 0.35, Surface.BAG, grip))
    return pieces


def _tube(body: Body, vertices: Doubles, joints: Doubles, top: float, low: float, flare: float) -> _Piece:
    """Build the skirt of a garment: rings around the legs that follow hips and thighs.

    ``top`` and ``low`` are heights on the average body; ``flare`` is the additional width of the last ring.
    """
    around, rings = 20, 7
    ratio = joints[body.joint("hip_left"), 2] / body.joints[body.joint("hip_left"), 2]
    angles = np.arange(around) / around * 2 * np.pi
    positions, coordinates, weights = [], [], []
    is_covered = np.zeros(len(vertices), bool)
    part_rows = [body.part_names.index(name) for name in ("torso_lower", "torso_upper", "upper_leg", "lower_leg")]
    is_covered[body.triangles[np.isin(body.triangle_parts, part_rows)].ravel()] = True
    covered_vertices, level = vertices[is_covered], body.vertices[is_covered, 2]
    hips = covered_vertices[np.abs(level - 0.92) < 0.08]
    wide = np.abs(hips[:, 0]).max()
    center = (hips[:, 1].max() + hips[:, 1].min()) / 2
    for ring in range(rings):
        share = ring / (rings - 1)
        height = top + (low - top) * share
        slice_ = covered_vertices[np.abs(level - height) < 0.07]
        # The cross-section of two legs is a figure of eight; an ellipse around it needs some margin.
        width = 1.04 * np.abs(slice_[:, 0]).max() + 0.012 + flare * share
        depth = 1.1 * np.abs(slice_[:, 1] - center).max() + 0.012 + 1.3 * flare * share
        x, y = np.cos(angles) * width, center + np.sin(angles) * depth
        positions.append(np.stack([x, y, np.full(around, height * ratio)], axis=1))
        coordinates.append(np.stack([x, y, np.full(around, height), np.zeros(around)], axis=1))
        swing = 0.75 * min(1.0, max(0.0, (0.98 - height) / 0.25))
        left = 0.5 + 0.5 * np.sin(np.clip(x / (0.6 * wide), -1, 1) * np.pi / 2)
        weights.append(
            np.stack([np.full(around, 1 - swing), swing * left, swing * (1 - left), np.zeros(around)], axis=1)
        )
    bones = [body.joint("pelvis"), body.joint("hip_left"), body.joint("hip_right"), 0]
    return _Piece(
        np.concatenate(positions), _ring_triangles(rings, around), np.concatenate(coordinates),
        np.tile(np.array(bones), (rings * around, 1)), np.concatenate(weights), Surface.SKIRT,
    )  # fmt: skip


def _blob(center: Doubles, half: Doubles, roundness: float, surface: Surface, bone: int) -> _Piece:
    """Build a superellipsoid: a box for a small ``roundness``, an ellipsoid for 1."""
    around, rings = 12, 7
    longitude = np.arange(around) / around * 2 * np.pi
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)

    def power(values: Doubles) -> Doubles:
        raised: Doubles = np.sign(values) * np.abs(values) ** roundness
        return raised

    unit = np.stack([
        power(np.cos(latitude))[:, None] * power(np.cos(longitude)),
        power(np.cos(latitude))[:, None] * power(np.sin(longitude)),
        np.repeat(power(np.sin(latitude))[:, None], around, axis=1),
    ], axis=-1).reshape(-1, 3)  # fmt: skip
    coordinates = np.concatenate([unit, np.zeros((len(unit), 1))], axis=1)
    bones = np.zeros((len(unit), 4), np.int64)
    bones[:, 0] = bone
    weights = np.tile(np.array([1.0, 0, 0, 0]), (len(unit), 1))
    triangles = _ring_triangles(rings, around)[:, [0, 2, 1]]  # its rings rise, while those of a tube fall
    return _Piece(center + unit * half, triangles, coordinates, bones, weights, surface)


def _ring_triangles(rings: int, around: int) -> Ints:
    """Return the triangles between rings of vertices, counter-clockwise from outside if later rings are lower."""
    first = np.arange(around)
    second = (first + 1) % around
    triangles = []
    for ring in range(rings - 1):
        a, b = first + ring * around, second + ring * around
        c, d = a + around, b + around
        triangles += [np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)]
    return np.concatenate(triangles)
