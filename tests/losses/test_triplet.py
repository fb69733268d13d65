"""Triplet, quadruplet and circle losses beside naive twins, their edges and their gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import reference
from resight.losses.triplet import batch_hard_triplet, circle, euclidean, quadruplet

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, tuple[Loss, Callable[..., list[float]]]] = {
    "triplet": (
        lambda f, y: batch_hard_triplet(f, y, margin=1.2),
        lambda f, y: reference.batch_hard_triplet(f, y, 1.2),
    ),
    "soft-triplet": (
        lambda f, y: batch_hard_triplet(f, y, margin=None),
        lambda f, y: reference.batch_hard_triplet(f, y, None),
    ),
    "quadruplet": (
        lambda f, y: quadruplet(f, y, margins=(1.2, 0.6)),
        lambda f, y: reference.quadruplet(f, y, (1.2, 0.6)),
    ),
    "circle": (
        lambda f, y: circle(f, y, margin=0.25, scale=16),
        lambda f, y: reference.circle(f, y, 0.25, 16),
    ),
}
each = pytest.mark.parametrize("name", LOSSES)
PEOPLE = torch.tensor([0, 0, 1, 1, 2, 2])


def vectors(seed: int, count: int = 6, dim: int = 4) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@each
@given(seed=st.integers(0, 2**31), people=st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_it_equals_the_equation(name: str, seed: int, people: list[int]) -> None:
    loss, twin = LOSSES[name]
    features, labels = vectors(seed, len(people)), torch.tensor(people)
    losses = loss(features, labels)
    torch.testing.assert_close(losses, torch.tensor(twin(features, labels), dtype=torch.float64), rtol=1e-9, atol=1e-9)
    assert (losses >= 0).all()


@each
@given(seed=st.integers(0, 2**31))
def test_the_order_of_the_batch_and_the_names_of_people_do_not_matter(name: str, seed: int) -> None:
    loss, _ = LOSSES[name]
    features = vectors(seed)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(loss(features[order], PEOPLE[order]), loss(features, PEOPLE)[order])
    torch.testing.assert_close(loss(features, 10 - 3 * PEOPLE), loss(features, PEOPLE))


@pytest.mark.parametrize("name", ["triplet", "soft-triplet", "quadruplet"])
def test_distances_do_not_change_when_all_vectors_move(name: str) -> None:
    loss, _ = LOSSES[name]
    torch.testing.assert_close(loss(vectors(1) + 5, PEOPLE), loss(vectors(1), PEOPLE))


def test_close_pairs_of_a_large_batch_keep_their_digits_far_from_the_origin() -> None:
    """As |a|² + |b|² - 2ab they would not, and a batch of 64 is where that would be used."""
    features = (100 + 1e-2 * vectors(8, count=64)).float()
    differences = features.double()[:, None] - features.double()
    expected = differences.square().sum(2).sqrt().float()
    torch.testing.assert_close(euclidean(features), expected, rtol=1e-5, atol=1e-7)


def test_circle_has_the_papers_margin_and_scale_for_people() -> None:
    """Sun et al. 2020: γ = 128 and m = 0.25 for person re-identification."""
    torch.testing.assert_close(circle(vectors(1), PEOPLE), circle(vectors(1), PEOPLE, margin=0.25, scale=128))


def test_circle_is_blind_to_the_lengths_of_vectors() -> None:
    lengths = torch.tensor([[0.1], [2], [3], [0.5], [7], [1]])
    torch.testing.assert_close(circle(vectors(1) * lengths, PEOPLE), circle(vectors(1), PEOPLE))


@each
def test_people_who_are_far_apart_cost_nothing(name: str) -> None:
    features = torch.eye(3, dtype=torch.float64)[PEOPLE] * 100 + 1e-3 * vectors(2, dim=3)
    losses = LOSSES[name][0](features, PEOPLE)
    assert (losses < (0.7 if name == "circle" else 1e-9)).all()


@each
def test_more_of_the_same_person_farther_away_costs_more(name: str) -> None:
    """The first image moves from its partner towards somebody else."""
    loss, _ = LOSSES[name]
    features = vectors(3)
    costs = []
    for share in (0.0, 0.5, 1.0):
        moved = features.clone()
        moved[0] = (1 - share) * features[1] + share * features[2]
        costs.append(float(loss(moved, PEOPLE)[0]))
    assert costs == sorted(costs)
    assert costs[2] > costs[0]


@pytest.mark.parametrize("name", ["triplet", "soft-triplet", "quadruplet"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    loss, _ = LOSSES[name]
    assert torch.autograd.gradcheck(lambda f: loss(f, PEOPLE), (vectors(4).requires_grad_(),))


def test_the_gradient_of_circle_is_that_of_finite_differences_with_its_weights_held() -> None:
    features = vectors(5).requires_grad_()
    circle(features, PEOPLE, scale=16).sum().backward()
    assert features.grad is not None
    start, step = features.detach(), 1e-6
    for i, j in ((0, 0), (2, 1), (5, 3)):
        sides = []
        for sign in (1, -1):
            moved = start.clone()
            moved[i, j] += sign * step
            sides.append(sum(reference.circle(moved, PEOPLE, 0.25, 16, weighed=start)))
        assert float(features.grad[i, j]) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5)


@each
@pytest.mark.parametrize("people", [[0], [0, 0, 0], [0, 1, 2], [0, 0, 1]])
def test_batches_without_somebody_have_finite_losses_and_gradients(name: str, people: list[int]) -> None:
    features = vectors(6, len(people)).float().requires_grad_()
    losses = LOSSES[name][0](features, torch.tensor(people))
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    if len(set(people)) == 1:
        assert not losses.any()
        assert not features.grad.any()


@each
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_equal_and_extreme_vectors_have_finite_gradients(name: str, scale: float) -> None:
    features = (vectors(7)[:1].repeat(6, 1) * scale).float().requires_grad_()
    losses = LOSSES[name][0](features, PEOPLE)
    losses.sum().backward()
    assert torch.isfinite(losses).all()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()


def test_close_vectors_keep_their_distance_in_float32() -> None:
    pair = torch.tensor([[1000.0, 0], [1000.001, 0]])
    assert float(euclidean(pair)[0, 1]) == pytest.approx(0.001, rel=0.1)


def test_a_hand_example() -> None:
    """0 and 1 are one person, 3 and 7 another. Hardest: 1 against 3, 1 against 2, 4 against 2, 4 against 6."""
    line = torch.tensor([[0.0], [1], [3], [7]])
    people = torch.tensor([0, 0, 1, 1])
    assert batch_hard_triplet(line, people, margin=1.5).tolist() == [0, 0.5, 3.5, 0]
    assert quadruplet(line, people, margins=(1.5, 9)).tolist() == [0, 0.5, 3.5, 0], "no two others to compare with"
    third = torch.cat([line, torch.tensor([[20.0]])])
    five = torch.tensor([0, 0, 1, 1, 2])
    assert quadruplet(third, five, margins=(0, 15)).tolist() == [1 - 13 + 15, 1 - 13 + 15, 2, 4 - 19 + 15, 0 + 15 - 2]
