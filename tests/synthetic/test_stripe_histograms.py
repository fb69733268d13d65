"""The baseline of histograms of stripes."""

from __future__ import annotations

import numpy as np
import pytest

from resight.errors import DataError
from resight.synthetic import stripe_histogram


def test_histograms_are_unit_vectors_that_see_stripes_and_colors() -> None:
    red, blue = np.zeros((128, 64, 3), np.uint8), np.zeros((128, 64, 3), np.uint8)
    red[..., 0], blue[..., 2] = 200, 200
    half = red.copy()
    half[64:] = blue[64:]
    vectors = stripe_histogram(np.stack([red, blue, half, half[::-1]]))
    assert vectors.shape == (4, 6 * 8 * 8 * 4)
    assert vectors.dtype == np.float32
    expected = [[1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5], [0.5, 0.5, 1, 0], [0.5, 0.5, 0, 1]]
    np.testing.assert_allclose(vectors @ vectors.T, expected, atol=1e-5)
    with pytest.raises(DataError, match="6 stripes"):
        stripe_histogram(red[None, :5])
