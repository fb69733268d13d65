"""Batches of clusters and of images in no cluster."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resight.data.samplers import hybrid_batches
from resight.errors import DataError, RunError


def drawn(labels: list[int], shape: tuple[int, int], batches: int, *, seed: int = 0, **columns: np.ndarray) -> list:
    cameras = columns.pop("cameras", np.zeros(len(labels), np.int64))
    stream = hybrid_batches(np.array(labels), cameras, shape, np.random.default_rng(seed), **columns)
    return list(islice(stream, batches))


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(-1, 4), min_size=2, max_size=40).filter(lambda rows: len({*rows}) > 1),
    shape=st.tuples(st.integers(2, 5), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_each_identity_comes_once_in_a_pass(labels: list[int], shape: tuple[int, int], seed: int) -> None:
    """Three passes, put together from batches of P x K rows: a cluster gives K rows next to each other, others one."""
    images = {label: labels.count(label) for label in set(labels)}
    rows_of_pass = sum(shape[1] if images[label] > 1 else 1 for label in set(labels) - {-1}) + images.get(-1, 0)
    batches = drawn(labels, shape, -(-3 * rows_of_pass // (shape[0] * shape[1])), seed=seed)
    assert {len(batch) for batch in batches} == {shape[0] * shape[1]}
    rows = np.concatenate(batches)
    for start in range(0, 3 * rows_of_pass, rows_of_pass):
        one_pass = rows[start : start + rows_of_pass].tolist()
        alone = [row for row in one_pass if labels[row] == -1]
        assert sorted(alone) == [row for row, label in enumerate(labels) if label == -1]
        for label in set(labels) - {-1}:
            places = [place for place, row in enumerate(one_pass) if labels[row] == label]
            assert len(places) == (shape[1] if images[label] > 1 else 1)
            assert places == list(range(places[0], places[0] + len(places)))


def test_images_of_a_cluster_come_from_other_cameras_than_the_first() -> None:
    cameras = np.array([0, 0, 0, 1, 2, 0])
    stream = np.concatenate(drawn([0, 0, 0, 0, 0, -1], (2, 4), 20, cameras=cameras))  # passes of 4 + 1 rows
    groups = [rows[rows != 5] for rows in stream.reshape(-1, 5)]
    assert {len(rows) for rows in groups} == {4}
    for first, *others in (cameras[rows] for rows in groups):
        assert first not in others


def test_every_image_is_drawn_and_orders_differ() -> None:
    batches = drawn([0] * 5 + [1] * 5 + [-1] * 4, (2, 4), 40)
    assert set(np.concatenate(batches).tolist()) == set(range(14))
    assert len({tuple(batch) for batch in batches}) > 30
    again = drawn([0] * 5 + [1] * 5 + [-1] * 4, (2, 4), 40)
    np.testing.assert_array_equal(batches, again)


def test_a_batch_is_of_one_domain_and_domains_come_by_their_number_of_identities() -> None:
    """The last domain has a single cluster, which nothing can be told apart from."""
    labels, domains = [-1] * 30 + [0] * 5 + [1] * 5 + [2] * 3, np.repeat([4, 5, 7], [30, 10, 3])
    batches = drawn(labels, (2, 4), 300, domains=domains)
    seen = [np.unique(domains[batch]).tolist() for batch in batches]
    assert all(len(each) == 1 for each in seen)
    shares = np.bincount([each[0] for each in seen], minlength=8) / 300
    np.testing.assert_allclose(shares[[4, 5, 7]], [30 / 32, 2 / 32, 0], atol=0.05)


def test_what_cannot_be_told_apart_is_an_error() -> None:
    for labels in ([0, 0, 0], [], [-1]):
        with pytest.raises(RunError, match="two or more"):
            drawn(labels, (2, 2), 1)
    with pytest.raises(DataError, match="cameras"):
        drawn([0, 1], (2, 2), 1, cameras=np.zeros(3, np.int64))
