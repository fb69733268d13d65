"""The losses that a teacher's predictions and distances give, beside naive twins, their edges and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import reference
from resight.losses.classification import soft_cross_entropy
from resight.losses.triplet import SoftTriplet, euclidean, soft_triplet

PEOPLE = torch.tensor([0, 0, 1, 1, 2, 2])
READINGS: tuple[SoftTriplet, ...] = ("two-class", "positive-share")
each = pytest.mark.parametrize("variant", READINGS)
seeds = st.integers(0, 2**31)


def vectors(seed: int, count: int = 6, dim: int = 4) -> Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def near(found: Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-9)


# -- soft cross-entropy --------------------------------------------------------------------------------------------


@given(seed=seeds, batch=st.integers(1, 6), classes=st.integers(1, 7))
def test_soft_cross_entropy_equals_the_equation(seed: int, batch: int, classes: int) -> None:
    student, teacher = 3 * vectors(seed, batch, classes), 3 * vectors(seed + 1, batch, classes)
    losses = soft_cross_entropy(student, teacher)
    near(losses, reference.soft_cross_entropy(student, teacher))
    torch.testing.assert_close(soft_cross_entropy(student + 7, teacher - 3), losses)


@given(seed=seeds)
def test_it_is_torchs_with_shares_for_targets_and_least_for_the_teacher_itself(seed: int) -> None:
    student, teacher = vectors(seed), vectors(seed + 1)
    losses = soft_cross_entropy(student, teacher)
    torch.testing.assert_close(losses, F.cross_entropy(student, teacher.softmax(1), reduction="none"))
    entropy = -(teacher.softmax(1) * teacher.log_softmax(1)).sum(1)
    torch.testing.assert_close(soft_cross_entropy(teacher, teacher), entropy)
    assert (losses >= entropy - 1e-12).all()


def test_a_sure_teacher_gives_a_hard_label() -> None:
    student = vectors(0)
    sure = F.one_hot(PEOPLE, 4).double() * 1000
    torch.testing.assert_close(soft_cross_entropy(student, sure), F.cross_entropy(student, PEOPLE, reduction="none"))


def test_the_gradient_of_soft_cross_entropy_is_the_students_alone() -> None:
    student, teacher = vectors(1).requires_grad_(), vectors(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: soft_cross_entropy(s, teacher.detach()), (student,))
    soft_cross_entropy(student, teacher).sum().backward()
    assert teacher.grad is None
    torch.testing.assert_close(student.grad, (student.softmax(1) - teacher.softmax(1)).detach())


# -- soft triplet --------------------------------------------------------------------------------------------------


@each
@given(seed=seeds, people=st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_soft_triplet_equals_the_equation(variant: SoftTriplet, seed: int, people: list[int]) -> None:
    student, teacher, labels = vectors(seed, len(people)), vectors(seed + 1, len(people), 7), torch.tensor(people)
    losses = soft_triplet(student, teacher, labels, variant=variant)
    near(losses, reference.soft_triplet(student, teacher, labels, variant))
    assert (losses >= 0).all()


@each
@given(seed=seeds)
def test_the_order_of_the_batch_and_the_names_of_people_do_not_matter(variant: SoftTriplet, seed: int) -> None:
    student, teacher = vectors(seed), vectors(seed + 1)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    losses = soft_triplet(student, teacher, PEOPLE, variant=variant)
    moved = soft_triplet(student[order], teacher[order], PEOPLE[order], variant=variant)
    torch.testing.assert_close(moved, losses[order])
    torch.testing.assert_close(soft_triplet(student, teacher, 10 - 3 * PEOPLE, variant=variant), losses)
    torch.testing.assert_close(soft_triplet(student + 5, teacher - 5, PEOPLE, variant=variant), losses)


def test_the_hardest_images_are_the_students() -> None:
    """On a line: the student's farthest positive and nearest negative of image 0 are 2 and 3, the teacher's 1 and 4."""
    labels = torch.tensor([0, 0, 0, 1, 1])
    student = torch.tensor([[0.0], [1], [2], [3], [9]], dtype=torch.float64)
    teacher = torch.tensor([[0.0], [8], [4], [7], [1]], dtype=torch.float64)
    share = math.exp(4) / (math.exp(4) + math.exp(7))
    own = math.exp(2) / (math.exp(2) + math.exp(3))
    both = -share * math.log(own) - (1 - share) * math.log(1 - own)
    assert float(soft_triplet(student, teacher, labels)[0]) == pytest.approx(both)
    single = soft_triplet(student, teacher, labels, variant="positive-share")
    assert float(single[0]) == pytest.approx(-share * math.log(own))


def test_only_the_two_class_form_draws_a_person_together() -> None:
    """What each asks for where the teacher has the person's images near and the others far."""
    labels = torch.tensor([0, 0, 1, 1])
    teacher = torch.tensor([[0.0], [0.1], [9], [9.1]], dtype=torch.float64)
    moves = {}
    for variant in READINGS:
        student = torch.tensor([[0.0], [1.0], [1.5], [2.5]], dtype=torch.float64, requires_grad=True)
        soft_triplet(student, teacher, labels, variant=variant)[0].backward()
        after = (student - 0.1 * student.grad).detach()
        moves[variant] = float(euclidean(after)[0, 1]) - 1.0
    assert moves["two-class"] < 0 < moves["positive-share"]


@each
def test_the_gradient_of_soft_triplet_is_the_students_alone(variant: SoftTriplet) -> None:
    student, teacher = vectors(1).requires_grad_(), vectors(2).requires_grad_()

    def loss(features: Tensor) -> Tensor:
        return soft_triplet(features, teacher.detach(), PEOPLE, variant=variant)

    assert torch.autograd.gradcheck(loss, (student,))
    soft_triplet(student, teacher, PEOPLE, variant=variant).sum().backward()
    assert teacher.grad is None
    assert student.grad is not None
    assert student.grad.abs().sum() > 0


@each
def test_equal_images_and_a_single_person_give_finite_gradients(variant: SoftTriplet) -> None:
    for features, labels in ((torch.ones(4, 3), PEOPLE[:4]), (torch.rand(4, 3), torch.zeros(4, dtype=torch.long))):
        features.requires_grad_()
        losses = soft_triplet(features, torch.rand(4, 3), labels, variant=variant)
        losses.sum().backward()
        assert torch.isfinite(losses).all()
        assert torch.isfinite(features.grad).all()
    assert torch.equal(losses, torch.zeros(4)), "nobody else: nothing to ask"
