"""The drawn body: its shape, its walk and its clothes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from resight.synthetic.appearance import BAGS, HAIR_STYLES, HATS, LOWERS, sample_person, sample_wardrobe
from resight.synthetic.body import Build, joint_transforms, load_body, shape_body, skin, turn, vertex_normals
from resight.synthetic.gait import Gait, walk
from resight.synthetic.outfit import dress, pose


def test_the_baked_body_is_sound() -> None:
    body = load_body()
    assert (body.parents[1:] < np.arange(1, len(body.parents))).all()
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-6)
    assert body.triangles.max() == len(body.vertices) - 1
    corners = body.vertices[body.triangles]
    volume = np.einsum("tk,tk->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 0.05 < volume < 0.11  # cubic meters: the triangles face outwards
    assert set(body.triangle_parts.tolist()) == set(range(len(body.part_names)))


def test_builds_differ_as_their_names_say() -> None:
    body = load_body()

    def extent(build: Build) -> tuple[float, float]:
        vertices, joints = shape_body(body, build)
        near = np.abs(vertices[:, 2] - joints[body.joint("spine_mid"), 2]) < 0.05
        waist = vertices[near & (np.abs(vertices[:, 0]) < 0.2)]  # without the arms
        return float(np.ptp(vertices[:, 2])), float(np.ptp(waist[:, 1]))

    assert extent(Build(gender=1))[0] > extent(Build(gender=-1))[0] + 0.05
    assert extent(Build(height=0.5))[0] > extent(Build())[0] + 0.05
    assert extent(Build(weight=1))[1] > extent(Build(weight=-1))[1] + 0.03


def test_walking_keeps_the_lengths_of_the_limbs() -> None:
    body = load_body()
    _, joints = shape_body(body, Build(gender=1, height=0.3))
    child = np.arange(1, len(joints))
    for phase in (0.0, 0.2, 0.7):
        moved = joint_transforms(joints, body.parents, walk(body, joints, Gait(), phase))
        places = np.einsum("jab,jb->ja", moved[:, :, :3], joints) + moved[:, :, 3]
        before = np.linalg.norm(joints[child] - joints[body.parents[1:]], axis=1)
        after = np.linalg.norm(places[child] - places[body.parents[1:]], axis=1)
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_no_turn_leaves_the_body_at_rest() -> None:
    body = load_body()
    rest = np.tile(np.eye(3), (len(body.joints), 1, 1))
    moved = skin(body.vertices, body.bones, body.weights, joint_transforms(body.joints, body.parents, rest))
    np.testing.assert_allclose(moved, body.vertices, atol=1e-5)


def test_skinning_equals_its_plain_text() -> None:
    body = load_body()
    transforms = joint_transforms(body.joints, body.parents, walk(body, body.joints, Gait(), 0.3))
    ones = np.concatenate([body.vertices, np.ones((len(body.vertices), 1))], axis=1)
    turned = np.einsum("vkab,vb->vka", transforms[body.bones], ones)
    np.testing.assert_allclose(
        skin(body.vertices, body.bones, body.weights, transforms), (turned * body.weights[..., None]).sum(1), atol=1e-5
    )


def test_normals_equal_their_plain_text() -> None:
    body = load_body()
    corners = body.vertices[body.triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(body.vertices)
    for corner in range(3):
        np.add.at(total, body.triangles[:, corner], faces)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(vertex_normals(body.vertices, body.triangles), expected, atol=1e-4)


def test_a_turn_is_a_rotation() -> None:
    matrix = turn((1, 2, -0.5), 0.7)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)
    np.testing.assert_allclose(turn((0, 0, 2), math.pi / 2) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_legs_move_in_turn_and_a_foot_stays_on_the_ground() -> None:
    body, rng = load_body(), np.random.default_rng(0)
    figure = dress(body, sample_person(rng, sample_wardrobe(rng)))
    for phase in np.linspace(0, 1, 5):
        assert pose(body, figure, float(phase))[:, 2].min() == pytest.approx(0, abs=1e-6)
    joints = figure.joints
    for phase, ahead, behind in ((0.0, "left", "right"), (0.5, "right", "left")):
        moved = joint_transforms(joints, body.parents, walk(body, joints, Gait(), phase))
        places = np.einsum("jab,jb->ja", moved[:, :, :3], joints) + moved[:, :, 3]
        assert places[body.joint(f"ankle_{ahead}"), 1] < places[body.joint(f"ankle_{behind}"), 1] - 0.3
        assert places[body.joint(f"wrist_{behind}"), 1] < places[body.joint(f"wrist_{ahead}"), 1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("bag", bag) for bag in BAGS), *(("hat", hat) for hat in HATS), *(("lower", lower) for lower in LOWERS),
        *(("hair_style", style) for style in HAIR_STYLES), ("hem", 0.55),
    ],
)  # fmt: skip
def test_every_outfit_is_one_sound_mesh(field: str, value: object) -> None:
    body, rng = load_body(), np.random.default_rng(3)
    figure = dress(body, replace(sample_person(rng, sample_wardrobe(rng)), **{field: value}))  # type: ignore[arg-type]
    count = len(figure.vertices)
    assert figure.triangles.min() >= 0
    assert figure.triangles.max() < count
    assert len(figure.bones) == len(figure.weights) == len(figure.coordinates) == count
    np.testing.assert_allclose(figure.weights.sum(1), 1, atol=1e-5)
    assert np.isfinite(pose(body, figure, 0.4)).all()
