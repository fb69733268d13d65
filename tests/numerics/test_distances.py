"""Distances between rows of several parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from resight.errors import DataError
from resight.numerics.distances import sum_of_part_distances


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
