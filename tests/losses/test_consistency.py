"""Eq. 6.10 to 6.12 beside a naive twin, their edges and their gradients."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from resight.losses.consistency import Divergence, soft_instance_consistency

DIVERGENCES = get_args(Divergence)


def four(seed: int, batch: int, keys: int, dim: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((batch, dim), (keys, dim), (batch, dim), (keys, dim))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("divergence", DIVERGENCES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), batch=st.integers(1, 6), keys=st.integers(1, 8))
def test_it_equals_the_equations(divergence, seed: int, batch: int, keys: int) -> None:
    given_vectors = four(seed, batch, keys)
    found = soft_instance_consistency(*given_vectors, temperature=0.4, divergence=divergence)
    expected = reference.soft_instance_consistency(*given_vectors, 0.4, divergence)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-12)
    assert (found > -1e-12).all()


def test_the_default_is_the_released_codes_direction() -> None:
    vectors = four(0, 4, 6)
    default = soft_instance_consistency(*vectors, temperature=0.4)
    code, text = (
        soft_instance_consistency(*vectors, temperature=0.4, divergence=d)
        for d in ("target-prediction", "prediction-target")
    )
    torch.testing.assert_close(default, code, rtol=0, atol=0)
    assert not torch.allclose(code, text)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equal_similarities_diverge_by_nothing(divergence) -> None:
    anchors, keys, _, _ = four(1, 4, 6)
    losses = soft_instance_consistency(anchors, keys, 3 * anchors, 0.5 * keys, temperature=0.4, divergence=divergence)
    torch.testing.assert_close(losses, torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_single_key_leaves_nothing_to_diverge(divergence) -> None:
    losses = soft_instance_consistency(*four(2, 3, 1), temperature=0.4, divergence=divergence)
    torch.testing.assert_close(losses, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradients_are_those_of_finite_differences(divergence) -> None:
    anchors, *rest = four(3, 4, 6)
    assert torch.autograd.gradcheck(
        lambda f: soft_instance_consistency(f, *rest, temperature=0.4, divergence=divergence),
        (anchors.requires_grad_(),),
    )


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradient_reaches_only_the_anchors(divergence) -> None:
    vectors = [v.requires_grad_() for v in four(4, 4, 6)]
    soft_instance_consistency(*vectors, temperature=0.4, divergence=divergence).sum().backward()
    anchors, *rest = vectors
    assert [v.grad for v in rest] == [None, None, None]
    assert anchors.grad is not None
    assert anchors.grad.abs().sum() > 0


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_extreme_vectors_give_finite_losses_and_gradients(divergence) -> None:
    keys = four(5, 6, 6)[0].float()
    for anchors in (keys * 1e6, torch.zeros(6, 5), keys.clone(), -keys):
        anchors = anchors.requires_grad_()
        losses = soft_instance_consistency(anchors, keys, keys, keys, temperature=0.01, divergence=divergence)
        losses.sum().backward()
        assert torch.isfinite(losses).all()
        assert anchors.grad is not None
        assert torch.isfinite(anchors.grad).all()
