"""The losses of eq. 5.1 to 5.3 beside naive twins, their edges and their gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import reference
from resight.losses.adversarial import (
    Adversarial,
    fakeness_loss,
    fooling_loss,
    gradient_penalty,
    realness_loss,
    reconstruction,
)

FORMS = get_args(Adversarial)
LOSSES: dict[str, Callable[..., Tensor]] = {"real": realness_loss, "fake": fakeness_loss, "fooling": fooling_loss}

seeds = st.integers(0, 2**31)
few = settings(max_examples=15, deadline=None)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(seed: int, batch: int) -> list[Tensor]:
    """Of two scales."""
    return [drawn(seed, batch, 1, 4, 2), drawn(seed + 1, batch, 1, 2, 1)]


def near(found: Tensor, expected: list[float], tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", LOSSES)
@few
@given(seed=seeds, batch=st.integers(1, 4))
def test_scores_cost_what_the_equation_says(form: Adversarial, which: str, seed: int, batch: int) -> None:
    near(LOSSES[which](scores(seed, batch), form=form), reference.adversarial(scores(seed, batch), form, which))


def test_a_discriminator_that_is_right_loses_nothing() -> None:
    right = [torch.ones(2, 1, 4, 2)], [torch.zeros(2, 1, 4, 2)]
    near(realness_loss(right[0], form="least-squares"), [0.0, 0.0])
    near(fakeness_loss(right[1], form="least-squares"), [0.0, 0.0])
    near(fooling_loss(right[1], form="least-squares"), [1.0, 1.0])
    unsure = [torch.zeros(2, 1, 4, 2)]
    near(realness_loss(unsure, form="log") + fakeness_loss(unsure, form="log"), [2 * math.log(2)] * 2, 1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("which", LOSSES)
def test_gradients_are_those_of_finite_differences(form: Adversarial, which: str) -> None:
    given_scores = [score.requires_grad_() for score in scores(3, 2)]
    assert torch.autograd.gradcheck(lambda *each: LOSSES[which](each, form=form), given_scores)


@pytest.mark.parametrize("form", FORMS)
def test_fooling_raises_the_scores_of_generated_images(form: Adversarial) -> None:
    """As long as they are not taken for real."""
    (score,) = (drawn(0, 3, 1, 4, 2).requires_grad_(),)
    fooling_loss([score], form=form).sum().backward()
    assert score.grad is not None
    assert (score.grad[score.detach() < 1] < 0).all()


# -- R1 ------------------------------------------------------------------------------------------------------------


def bent(weight: Tensor) -> Callable[[Tensor], list[Tensor]]:
    """Two scales of a small discriminator that is not linear."""
    return lambda images: [(images * weight).square().sum(1, keepdim=True), (images.mean((2, 3)) @ weight[:, 0]).sin()]


def test_the_penalty_is_the_squared_gradient_at_each_image() -> None:
    images, weight = drawn(0, 2, 3, 4, 2), drawn(1, 3, 4, 2)
    found = gradient_penalty(bent(weight)(images.requires_grad_()), images)
    numeric = reference.gradient_penalty(
        lambda moved: [score.numpy() for score in bent(weight)(torch.from_numpy(moved))], images.detach()
    )
    near(found, numeric, 1e-6)


def test_the_penalty_teaches_the_weights_of_the_discriminator() -> None:
    images, weight = drawn(0, 2, 3, 4, 2).requires_grad_(), drawn(1, 3, 4, 2).requires_grad_()

    def penalized(weight: Tensor) -> Tensor:
        return gradient_penalty(bent(weight)(images), images)

    assert torch.autograd.gradcheck(penalized, (weight,))
    assert penalized(weight).sum().requires_grad


# -- reconstruction ------------------------------------------------------------------------------------------------


@few
@given(seed=seeds, batch=st.integers(1, 4))
def test_reconstruction_equals_the_equation(seed: int, batch: int) -> None:
    values, targets = drawn(seed, batch, 3, 4, 2), drawn(seed + 1, batch, 3, 4, 2)
    near(reconstruction(values, targets), reference.reconstruction(values, targets))


def test_codes_are_reconstructed_too() -> None:
    values, targets = drawn(0, 3, 8), drawn(1, 3, 8)
    np.testing.assert_allclose(reconstruction(values, targets), (values - targets).abs().mean(1))


def test_no_gradient_reaches_the_targets() -> None:
    values, targets = drawn(0, 3, 8).requires_grad_(), drawn(1, 3, 8).requires_grad_()
    reconstruction(values, targets).sum().backward()
    assert targets.grad is None
    assert torch.autograd.gradcheck(lambda x: reconstruction(x, targets.detach()), (values,))
