"""Measures of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from resight.errors import DataError
from resight.numerics.pictures import (
    body_thirds,
    frechet_distance,
    masked_difference,
    region_color_error,
    structural_similarity,
)


def pictures(seed: int, count: int = 3, size: tuple[int, int] = (13, 9)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


def test_structural_similarity_is_its_equation() -> None:
    first = pictures(0)
    second = np.clip(first + np.random.default_rng(1).normal(0, 40, first.shape), 0, 255).astype(np.uint8)
    second[2] = 255 - first[2]
    found = structural_similarity(first, second)
    np.testing.assert_allclose(found, [*map(reference.structural_similarity, first, second)], rtol=1e-9)
    assert found[2] < 0 < found[0] < 1
    mask = np.random.default_rng(2).random(first.shape[:3]) < 0.4
    mask[1] = False
    found = structural_similarity(first, second, mask)
    np.testing.assert_allclose(found, [*map(reference.structural_similarity, first, second, mask)], rtol=1e-9)
    assert np.isnan(found).tolist() == [False, True, False]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), size=st.tuples(st.integers(7, 12), st.integers(7, 12)))
def test_structural_similarity_is_symmetric_bounded_and_1_for_equals(seed: int, size: tuple[int, int]) -> None:
    first, second = pictures(seed, 2, size), pictures(seed + 1, 2, size)
    there, back = structural_similarity(first, second), structural_similarity(second, first)
    np.testing.assert_allclose(there, back)
    assert (np.abs(there) < 1).all()
    np.testing.assert_allclose(structural_similarity(first, first), 1)


def test_a_flat_picture_has_no_nan() -> None:
    flat = np.full((1, 8, 8, 3), 90, np.uint8)
    assert structural_similarity(flat, flat).tolist() == [1.0]


@pytest.mark.parametrize(("n", "m", "width"), [(40, 30, 5), (4, 9, 6), (2, 3, 12)])
def test_the_frechet_distance_is_its_formula(n: int, m: int, width: int) -> None:
    rng = np.random.default_rng(n)
    mix = rng.normal(size=(width, width))
    first, second = rng.normal(size=(n, width)) @ mix, 1 + 2 * rng.normal(size=(m, width))
    assert frechet_distance(first, second) == pytest.approx(reference.frechet_distance(first, second), rel=1e-6)


def test_the_frechet_distance_of_one_number_is_known() -> None:
    """Of normal distributions on a line it is the squared differences of means and of standard deviations."""
    first, second = np.array([[0.0], [2.0]]), np.array([[10.0], [16.0]])
    assert frechet_distance(first, second) == pytest.approx(12**2 + (np.sqrt(2) - np.sqrt(18)) ** 2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), n=st.integers(2, 12), m=st.integers(2, 12))
def test_the_frechet_distance_is_symmetric_and_0_for_the_same(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(n, 6)), rng.normal(size=(m, 6))
    there = frechet_distance(first, second)
    assert there == pytest.approx(frechet_distance(second, first), abs=1e-9)
    assert there >= 0
    assert frechet_distance(first, first[::-1]) == pytest.approx(0, abs=1e-9)
    shifted = frechet_distance(first, first + 3)
    assert shifted == pytest.approx(6 * 9)


def test_differences_count_the_pixels_of_the_mask() -> None:
    first, second = pictures(2), pictures(3)
    mask = np.random.default_rng(4).random(first.shape[:3]) < 0.3
    mask[2] = False
    expected = [*map(reference.masked_difference, first, second, mask)]
    np.testing.assert_allclose(masked_difference(first, second, mask), expected)
    assert np.isnan(expected[2])
    black, white = np.zeros_like(first), np.full_like(first, 255)
    assert masked_difference(black, white, ~mask)[2] == 1


def test_color_errors_are_those_of_each_region() -> None:
    first, second = pictures(5), pictures(6)
    regions = np.random.default_rng(7).integers(0, 4, first.shape[:3])
    regions[1][regions[1] == 2] = 0
    expected = [reference.region_color_error(*each, 3) for each in zip(first, second, regions, strict=True)]
    np.testing.assert_allclose(region_color_error(first, second, regions, 3), expected)
    assert np.isnan(expected[1][1])


def test_a_pattern_has_the_color_of_its_mean() -> None:
    stripes = np.zeros((1, 8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    gray = np.full_like(stripes, 100)
    regions = np.ones((1, 8, 8), np.uint8)
    assert region_color_error(stripes, gray, regions, 1)[0, 0] == pytest.approx(0, abs=1e-12)
    assert masked_difference(stripes, gray, regions > 0)[0] == pytest.approx(100 / 255)


def test_bodies_are_cut_into_thirds_of_their_height() -> None:
    mask = np.zeros((2, 12, 4), np.bool_)
    mask[0, 2:11, 1:3] = True
    thirds = body_thirds(mask)
    assert thirds[0, :, 1].tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0]
    assert not thirds[0, :, 0].any()
    assert not thirds[1].any()


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: structural_similarity(pictures(0), pictures(0, 2)), "of one shape"),
        (lambda: structural_similarity(pictures(0, 1, (6, 9)), pictures(0, 1, (6, 9))), "7 pixels or more"),
        (lambda: frechet_distance(np.zeros((1, 3)), np.zeros((4, 3))), "2 or more features"),
        (lambda: frechet_distance(np.zeros((4, 2)), np.zeros((4, 3))), "of one length"),
        (lambda: frechet_distance(np.full((4, 3), np.nan), np.zeros((4, 3))), "nan or inf"),
    ],
)
def test_what_cannot_be_compared_is_said(call, hint) -> None:
    with pytest.raises(DataError, match=hint):
        call()
