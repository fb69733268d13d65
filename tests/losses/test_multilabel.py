"""The losses of JVTC and MMCL and the predicted labels of MMCL, beside naive twins; edges and gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import reference
from resight.losses.multilabel import agreed_positives, multi_label_loss, shared_label_contrast

seeds = st.integers(0, 2**31)
few = settings(max_examples=25, deadline=None)


def case(seed: int, batch: int = 4, images: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Features, a memory of unit vectors, and positives: at least one of each image."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(batch, 5, generator=generator, dtype=torch.float64)
    memory = F.normalize(torch.randn(images, 5, generator=generator, dtype=torch.float64))
    positives = torch.rand(batch, images, generator=generator) < 0.4
    positives[torch.arange(batch), torch.randint(images, (batch,), generator=generator)] = True
    return features, memory, positives


def near(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=found.dtype), rtol=1e-9, atol=1e-9)


@few
@given(seed=seeds, batch=st.integers(1, 5), images=st.integers(1, 12))
def test_they_equal_the_equations(seed: int, batch: int, images: int) -> None:
    features, memory, positives = case(seed, batch, images)
    found = shared_label_contrast(features, memory, positives, temperature=0.2)
    near(found, reference.shared_label_contrast(features, memory, positives, 0.2))
    for hardest in (0.01, 0.3, 1.0):
        found = multi_label_loss(features, memory, positives, positive_weight=5, hardest=hardest)
        near(found, reference.multi_label_loss(features, memory, positives, 5, hardest))


def test_by_hand() -> None:
    memory = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    features = torch.tensor([[3.0, 0.0]], dtype=torch.float64)  # only its direction counts
    own = torch.tensor([[True, False, False]])
    loss = multi_label_loss(features, memory, own, positive_weight=5, hardest=0.01)
    assert loss.tolist() == [pytest.approx(1)], "the hardest negative is at a right angle: (0 + 1)²"
    loss = multi_label_loss(features, memory, own, positive_weight=5, hardest=1.0)
    assert loss.tolist() == [pytest.approx(0.5)]
    loss = multi_label_loss(features, memory, torch.ones_like(own), positive_weight=5, hardest=0.01)
    assert loss.tolist() == [pytest.approx(5 * (0 + 1 + 4) / 3)]
    loss = shared_label_contrast(features, memory * 0, torch.ones_like(own), temperature=0.05)
    assert loss.tolist() == [pytest.approx(math.log(3))], "an image that was never seen is as near as any other"


def test_the_share_of_negatives_is_rounded_up_and_a_hundredth_of_a_hundred_is_one() -> None:
    memory = F.normalize(torch.randn(101, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    own = torch.zeros(1, 101, dtype=torch.bool)
    own[0, 0] = True
    similar = (memory @ memory[0])[1:].sort(descending=True).values
    for share, count in ((0.01, 1), (0.011, 2), (0.07, 7)):
        loss = multi_label_loss(memory[:1], memory, own, positive_weight=0, hardest=share)
        near(loss, [float((similar[:count] + 1).square().mean())])


def test_gradients_are_those_of_finite_differences_and_none_reaches_the_memory() -> None:
    features, memory, positives = case(3)
    features.requires_grad_()
    memory.requires_grad_()
    losses = [
        lambda f: shared_label_contrast(f, memory, positives, temperature=0.2),
        lambda f: multi_label_loss(f, memory, positives, positive_weight=5, hardest=0.3),
    ]
    for loss in losses:
        assert torch.autograd.gradcheck(loss, (features,))
        loss(features).sum().backward()
        assert memory.grad is None
    assert features.grad is not None
    assert features.grad.any()


@few
@given(seed=seeds, images=st.integers(1, 14), least=st.integers(1, 6))
def test_predicted_labels_equal_the_definition(seed: int, images: int, least: int) -> None:
    memory = F.normalize(torch.randn(images, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    rows = torch.arange(images)[::2]
    found = agreed_positives(memory, rows, threshold=0.6, least=least)
    for row, own in zip(rows.tolist(), found, strict=True):
        assert set(own.nonzero().flatten().tolist()) == reference.agreed_positives(memory, row, 0.6, least)


def test_a_chain_stops_at_the_first_image_that_does_not_agree() -> None:
    angles = torch.tensor([0.0, 0.1, 0.5, 0.52, 0.54, 3.0])
    memory = torch.stack([angles.cos(), angles.sin()], 1)
    found = agreed_positives(memory, torch.tensor([0, 5]), threshold=0.999, least=3)
    assert found[0].tolist() == [True, True, False, False, False, False], "0.5 has two nearer ones"
    assert found[1].tolist() == [False] * 5 + [True]


def test_an_empty_memory_gives_each_image_its_own_label_first() -> None:
    found = agreed_positives(torch.zeros(5, 3), torch.tensor([1, 4]), threshold=0.6, least=1)
    assert found.tolist() == [[False, True, False, False, False], [False, False, False, False, True]]
