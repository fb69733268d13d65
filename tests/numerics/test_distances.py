"""Distances between rows of several parts, and the whitening of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

import reference
from resight.errors import DataError
from resight.numerics.distances import squared_distances, sum_of_part_distances, whiten


@given(parts=st.integers(1, 4), width=st.integers(1, 4), seed=st.integers(0, 99))
def test_the_sum_of_part_distances_equals_its_plain_text(parts: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.normal(size=(size, parts * width)).astype(np.float32) for size in (4, 5))
    found = sum_of_part_distances(a, b, parts=parts)
    assert found.dtype == np.float32
    # The root makes more of a rounding near 0.
    np.testing.assert_allclose(found, reference.sum_of_part_distances(a, b, parts), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(found, sum_of_part_distances(b, a, parts=parts).T, rtol=1e-4, atol=1e-2)


def test_the_order_of_parts_does_not_matter() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 1, 6)).astype(np.float32)
    turned = np.roll(b, 2, axis=1)
    np.testing.assert_allclose(sum_of_part_distances(a, b), sum_of_part_distances(a, turned), rtol=1e-5)


def test_rows_that_cannot_be_cut_are_refused() -> None:
    rows = np.ones((1, 6), np.float32)
    for parts in (0, 4):
        with pytest.raises(DataError, match=f"rows of 6 and 6 numbers cannot be cut into {parts}"):
            sum_of_part_distances(rows, rows, parts=parts)
    with pytest.raises(DataError, match="same dimension"):
        sum_of_part_distances(rows, rows[:, :3])


# -- whitening -----------------------------------------------------------------------------------------------------


def spread_out(rows: int = 200, width: int = 12) -> np.ndarray:
    """Rows of unequal variances, turned, away from the origin."""
    random = np.random.default_rng(1)
    turn = np.linalg.qr(random.normal(size=(width, width)))[0]
    return (random.normal(size=(rows, width)) * np.logspace(0, -2, width)) @ turn + 3


@pytest.mark.parametrize("power", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("shape", [(200, 12), (12, 13), (9, 40)])
def test_whitened_rows_are_the_principal_components_over_their_deviations(power: float, shape: tuple[int, int]) -> None:
    rows = spread_out(*shape)
    components = PCA(min(shape[0] - 1, shape[1])).fit(rows)
    deviations = np.sqrt(components.explained_variance_ * (len(rows) - 1) / len(rows))
    expected = components.transform(rows) / deviations**power
    found = whiten(rows, power)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        squared_distances(found, found), squared_distances(expected, expected), rtol=1e-3, atol=2e-3
    )


def test_a_power_of_0_only_turns_and_a_power_of_1_makes_all_directions_vary_alike() -> None:
    rows = spread_out()
    turned = whiten(rows, 0)
    np.testing.assert_allclose(squared_distances(turned, turned), squared_distances(rows, rows), atol=1e-4)
    np.testing.assert_allclose(np.cov(whiten(rows, 1).T, bias=True), np.eye(12), atol=1e-3)


def test_directions_in_which_nothing_varies_are_left_out() -> None:
    assert whiten(spread_out(rows=5), 1).shape == (5, 4)
    flat = np.concatenate([spread_out(), np.ones((200, 3))], axis=1)
    assert whiten(flat, 1).shape == (200, 12)
    assert whiten(np.ones((4, 3)), 0.5).shape[0] == 4
