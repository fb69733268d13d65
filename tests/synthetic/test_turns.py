"""Structure maps: a body from any side, framed as the crop that it is of."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from resight.records import Floats
from resight.synthetic import SyntheticSettings
from resight.synthetic.body import load_body, vertex_normals
from resight.synthetic.gait import Gait
from resight.synthetic.plan import Planned, plan
from resight.synthetic.studio import Studio
from resight.synthetic.turns import (
    TURN,
    PosedBodies,
    angle_folder,
    body_in,
    place,
    render_layers,
    render_structure,
    to_pixels,
)

SIZE = (96, 48)


def bodies(yaw: float = 0.0, pitch: float = 0.0) -> PosedBodies:
    """One average body at rest, whole in the picture."""
    numbers = (np.array([number], np.float32) for number in (0.95, yaw, pitch, 8.0))
    box = np.array([[-0.07, -0.14, 0.07, 0.14]], np.float32)
    rest = np.tile(np.eye(3, dtype=np.float32), (1, len(load_body().joints), 1, 1))
    return PosedBodies(np.zeros((1, 7), np.float32), rest, *numbers, box)


@cache
def studio() -> Studio:
    return Studio(SyntheticSettings(people_train=8, people_test=0, cameras=2, crops=1, seed=3, occluders=0))


def drawn() -> list[Planned]:
    """Images that show one person without a bag, an umbrella or a skirt, and no other."""
    chosen = []
    for image in plan(studio().settings):
        shot, person = studio().shot(image), studio().person(image.person)
        bare = person.bag == "none" and person.lower in ("trousers", "shorts") and person.hem > 0.8
        if bare and not (shot.passers or shot.umbrella or shot.bicycle):
            chosen.append(image)
    return chosen


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_whole_circles_change_nothing_and_other_turns_do() -> None:
    maps = [render_structure(bodies(), turns, SIZE) for turns in (0, 8, -8, 4, 2)]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[2])
    assert (maps[0] != maps[3]).any()
    assert overlap(maps[0] < 255, maps[3] < 255) > 0.85, "from behind, the outline is nearly that from ahead"
    assert overlap(maps[0] < 255, maps[4] < 255) < 0.75, "from the side, it is not"


def test_a_turn_adds_to_the_yaw() -> None:
    for turns in (1, 3, 6.5):
        np.testing.assert_array_equal(
            render_structure(bodies(), turns, SIZE), render_structure(bodies(turns * TURN), 0, SIZE)
        )


def test_a_quarter_of_a_circle_looks_to_the_right() -> None:
    """The tip of the nose is the foremost point of the face."""
    body = load_body()
    face = np.unique(body.triangles[body.triangle_parts == body.part_names.index("face")])
    for turns, axis, sign in ((0, 1, -1), (2, 0, 1), (4, 1, 1), (6, 0, -1)):
        vertices, joints = place(bodies(), 0, turns)
        nose, head = vertices[face[body.vertices[face, 1].argmin()]], joints[body.joint("head")]
        assert sign * (nose - head)[axis] > 0.08
        assert abs((nose - head)[1 - axis]) < 0.02


def test_the_face_is_seen_from_ahead_and_hair_from_behind() -> None:
    face, hair = (1 + load_body().part_names.index(name) for name in ("face", "hair"))
    ahead, behind = (render_layers(bodies(), turns, SIZE).parts for turns in (0, 4))
    assert (ahead == face).sum() > 2 * (behind == face).sum()
    assert (behind == hair).sum() > 1.5 * (ahead == hair).sum()
    assert set(np.unique(ahead)) <= set(range(len(load_body().part_names) + 1))


def test_layers_agree_on_what_is_body_and_backgrounds_are_as_told() -> None:
    layers = render_layers(bodies(), 1, SIZE)
    is_body = layers.parts > 0
    assert 0.1 < is_body.mean() < 0.6
    np.testing.assert_array_equal(layers.depths > 0, is_body)
    np.testing.assert_array_equal(layers.shades > 0, is_body)
    assert np.abs(layers.depths[is_body] - 8).max() < 1
    white, black = (render_structure(bodies(), 1, SIZE, white=white) for white in (True, False))
    np.testing.assert_array_equal(white[is_body], black[is_body])
    assert set(white[~is_body]) == {255}
    assert set(black[~is_body]) == {0}
    assert white[is_body].max() < 255


def test_a_map_equals_the_nearest_triangle_on_each_ray() -> None:
    """The naive twin: each pixel on its own, among all triangles, those that face away too."""
    body, posed = load_body(), bodies(0.4, 0.3)
    layers = render_layers(posed, 0, SIZE)
    vertices, _ = place(posed, 0)
    points = to_pixels(posed, 0, vertices, SIZE).astype(np.float64)
    normals = vertex_normals(vertices, body.triangles)
    light = np.array([0, -math.cos(0.3), math.sin(0.3)])
    corners = points[body.triangles]
    wrong = hits = 0
    for row in range(2, SIZE[0], 5):
        for column in range(2, SIZE[1], 3):
            spokes = corners[:, :, :2] - (column + 0.5, row + 0.5)
            areas = np.stack([cross(spokes[:, (k + 1) % 3], spokes[:, (k + 2) % 3]) for k in range(3)], 1)
            inside = (areas >= 0).all(1) | (areas <= 0).all(1)
            shares = areas[inside] / areas[inside].sum(1, keepdims=True)
            closeness = (shares * corners[inside][:, :, 2]).sum(1)
            found = (int(layers.parts[0, row, column]), float(layers.depths[0, row, column]))
            if not len(closeness):
                wrong += found != (0, 0.0)
                continue
            hits, best = hits + 1, int(closeness.argmax())
            triangle = np.flatnonzero(inside)[best]
            weights = shares[best] * corners[triangle][:, 2] / closeness[best]
            normal = weights @ normals[body.triangles[triangle]]
            lit = max(0.0, float(normal @ light) / float(np.linalg.norm(normal)))
            wrong += found[0] != body.triangle_parts[triangle] + 1
            wrong += abs(found[1] - 1 / closeness[best]) > 1e-3
            wrong += abs(int(layers.shades[0, row, column]) - (40 + 160 * lit)) > 1
    assert hits > 60
    assert wrong == 0


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    difference: np.ndarray = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    return difference


def test_bodies_are_drawn_as_if_alone_and_each_with_its_own_turn() -> None:
    pair = PosedBodies.concatenate([bodies(), bodies(0.5)])
    assert len(pair) == 2
    both = render_structure(pair, [2, 5], SIZE)
    np.testing.assert_array_equal(both[0], render_structure(pair[:1], 2, SIZE)[0])
    np.testing.assert_array_equal(both[1], render_structure(pair[np.array([1])], 5, SIZE)[0])
    assert render_structure(pair[:0], 0, SIZE).shape == (0, *SIZE)


def test_the_map_has_the_outline_of_the_drawn_person_from_every_side() -> None:
    overlaps = []
    for image in drawn()[:3]:
        body = body_in(load_body(), studio().cameras[image.camera - 1], studio().shot(image), 0.5)
        for turns in (0, 3, 6):
            crop, _ = studio().draw(image, turn=turns * TURN)
            overlaps.append(overlap(crop.silhouette > 127, render_structure(body, turns, (128, 64))[0] < 255))
    assert len(overlaps) >= 6
    assert min(overlaps) > 0.7
    assert np.mean(overlaps) > 0.8


def test_a_rider_sits_above_the_ground() -> None:
    image = drawn()[0]
    shot = studio().shot(image)
    walks, rides = (
        body_in(load_body(), studio().cameras[0], replace(shot, stance=replace(shot.stance, gait=gait)), 0.5)
        for gait in (Gait(stride=0), Gait(rides=True))
    )
    soles = [lowest(place(posed, 0)[0]) for posed in (walks, rides)]
    assert soles[1] - soles[0] == pytest.approx(0.11, abs=0.001)


def lowest(vertices: Floats) -> float:
    return float(vertices[:, 2].min())


def test_the_folders_of_angles_are_named_as_in_released_sets() -> None:
    assert [angle_folder("render", turns) for turns in (0, 1, 4, 7, 8)] == [
        "render", "render_45", "render_180", "render_315", "render",
    ]  # fmt: skip
