"""Eq. 5.6 to 5.8 and the choice of negatives beside naive twins, their edges and their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import reference
from resight.losses.contrastive import choose_negatives, view_contrast

seeds = st.integers(0, 2**31)
few = settings(max_examples=25, deadline=None)


def vectors(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(seed: int, batch: int = 4, images: int = 7) -> tuple[list[Tensor], Tensor]:
    """Two views, the pushed one and the memory; and which of its images are negatives."""
    negatives = torch.rand(batch, images, generator=torch.Generator().manual_seed(seed)) < 0.5
    return [vectors(seed + i, batch, 5) for i in range(3)] + [vectors(seed + 3, images, 5)], negatives


def near(found: Tensor, expected: list[float], tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=tolerance, atol=tolerance)


@few
@given(seed=seeds, batch=st.integers(1, 5), images=st.integers(1, 8))
def test_it_equals_the_equation(seed: int, batch: int, images: int) -> None:
    views, negatives = case(seed, batch, images)
    found = view_contrast(*views, negatives=negatives, temperature=0.2)
    near(found, reference.view_contrast(*views, negatives, 0.2))


def test_without_negatives_it_is_zero_and_teaches_nothing() -> None:
    views, negatives = case(0)
    negatives[1] = False
    views[0].requires_grad_()
    losses = view_contrast(*views, negatives=negatives, temperature=0.04)
    losses.sum().backward()
    assert losses[1] == 0
    assert views[0].grad is not None
    assert not views[0].grad[1].any()
    assert views[0].grad[[0, 2, 3]].abs().sum(1).min() > 0


def test_equal_vectors_give_the_log_of_their_number() -> None:
    same = torch.ones(2, 4, dtype=torch.float64)
    memory, negatives = torch.ones(5, 4, dtype=torch.float64), torch.ones(2, 5, dtype=torch.bool)
    near(view_contrast(same, same, same, memory, negatives=negatives, temperature=0.04), [math.log(6)] * 2)


def test_the_length_of_features_does_not_count() -> None:
    views, negatives = case(1)
    longer = [scale * view for scale, view in zip((2, 40, 0.1, 7), views, strict=True)]
    torch.testing.assert_close(
        *(view_contrast(*each, negatives=negatives, temperature=0.04) for each in (views, longer))
    )


def test_gradients_are_those_of_finite_differences_and_none_reaches_the_memory() -> None:
    views, negatives = case(2)
    *learned, memory = (view.requires_grad_() for view in views)
    assert torch.autograd.gradcheck(
        lambda *each: view_contrast(*each, memory, negatives=negatives, temperature=0.2), learned
    )
    view_contrast(*learned, memory, negatives=negatives, temperature=0.2).sum().backward()
    assert memory.grad is None
    assert all(view.grad is not None and view.grad.any() for view in learned)


@pytest.mark.parametrize("kind", ["huge", "zero", "opposite"])
def test_extreme_vectors_give_finite_losses_and_gradients(kind: str) -> None:
    views, negatives = case(3)
    left, right, pushed, memory = (view.float() for view in views)
    left = {"huge": left * 1e6, "zero": torch.zeros_like(left), "opposite": -right}[kind].requires_grad_()
    losses = view_contrast(left, right, pushed, memory, negatives=negatives, temperature=1e-3)
    losses.sum().backward()
    assert left.grad is not None
    assert losses.isfinite().all()
    assert left.grad.isfinite().all()


# -- negatives -----------------------------------------------------------------------------------------------------


@few
@given(seed=seeds, images=st.integers(1, 12), most=st.integers(1, 6), outliers=st.booleans())
def test_negatives_are_the_first_of_other_clusters_in_a_random_order(
    seed: int, images: int, most: int, outliers: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    memory_labels = torch.randint(-1, 3, (images,), generator=generator)
    labels, order = torch.tensor([0, 1, 2]), torch.randperm(images, generator=generator)
    found = choose_negatives(labels, memory_labels, order, most=most, outliers=outliers)
    expected = reference.chosen_negatives(labels, memory_labels, order, most, outliers)
    assert [row.nonzero()[:, 0].tolist() for row in found] == expected


def test_a_giant_cluster_leaves_its_images_fewer_negatives_than_others() -> None:
    memory_labels = torch.tensor([0] * 9 + [1, 1, -1])
    labels, order = torch.tensor([0, 1]), torch.arange(12)
    counts = {
        (most, outliers): choose_negatives(labels, memory_labels, order, most=most, outliers=outliers).sum(1).tolist()
        for most in (8, 8192)
        for outliers in (True, False)
    }
    assert counts == {(8, True): [3, 8], (8, False): [2, 8], (8192, True): [3, 10], (8192, False): [2, 9]}


def test_every_image_of_another_cluster_is_drawn_as_often() -> None:
    memory_labels, generator = torch.tensor([0, 0, 1, 1, 2, -1]), torch.Generator().manual_seed(0)
    counts = np.zeros(6)
    for _ in range(600):
        order = torch.randperm(6, generator=generator)
        counts += choose_negatives(torch.tensor([0]), memory_labels, order, most=2, outliers=True)[0].numpy()
    assert counts[:2].tolist() == [0, 0]
    np.testing.assert_allclose(counts[2:], 300, rtol=0.15)
