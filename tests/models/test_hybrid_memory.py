"""The hybrid memory beside its equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import reference
from resight.losses.classification import cross_entropy
from resight.models.hybrid_memory import HybridMemory

LABELS = np.array([1, -1, 0, 0, 1, -1, 1])
CLASSES = [0, 1, 3, 4, 2, 2, 3, 5, 3]
"""Two people of a source, two clusters, and two images in none."""


def unit(seed: int, *shape: int) -> Tensor:
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


def memory(people: int = 2) -> HybridMemory:
    made = HybridMemory(people, len(LABELS), device=torch.device("cpu"))
    assert not made.filled
    made.fill(unit(0, people, 5), unit(1, len(LABELS), 5).numpy())
    assert made.filled
    made.assign(LABELS)
    return made


def test_people_clusters_and_images_alone_are_classes() -> None:
    made = memory()
    assert made.classes.tolist() == CLASSES
    torch.testing.assert_close(made.person_vectors, unit(0, 2, 5))
    torch.testing.assert_close(made.image_vectors, unit(1, 7, 5))
    alone = memory(people=0)
    assert alone.classes.tolist() == [1, 2, 0, 0, 1, 3, 1]
    assert alone.person_vectors.shape == (0, 5)
    torch.testing.assert_close(alone.image_vectors, unit(1, 7, 5))


@pytest.mark.parametrize("people", [0, 2])
def test_the_loss_is_the_equation(people: int) -> None:
    made, features = memory(people), unit(2, 4, 5)
    classes = torch.tensor([0, 3, 2, 1])
    losses = cross_entropy(made.logits(features, temperature=0.05), classes)
    expected = reference.hybrid_contrast(features, classes, made.vectors, made.classes, 0.05)
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))
    assert made.logits(features, temperature=0.05).shape == (4, 4 + people)


def test_gradients_are_those_of_finite_differences_and_reach_features_alone() -> None:
    made, features = memory(), unit(3, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: made.logits(f, temperature=0.5), (features,))
    cross_entropy(made.logits(features, temperature=0.5), torch.tensor([0, 3, 5])).sum().backward()
    assert features.grad is not None
    assert features.grad.abs().sum() > 0
    made.update(features, torch.tensor([0, 3, 5]), momentum=0.2)
    assert not made.vectors.requires_grad


def test_an_update_moves_the_entries_of_the_batch() -> None:
    """The second person is in it twice, and moves towards the mean of the two."""
    made, features = memory(), 3 * unit(4, 4, 5)
    before, entries = made.vectors.clone(), torch.tensor([1, 4, 1, 8])
    made.update(features, entries, momentum=0.2)
    for entry in range(9):
        members = features[entries == entry].numpy()
        expected = (
            reference.updated_center(before[entry].numpy(), members, 0.2, "mean") if len(members) else before[entry]
        )
        np.testing.assert_allclose(made.vectors[entry], expected, atol=1e-12)
    np.testing.assert_allclose(made.vectors.norm(dim=1), 1)


def test_a_memory_is_filled_again_without_its_people() -> None:
    made = memory()
    made.fill(made.person_vectors, unit(9, 7, 5).numpy())
    torch.testing.assert_close(made.person_vectors, unit(0, 2, 5))
    torch.testing.assert_close(made.image_vectors, unit(9, 7, 5))


def test_a_state_is_restored_and_one_of_other_images_is_refused() -> None:
    made, restored = memory(), HybridMemory(2, 7, device=torch.device("cpu"))
    restored.load_state_dict(made.state_dict())
    restored.assign(LABELS)
    features = unit(5, 2, 5)
    torch.testing.assert_close(restored.logits(features, temperature=1), made.logits(features, temperature=1))
    with pytest.raises(ValueError, match=r"a memory of 2 \+ 6 entries, found \(9, 5\)"):
        HybridMemory(2, 6, device=torch.device("cpu")).load_state_dict(made.state_dict())
