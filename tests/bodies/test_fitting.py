"""Bodies from landmarks: limbs point where the landmarks do, and the picture lies where they are."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from looks import average, distance

from resight.bodies.bank import stand_in
from resight.bodies.fitting import LIMBS, estimate_tilt, estimate_yaw, fit_body, upright
from resight.bodies.landmarks import (
    ANKLE_LEFT,
    NOSE,
    NUM_LANDMARKS,
    SHOULDER_LEFT,
    USED,
    Landmarks,
    camera_axes,
    points_on_body,
    true_landmarks,
)
from resight.synthetic import SyntheticSettings
from resight.synthetic.body import load_body, turn
from resight.synthetic.plan import plan
from resight.synthetic.studio import Studio
from resight.synthetic.turns import PosedBodies, body_in, place, render_structure, to_pixels


@cache
def walkers() -> PosedBodies:
    """Bodies of drawn people: of every shape, in many poses, from many sides."""
    studio = Studio(SyntheticSettings(people_train=6, people_test=0, cameras=3, crops=1, seed=2))
    parts = [body_in(studio.body, studio.cameras[i.camera - 1], studio.shot(i), 0.5) for i in plan(studio.settings)]
    return PosedBodies.concatenate(parts)


def gap(first: float, second: float) -> float:
    """Degrees between two directions."""
    return abs(math.degrees((first - second + math.pi) % (2 * math.pi) - math.pi))


def test_true_landmarks_give_the_pose_and_the_side_back() -> None:
    errors, yaws = [], []
    for row in range(len(walkers())):
        fitted = fit_body(true_landmarks(walkers(), row), 0.5)
        errors.append(distance(walkers()[row : row + 1], fitted) / average())
        yaws.append(gap(float(walkers().yaws[row]), float(fitted.yaws[0])))
    assert np.mean(errors) < 0.035, "in body heights; shapes and slopes differ, which landmarks do not say"
    assert np.max(errors) < 0.08
    assert np.max(yaws) < 12, "hips and shoulders turn against each other in a step"


def test_limbs_point_where_the_landmarks_do() -> None:
    """The twin by definition: each direction on the fitted body is that between two landmarks."""
    for row in range(0, len(walkers()), 4):
        landmarks = true_landmarks(walkers(), row)
        fitted = fit_body(landmarks, 0.5)
        wanted, yaw, _ = upright(landmarks)
        own = points_on_body(*place(replace(fitted, yaws=np.zeros(1, np.float32)), 0))
        assert gap(yaw, float(fitted.yaws[0])) < 0.01
        for start, end in LIMBS.values():
            cosine = np.dot(unit(wanted[end] - wanted[start]), unit(own[end] - own[start]))
            assert cosine > math.cos(math.radians(2))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_fitted_body_fits_its_own_landmarks() -> None:
    once = fit_body(true_landmarks(walkers(), 3), 0.5)
    again = fit_body(true_landmarks(once, 0), 0.5)
    assert distance(once, again) < 0.02
    np.testing.assert_allclose(again.boxes, once.boxes, atol=0.004)
    maps = [render_structure(each, 0, (128, 64))[0] < 255 for each in (once, again)]
    assert (maps[0] & maps[1]).sum() / (maps[0] | maps[1]).sum() > 0.9


def test_the_picture_lies_where_the_landmarks_are() -> None:
    landmarks = true_landmarks(walkers(), 0)
    fitted = fit_body(landmarks, 0.5)
    used = list(USED)
    own = to_pixels(fitted, 0, points_on_body(*place(fitted, 0)), (1, 1))[used, :2]
    assert np.abs(own - landmarks.points[used]).mean() < 0.03
    shifted = fit_body(replace(landmarks, points=landmarks.points + np.array([0.25, -0.125], np.float32)), 0.5)
    moved = to_pixels(shifted, 0, points_on_body(*place(shifted, 0)), (1, 1))[used, :2]
    np.testing.assert_allclose(moved - own, np.tile([0.25, -0.125], (len(used), 1)), atol=1e-4)
    wide = fit_body(replace(landmarks, points=landmarks.points * np.array([0.5, 1], np.float32)), 1.0)
    np.testing.assert_allclose(np.ptp(wide.boxes[0][[0, 2]]), 2 * np.ptp(fitted.boxes[0][[0, 2]]), rtol=1e-4)


@given(angle=st.floats(-math.pi, math.pi), scale=st.floats(0.3, 3))
def test_a_turned_person_is_the_same_person_turned(angle: float, scale: float) -> None:
    """Landmarks that turn about the vertical, or grow, change the yaw alone."""
    row = 5
    level = replace(walkers()[row : row + 1], pitches=np.zeros(1, np.float32))
    landmarks = true_landmarks(level, 0)
    straight = replace(
        landmarks, positions=np.asarray(landmarks.positions @ camera_axes(estimate_tilt(landmarks)), np.float32)
    )
    turned = scale * (straight.positions @ turn((0, 0, 1), angle).T)
    expected, _, _ = upright(straight)
    yaw = estimate_yaw(turned.astype(np.float64))
    assert gap(yaw, estimate_yaw(straight.positions.astype(np.float64)) + angle) < 0.1
    np.testing.assert_allclose(turned @ turn((0, 0, 1), yaw) / scale, expected, atol=0.02)


def test_a_camera_that_looks_down_is_told_from_a_person_who_leans() -> None:
    level = replace(walkers()[:1], pitches=np.zeros(1, np.float32))
    steep = replace(level, pitches=np.full(1, 0.4, np.float32))
    fitted = [fit_body(true_landmarks(bodies, 0), 0.5) for bodies in (level, steep)]
    assert fitted[1].pitches[0] - fitted[0].pitches[0] == pytest.approx(0.4, abs=0.05)
    assert distance(*fitted) < 0.03


def test_soles_are_on_the_ground() -> None:
    fitted = fit_body(true_landmarks(walkers(), 1), 0.5)
    vertices, _ = place(fitted, 0)
    assert vertices[:, 2].min() == pytest.approx(0.008 - 0.9, abs=1e-4)


@pytest.mark.parametrize("positions", ["zeros", "flat", "mirrored", "random"])
def test_absurd_landmarks_give_a_finite_body(positions: str) -> None:
    landmarks = true_landmarks(walkers(), 0)
    absurd = {
        "zeros": np.zeros((NUM_LANDMARKS, 3), np.float32),
        "flat": landmarks.positions * np.array([1, 0, 0], np.float32),
        "mirrored": -landmarks.positions,
        "random": np.random.default_rng(0).normal(size=(NUM_LANDMARKS, 3)).astype(np.float32),
    }[positions]
    for points in (landmarks.points, np.zeros((NUM_LANDMARKS, 2), np.float32)):
        for make in (fit_body, stand_in):
            body = make(Landmarks(absurd, points, np.zeros(NUM_LANDMARKS, np.float32), 1.0), 0.5)
            assert all(np.isfinite(values).all() for values in vars(body).values())
            turns = body.rotations[0] @ body.rotations[0].transpose(0, 2, 1)
            np.testing.assert_allclose(turns, np.tile(np.eye(3), (len(turns), 1, 1)), atol=1e-4)
            assert render_structure(body, 0, (32, 16)).shape == (1, 32, 16)


# --- stand-ins -----------------------------------------------------------------------------------------------------


def test_a_stand_in_fills_the_crop_and_faces_as_the_person() -> None:
    for row, aspect in ((0, 0.5), (2, 0.7), (4, 0.4)):
        landmarks = true_landmarks(walkers(), row)
        body = stand_in(landmarks, aspect)
        assert gap(float(body.yaws[0]), float(walkers().yaws[row])) < 12
        outline = to_pixels(body, 0, place(body, 0)[0], (1, 1))[:, :2]
        assert outline[:, 1].min() == pytest.approx(0.03, abs=0.01)
        assert outline[:, 1].max() == pytest.approx(0.97, abs=0.01)
        left, top, right, bottom = body.boxes[0].tolist()
        assert (right - left) / (bottom - top) == pytest.approx(aspect, rel=1e-4)


def test_a_stand_in_is_in_the_phase_of_the_step() -> None:
    """The bank holds the pose of a landmark set that is in it."""
    walker = stand_in(true_landmarks(walkers(), 0), 0.5)
    same = stand_in(true_landmarks(walker, 0), 0.5)
    np.testing.assert_array_equal(same.rotations, walker.rotations)


# --- landmarks -----------------------------------------------------------------------------------------------------


def test_landmarks_of_the_body_at_rest_are_where_their_names_say() -> None:
    body = load_body()
    points = points_on_body(body.vertices, body.joints)
    assert points[NOSE, 1] == pytest.approx(body.vertices[:, 1].min(), abs=0.3)
    assert 1.6 < points[NOSE, 2] < 1.7
    for left in range(7, NUM_LANDMARKS, 2):
        if left in USED:
            assert points[left, 0] > 0.05, "left is +x"
            np.testing.assert_allclose(points[left], points[left + 1] * (-1, 1, 1), atol=0.01)
    assert points[ANKLE_LEFT, 2] < 0.15 < points[SHOULDER_LEFT, 2]


def test_confidence_falls_with_presence_visibility_and_spread() -> None:
    landmarks = true_landmarks(walkers(), 0)
    assert landmarks.confidence == pytest.approx(1)
    assert replace(landmarks, presence=0.5).confidence == pytest.approx(0.5)
    assert replace(landmarks, visibility=landmarks.visibility * np.float32(0.5)).confidence == pytest.approx(0.5)
    assert replace(landmarks, spread=0.2).confidence == pytest.approx(math.exp(-1))
