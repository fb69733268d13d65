"""Ranks that a GPU counts are those of a full sort and of the kernels."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from gpu_twins import devices
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from drawn import pairs, scene
from resight.errors import ConfigError, DataError
from resight.numerics import gpu as tensors
from resight.numerics.metrics import positive_ranks


def assert_ranks(device, distances, *columns, exclude="same-camera", distractor_id=0):
    """The ranks are those of a full sort, and those that are counted."""
    found = positive_ranks(
        torch.tensor(distances, device=device), *columns, exclude=exclude, distractor_id=distractor_id
    )
    expected = reference.ranks(
        distances,
        pairs(*columns[:2]),
        pairs(*columns[2:]),
        same_camera=exclude == "same-camera",
        distractor_id=distractor_id,
    )
    assert [found[0][low:high].tolist() for low, high in pairwise(found[1])] == expected
    counted = positive_ranks(distances, *columns, exclude=exclude, distractor_id=distractor_id)
    for one, other in zip(found, counted, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == np.int64
    return found


@devices
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["same-camera", "none"]))
def test_ranks_are_those_of_a_full_sort(device, seed, tied, exclude):
    distances, *columns = scene(seed, queries=8, gallery=40, tied=tied)
    for distractor_id in (0, None, 3):
        assert_ranks(device, distances, *columns, exclude=exclude, distractor_id=distractor_id)


@devices
@pytest.mark.parametrize("value", [np.inf, -np.inf, 0.0, -0.0])
@pytest.mark.parametrize("entries", [2**26, 300, 1])
def test_ties_of_any_value_ascend_by_row(device, value, entries, monkeypatch):
    monkeypatch.setattr(tensors, "ENTRIES", entries)
    distances, *columns = scene(4)
    distances[:, ::2] = value
    distances[:, ::3] = abs(value)
    assert len(assert_ranks(device, distances, *columns, distractor_id=None)[0]) > 100


@devices
def test_ranks_of_one_camera_of_nobody_and_of_nothing(device):
    distances, *columns = scene(5)
    columns[1][:], columns[3][:] = 2, 2
    assert len(assert_ranks(device, distances, *columns)[0]) == 0
    assert len(assert_ranks(device, distances, *columns, exclude="none")[0]) > 0
    columns[2][:] = -1
    assert len(assert_ranks(device, distances, *columns, exclude="none")[0]) == 0
    empty = positive_ranks(torch.empty(0, 3, device=device), [], [], [1, 2, 3], [0, 0, 0])
    assert (empty[0].tolist(), empty[1].tolist()) == ([], [0])
    empty = positive_ranks(torch.empty(2, 0, device=device), [1, 2], [0, 0], [], [])
    assert (empty[0].tolist(), empty[1].tolist()) == ([], [0, 0, 0])
    closer = torch.tensor([[1 + 1e-10, 1]], dtype=torch.float64, device=device)  # a tie in float32
    assert positive_ranks(closer, [1], [0], [1, 2], [1, 1])[0].tolist() == [0]


@devices
def test_distances_that_cannot_be_ranked_are_told(device, monkeypatch):
    distances, *columns = scene(0)
    distances[4, 7] = distances[9, 1] = np.nan
    for entries in (2**26, 300):
        monkeypatch.setattr(tensors, "ENTRIES", entries)
        with pytest.raises(DataError, match="query 4 hold nan"):
            positive_ranks(torch.tensor(distances, device=device), *columns)
    matrix = torch.tensor(distances, device=device)
    with pytest.raises(DataError, match="query_people must have shape"):
        positive_ranks(matrix[:3], *columns)
    with pytest.raises(DataError, match=r"\(Q, G\), found \(120,\)"):
        positive_ranks(matrix[0], *columns)
    with pytest.raises(ConfigError, match="exclude"):
        positive_ranks(matrix, *columns, exclude="same")
