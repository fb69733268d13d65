"""One crop: a figure in a camera's view, the occluders in front of it, and the box of a simulated detector."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from resight.records import Doubles, Floats
from resight.synthetic.bicycle import draw_bicycle
from resight.synthetic.body import Body, turn, vertex_normals
from resight.synthetic.cameras import AIM, Camera, Pixels, develop, look, project
from resight.synthetic.gait import Gait
from resight.synthetic.outfit import Figure, pose
from resight.synthetic.paint import Surface, shade
from resight.synthetic.raster import rasterise
from resight.synthetic.scenes import SCENE_HEIGHT, SCENE_WIDTH
from resight.synthetic.umbrella import draw_umbrella

SAMPLES = 2
"""The number of samples along a pixel's side."""


@dataclass(frozen=True)
class Stance:
    """The position and the pose of a figure.

    Attributes:
        phase: Share of the walking cycle, 0..1.
        yaw: Radians, 0 faces the camera, a quarter turn walks to the image's right.
        right: Meters to the right of the middle.
        away: Meters behind the middle; negative is closer to the camera.
        gait: The way of walking; None takes the figure's own.
    """

    phase: float
    yaw: float
    right: float = 0.0
    away: float = 0.0
    gait: Gait | None = None


@dataclass(frozen=True)
class Passer:
    """Another person in the picture.

    Attributes:
        figure: The figure of the person.
        stance: The position; in front if ``away`` is negative.
    """

    figure: Figure
    stance: Stance


@dataclass(frozen=True)
class Barrier:
    """A pole, a bin or a wall in front, in shares of the crop's width and height.

    Attributes:
        left: Left edge, may be outside 0..1.
        top: Upper edge.
        right: Right edge.
        bottom: Lower edge.
        color: Linear RGB.
    """

    left: float
    top: float
    right: float
    bottom: float
    color: tuple[float, float, float]


@dataclass(frozen=True)
class Shot:
    """Everything that determines one crop, with its random choices.

    Attributes:
        figure: The figure of the person.
        stance: Its pose; ``right`` and ``away`` are 0.
        passers: Other people nearby.
        barriers: Barriers in front.
        shift: Error of the box: right and down, shares of the person's height.
        scale: Error of the box: factors on its width and height.
        spot: Position of the feet in the scene: column and row, shares.
        exposure: Factor of this moment.
        umbrella: Linear RGB of an open umbrella, or None.
        bicycle: Linear RGB of the bicycle that the figure rides, or None.
        turn: Radians by which the figure is turned in the box of the figure that is not, as `Stance.yaw`.
    """

    figure: Figure
    stance: Stance
    passers: tuple[Passer, ...] = ()
    barriers: tuple[Barrier, ...] = ()
    shift: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    spot: tuple[float, float] = (0.5, 0.7)
    exposure: float = 1.0
    umbrella: tuple[float, float, float] | None = None
    bicycle: tuple[float, float, float] | None = None
    turn: float = 0.0


@dataclass(frozen=True, eq=False)
class Crop:
    """A finished crop.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 sRGB.
        silhouette: ``(H, W)`` uint8, 255 for visible pixels of the person, 0 elsewhere, in between at its edge.
        occluded: Hidden share of the person within the box, 0..1.
    """

    pixels: Pixels
    silhouette: Pixels
    occluded: float


def shoot(
    body: Body, camera: Camera, scene: Floats, shot: Shot, *, size: tuple[int, int], rng: np.random.Generator
) -> Crop:
    """Draw a crop.

    Args:
        body: The average body.
        camera: The camera.
        scene: The background of the camera, as `draw_scene` returns it.
        shot: The contents of the crop.
        size: Height and width of the crop, pixels.
        rng: The random number generator of the camera's noise.

    Returns:
        The crop.
    """
    height, width = size
    points, normals = _project(body, camera, shot.figure, shot.stance)
    box = _box(points, shot, width / height)
    stance = shot.stance
    # The camera's resolution follows from the height in pixels of an average person at the usual distance.
    resolution = camera.person_pixels / 1.7 * camera.distance
    feet = np.array([points[:, 0].mean(), points[:, 1].max()])
    spot = np.array([shot.spot[0] * SCENE_WIDTH, shot.spot[1] * SCENE_HEIGHT])
    window = ((box.reshape(2, 2) - feet) * resolution + spot).astype(np.float32).ravel()
    picture = look(scene, window, height, width) * np.float32(0.6 * camera.sun + camera.sky)
    picture *= _shadow(camera, feet, box, size)[..., None]
    if shot.turn:
        stance = replace(stance, yaw=stance.yaw + shot.turn)
        points, normals = _project(body, camera, shot.figure, stance)
    person = _paint(camera, shot.figure, points, normals, box, size)
    layers = [(passer.stance.away, _paint_passer(body, camera, passer, box, size)) for passer in shot.passers]
    layers.append((0.0, person))
    if shot.bicycle is not None:
        layers.append((0.01, draw_bicycle(camera, stance.yaw, shot.bicycle, box, size)))
    if shot.umbrella is not None:
        layers.append((-0.3, draw_umbrella(camera, points, shot.umbrella, box, size, SAMPLES)))
    layers.sort(key=lambda layer: -layer[0])
    layers += [(-camera.distance, _barrier(camera, barrier, size)) for barrier in shot.barriers]
    visible = np.zeros(size, np.float32)
    for _, layer in layers:
        transparency = 1 - layer[..., 3]
        picture = picture * transparency[..., None] + layer[..., :3]
        visible = layer[..., 3] if layer is person else visible * transparency
    area = float(person[..., 3].sum())
    magnification = height / ((box[3] - box[1]) * resolution)
    blur = camera.blur + 0.4 * max(0.0, magnification - 1)
    return Crop(
        pixels=develop(picture, camera, shot.exposure, blur, rng),
        silhouette=np.rint(visible * 255).astype(np.uint8),
        occluded=1 - float(visible.sum()) / area if area > 0 else 1.0,
    )


def shot_box(body: Body, camera: Camera, shot: Shot, aspect: float) -> Doubles:
    """Return the box of a crop on the camera's image plane.

    Args:
        body: The average body.
        camera: The camera.
        shot: The contents of the crop.
        aspect: Width of the crop over its height.

    Returns:
        ``(4,)`` left, top, right and bottom at a distance of 1.
    """
    return _box(_project(body, camera, shot.figure, shot.stance)[0], shot, aspect)


def _project(body: Body, camera: Camera, figure: Figure, stance: Stance) -> tuple[Floats, Floats]:
    """Return a figure's points on the image plane, ``(V, 3)`` right, down and 1 / depth, and its normals."""
    vertices = pose(body, figure, stance.phase, stance.gait)
    normals = vertex_normals(vertices, figure.triangles)
    heading = turn((0, 0, 1), stance.yaw).astype(np.float32).T
    positions = vertices @ heading + np.array([stance.right, stance.away, -AIM], np.float32)
    return project(positions, camera.pitch, camera.distance), normals @ heading


def _box(points: Floats, shot: Shot, aspect: float) -> Doubles:
    """Return the box of the simulated detector on the image plane: left, top, right, bottom."""
    low, high = points[:, :2].min(0).astype(np.float64), points[:, :2].max(0).astype(np.float64)
    tall = (high[1] - low[1]) * 1.06
    wide = max(tall * aspect * 0.82, (high[0] - low[0]) * 1.04)
    middle = (low + high) / 2 + np.array(shot.shift) * tall
    if shot.umbrella is not None:  # most of it is in the box
        tall *= 1.1
        middle[1] -= 0.05 * tall
    half = np.array([wide * shot.scale[0], tall * shot.scale[1]]) / 2
    return np.concatenate([middle - half, middle + half])


def _paint(
    camera: Camera, figure: Figure, points: Floats, normals: Floats, box: Doubles, size: tuple[int, int]
) -> Floats:
    """Draw a figure: ``(H, W, 4)`` linear RGB times coverage, and coverage."""
    height, width = size
    samples = points.copy()
    samples[:, 0] = (points[:, 0] - box[0]) / (box[2] - box[0]) * width * SAMPLES
    samples[:, 1] = (points[:, 1] - box[1]) / (box[3] - box[1]) * height * SAMPLES
    # Closed surfaces show only their outside; the open tubes of skirts are visible from both sides.
    corners = samples[figure.triangles, :2]
    ahead, aside = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    outside = ahead[:, 0] * aside[:, 1] < ahead[:, 1] * aside[:, 0]
    is_drawn = outside | (figure.surfaces == Surface.SKIRT)
    triangles = figure.triangles[is_drawn]
    fragments = rasterise(samples, triangles, height * SAMPLES, width * SAMPLES)
    light = np.array([*camera.light, camera.sun, camera.sky], np.float32)
    mesh = (triangles, figure.surfaces[is_drawn], figure.coordinates, normals)
    painted: Floats = shade(fragments, mesh, (figure.paint.colors, figure.paint.numbers), light, SAMPLES)
    return painted


def _paint_passer(body: Body, camera: Camera, passer: Passer, box: Doubles, size: tuple[int, int]) -> Floats:
    points, normals = _project(body, camera, passer.figure, passer.stance)
    return _paint(camera, passer.figure, points, normals, box, size)


def _shadow(camera: Camera, feet: Doubles, box: Doubles, size: tuple[int, int]) -> Floats:
    """Return the ground's brightness ``(H, W)``: a soft dark patch under the feet."""
    height, width = size
    across = np.linspace(box[0], box[2], width, dtype=np.float32) - np.float32(feet[0])
    down = np.linspace(box[1], box[3], height, dtype=np.float32) - np.float32(feet[1])
    meter = 1 / camera.distance
    flat = meter * (0.1 + 0.4 * math.sin(camera.pitch))
    lean = np.float32(-0.35 * camera.light[0] * meter)
    spread = ((across - lean) / (0.38 * meter))[None] ** 2 + ((down + 0.04 * meter) / flat)[:, None] ** 2
    shadow: Floats = 1 - np.float32(0.3 + 0.25 * camera.sun) * np.exp(-spread)
    return shadow


def _barrier(camera: Camera, barrier: Barrier, size: tuple[int, int]) -> Floats:
    """Draw a barrier: ``(H, W, 4)`` linear RGB times coverage, and coverage; its edges are a pixel soft."""
    height, width = size
    columns, rows = np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
    inside = [
        np.clip(np.minimum(centers - low * count, high * count - centers) + 0.5, 0, 1)
        for centers, count, low, high in (
            (rows, height, barrier.top, barrier.bottom),
            (columns, width, barrier.left, barrier.right),
        )
    ]
    cover = inside[0][:, None] * inside[1][None]
    round_ = 1 - 0.35 * ((columns / width - barrier.left) / (barrier.right - barrier.left)) ** 2
    color = np.array(barrier.color, np.float32) * np.float32(camera.sky + 0.5 * camera.sun)
    layer = np.concatenate([cover[..., None] * round_[None, :, None] * color, cover[..., None]], axis=2)
    return layer.astype(np.float32)
