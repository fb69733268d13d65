"""Centers beside the paper's rule, and what they never do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from resight.models.centers import Centers


def batch(seed: int, size: int, people: int) -> tuple[Centers, list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = Centers((2, people, 3)).double()
    centers.values.copy_(torch.randn(2, people, 3, generator=generator))
    vectors = [torch.randn(size, 3, generator=generator, dtype=torch.float64) for _ in range(2)]
    return centers, vectors, torch.randint(people, (size,), generator=generator)


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 6), st.sampled_from([0.0, 0.5, 1.0]))
def test_an_update_is_the_papers_rule(seed: int, size: int, people: int, rate: float) -> None:
    centers, vectors, labels = batch(seed, size, people)
    before = centers.values.clone()
    centers.update(vectors, labels, rate=rate)
    for i in range(2):
        expected = reference.moved_centers(before[i], vectors[i], labels, rate)
        np.testing.assert_allclose(centers.values[i].numpy(), expected, rtol=1e-9, atol=1e-12)
    absent = [person for person in range(people) if person not in labels]
    assert torch.equal(centers.values[:, absent], before[:, absent])


@given(st.integers(0, 2**31))
def test_the_order_of_a_batch_does_not_matter(seed: int) -> None:
    (one, vectors, labels), (other, *_) = batch(seed, 6, 3), batch(seed, 6, 3)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    one.update(vectors, labels, rate=0.5)
    other.update([v[order] for v in vectors], labels[order], rate=0.5)
    torch.testing.assert_close(one.values, other.values)


def test_centers_of_still_images_end_at_their_means() -> None:
    centers, vectors, labels = batch(0, 12, 3)
    for _ in range(200):
        centers.update(vectors, labels, rate=0.5)
    for values, each in zip(centers.values, vectors, strict=True):
        for person in range(3):
            torch.testing.assert_close(values[person], each[labels == person].mean(0))


def test_no_gradient_passes_through_them_and_a_checkpoint_holds_them() -> None:
    centers, vectors, labels = batch(0, 4, 3)
    centers.update([v.requires_grad_() for v in vectors], labels, rate=0.5)
    assert not centers.values.requires_grad
    assert list(centers.state_dict()) == ["values"]
    assert not list(centers.parameters())


def test_they_start_at_zero_and_every_set_needs_its_vectors() -> None:
    centers = Centers((2, 5, 3))
    assert not centers.values.any()
    with pytest.raises(ValueError, match="zip"):
        centers.update([torch.ones(1, 3)], torch.zeros(1, dtype=torch.long), rate=0.5)
