"""The renderer equals its plain texts, and clothes are painted where they belong."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from resight.synthetic.appearance import sample_person, sample_wardrobe
from resight.synthetic.body import load_body, vertex_normals
from resight.synthetic.cameras import look, soften
from resight.synthetic.outfit import dress, pose
from resight.synthetic.paint import SECOND, Surface, shade, surface_color
from resight.synthetic.raster import EMPTY, rasterise


def rasterise_plainly(
    points: np.ndarray, triangles: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Do what `rasterise` does, triangle by triangle over the whole image."""
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    owner, nearest = np.full((height, width), EMPTY), np.zeros((height, width))
    shares = np.zeros((height, width, 3))
    for t, corners in enumerate(points[triangles].astype(float)):
        system = np.stack([corners[:, 0], corners[:, 1], np.ones(3)])
        if abs(np.linalg.det(system)) < 1e-9:
            continue
        w = np.einsum("ab,bij->ija", np.linalg.inv(system), np.stack([columns, rows, np.ones_like(rows)]))
        closeness = w @ corners[:, 2]
        wins = (w >= 0).all(-1) & (closeness > nearest)
        owner[wins], nearest[wins] = t, closeness[wins]
        shares[wins] = (w * corners[:, 2] / closeness[..., None])[wins]
    return owner, shares


def test_rasterise_equals_its_plain_text() -> None:
    rng = np.random.default_rng(2)
    points = np.concatenate([rng.uniform(-3, 23, (24, 2)), rng.uniform(0.1, 1, (24, 1))], axis=1).astype(np.float32)
    triangles = np.concatenate([rng.integers(0, 24, (12, 3)), [[0, 0, 1]]])
    owner, shares = rasterise(points, triangles, 20, 16)
    expected_owner, expected_shares = rasterise_plainly(points, triangles, 20, 16)
    np.testing.assert_array_equal(owner, expected_owner)
    np.testing.assert_allclose(shares, expected_shares, atol=1e-3)
    assert (owner != EMPTY).any()
    assert (owner == EMPTY).any()


def test_the_nearer_triangle_hides_the_other() -> None:
    points = np.array([[0, 0, 0.1], [8, 0, 0.1], [0, 8, 0.1], [0, 0, 0.5], [8, 0, 0.5], [0, 8, 0.5]], np.float32)
    owner, _ = rasterise(points, np.array([[3, 4, 5], [0, 1, 2]]), 8, 8)
    assert set(np.unique(owner)) == {EMPTY, 0}


def test_shade_equals_its_plain_text() -> None:
    body, rng = load_body(), np.random.default_rng(4)
    figure = dress(body, sample_person(rng, sample_wardrobe(rng)))
    vertices = pose(body, figure, 0.1)
    normals = vertex_normals(vertices, figure.triangles)
    points = np.stack([16 + 14 * vertices[:, 0], 62 - 30 * vertices[:, 2], 1 / (5 + vertices[:, 1])], axis=1)
    owner, shares = rasterise(points.astype(np.float32), figure.triangles, 64, 32)
    light = np.array([0.6, -0.64, 0.48, 0.7, 0.4], np.float32)
    mesh = (figure.triangles, figure.surfaces, figure.coordinates, normals)
    pixels = shade((owner, shares), mesh, (figure.paint.colors, figure.paint.numbers), light, 2)
    expected = np.zeros((64, 32, 4))
    for row, column in np.argwhere(owner != EMPTY):
        t, s = owner[row, column], shares[row, column]
        x, y, z, along = s @ figure.coordinates[figure.triangles[t]]
        normal = s @ normals[figure.triangles[t]]
        normal = normal / np.linalg.norm(normal)
        slot, tint = surface_color.py_func(int(figure.surfaces[t]), x, y, z, along, figure.paint.numbers)
        strength = 0.7 * max(0, normal @ light[:3]) + 0.4 * (0.66 + 0.34 * normal[2])
        expected[row, column, :3] = np.minimum(1, figure.paint.colors[slot] * tint) * strength
        expected[row, column, 3] = 1
    expected = expected.reshape(32, 2, 16, 2, 4).mean((1, 3))
    close = np.isclose(pixels, expected, atol=2e-3).all(-1)
    assert close.mean() > 0.99  # a sample on the border of a pattern may fall on either side


def test_surfaces_are_worn_where_they_belong() -> None:
    rng = np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), pattern="plain", sleeve=0.3, hem=0.95, bag="none", print_back=0
    )
    numbers = dress(load_body(), replace(person, lower="trousers", lower_pattern=0)).paint.numbers
    upper, _ = surface_color(Surface.TORSO, 0.0, 0.1, 1.2, 0.0, numbers)
    lower, _ = surface_color(Surface.TORSO, 0.0, 0.1, 0.93, 0.0, numbers)
    leg, _ = surface_color(Surface.LEG, 0.1, 0.0, 0.7, 0.0, numbers)
    sleeve, _ = surface_color(Surface.ARM, 0.3, 0.0, 1.3, 0.2, numbers)
    hand, _ = surface_color(Surface.ARM, 0.5, 0.0, 1.1, 1.1, numbers)
    face, _ = surface_color(Surface.FACE, 0.0, 0.0, 1.7, 0.0, numbers)
    assert lower == leg
    assert upper == sleeve
    assert hand == face
    assert len({upper, lower, hand}) == 3


@pytest.mark.parametrize("height", [0.75, 0.6, 0.3])
def test_a_side_stripe_runs_down_the_outside_of_a_leg(height: float) -> None:
    """What of the leg's surface has the stripe's color: a narrow band on the outside, on both legs alike."""
    body, rng = load_body(), np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), lower="trousers", lower_pattern=1, hem=0.95, boot=0.09, bag="none"
    )
    figure = dress(body, person)
    legs = figure.triangles[figure.surfaces == Surface.LEG]
    shares = rng.dirichlet(np.ones(3), (len(legs), 40))  # places all over the triangles
    places = np.einsum("tpc,tcx->tpx", shares, figure.coordinates[legs]).reshape(-1, 4)
    places = places[np.abs(places[:, 2] - height) < 0.1]
    striped = np.array([surface_color(Surface.LEG, *place, figure.paint.numbers)[0] == SECOND for place in places])
    assert 0.04 < striped.mean() < 0.2, "a stripe, not a two-colored leg"
    axis = np.array([np.median(np.abs(places[:, 0])), np.median(places[:, 1])])
    assert (np.abs(places[striped, 0]) > axis[0]).all()
    assert np.abs(places[striped, 1] - axis[1]).max() < 0.06
    assert (places[striped, 0] > 0).any()
    assert (places[striped, 0] < 0).any()


def test_checked_trousers_are_checked() -> None:
    rng = np.random.default_rng(0)
    person = replace(
        sample_person(rng, sample_wardrobe(rng)), lower="trousers", lower_pattern=3, hem=0.95, boot=0.09, bag="none"
    )
    numbers = dress(load_body(), person).paint.numbers

    def dark(angle: float, z: float) -> bool:
        x, y = 0.2 - 0.09 * z + 0.07 * math.sin(angle), -0.02 - 0.07 * math.cos(angle)
        return bool(surface_color(Surface.LEG, x, y, z, 0.0, numbers)[1] < 0.9)

    around = [dark(angle, 0.5) for angle in np.linspace(-math.pi, math.pi, 120, endpoint=False)]
    down = [dark(0.2, z) for z in np.linspace(0.3, 0.66, 120, endpoint=False)]
    for cells in (around, down):
        changes = sum(a != b for a, b in zip(cells, [*cells[1:], cells[0]], strict=True))
        assert changes >= 6
        assert 0.4 < np.mean(cells) < 0.6


@pytest.mark.parametrize("sigma", [0.8, 2.5])
def test_look_and_soften_equal_their_plain_texts(sigma: float) -> None:
    scene = np.random.default_rng(1).random((12, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(look(scene, np.array([2, 3, 10, 9], np.float32), 6, 8), scene[3:9, 2:10], atol=2e-3)
    blurred = scene
    for axis in (0, 1):
        blurred = gaussian_filter1d(blurred, sigma, axis, mode="nearest", radius=max(4, math.ceil(3 * sigma)))
    np.testing.assert_allclose(soften(scene, sigma), blurred, atol=1e-5)
