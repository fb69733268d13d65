"""Cross-entropy and center loss beside naive twins, their edges and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from resight.losses.classification import center_loss, cross_entropy


def case(seed: int, batch: int, classes: int, dim: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n, dim, generator=generator, dtype=torch.float64) for n in (batch, classes))
    return first, torch.randint(classes, (batch,), generator=generator), second


def near(found: torch.Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)


@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 6),
    classes=st.integers(1, 7),
    smoothing=st.sampled_from([0, 0.1, 1]),
)
def test_cross_entropy_equals_the_equation(seed: int, batch: int, classes: int, smoothing: float) -> None:
    features, labels, weights = case(seed, batch, classes)
    logits = features @ weights.T
    losses = cross_entropy(logits, labels, label_smoothing=smoothing)
    near(losses, reference.cross_entropy(logits, labels, smoothing))
    shifted = cross_entropy(logits + 7, labels, label_smoothing=smoothing)
    torch.testing.assert_close(shifted, losses)
    assert (losses > -1e-12).all()


def test_equal_logits_cost_the_log_of_their_number() -> None:
    near(cross_entropy(torch.ones(2, 751, dtype=torch.float64), torch.tensor([0, 750])), [math.log(751)] * 2)


def test_nothing_is_smoothed_where_it_is_not_asked_for() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, -1.0]], dtype=torch.float64), torch.tensor([0])
    near(cross_entropy(logits, labels), reference.cross_entropy(logits, labels, 0))


@given(seed=st.integers(0, 2**31), batch=st.integers(1, 6), classes=st.integers(1, 4))
def test_center_loss_equals_the_equation(seed: int, batch: int, classes: int) -> None:
    features, labels, centers = case(seed, batch, classes)
    near(center_loss(features, labels, centers), reference.center_loss(features, labels, centers))
    near(center_loss(centers[labels], labels, centers), [0.0] * batch)


def test_a_center_learns_from_its_own_images_only() -> None:
    features, _, centers = case(0, 3, 3)
    centers.requires_grad_()
    labels = torch.tensor([0, 0, 2])
    center_loss(features, labels, centers).sum().backward()
    assert centers.grad is not None
    with torch.no_grad():
        expected = torch.stack([2 * centers[0] - features[0] - features[1], 0 * centers[1], centers[2] - features[2]])
    torch.testing.assert_close(centers.grad, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_are_those_of_finite_differences(smoothing: float) -> None:
    features, labels, centers = case(1, 4, 3)
    logits = (features @ centers.T).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, labels, label_smoothing=smoothing), (logits,))
    inputs = features.requires_grad_(), centers.requires_grad_()
    assert torch.autograd.gradcheck(lambda f, c: center_loss(f, labels, c), inputs)
