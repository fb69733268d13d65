"""What holds of every method: its weights move as Adam says, in training mode, on what seed and epoch have drawn."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reference
import tiny
from resight.data.crops import Crops

DECAY = 0.5  # so much that a step without it is another one
HOW: dict[str, dict[str, Any]] = {"ice": {"warmup_epochs": 0}, "scr": {}, "abmt": {}, "source": {"warmup_epochs": 0}}


@pytest.fixture(scope="module")
def images(tiny_market: Path) -> Crops:
    return tiny.crops(tiny_market)


def networks(method: Any) -> list[nn.Module]:
    places = (getattr(method, place, []) for place in ("online", "momentum", "network", "students", "teachers"))
    return [network for each in places for network in (each if isinstance(each, list) else [each])]


def learning(method: Any) -> list[nn.Parameter]:
    return [p for network in networks(method) for p in network.parameters() if p.requires_grad]


def flat(tensors: list[Tensor]) -> np.ndarray:
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).double().numpy().copy()


@pytest.mark.parametrize("name", list(HOW))
def test_weights_move_as_adam_says_with_decay_added_to_the_gradient(images: Crops, name: str) -> None:
    method = getattr(tiny, name)(images, weight_decay=DECAY, learning_rate=1e-3, **HOW[name])
    batches = list(method.begin_epoch(0))
    start, gradients = flat(learning(method)), []
    assert len(batches) == 2
    for batch in batches:
        method.step(batch)
        gradients.append(flat([parameter.grad for parameter in learning(method)]))  # type: ignore[misc]
        for parameter in learning(method):
            parameter.grad.fill_(torch.nan)  # type: ignore[union-attr]
    assert np.isfinite(gradients).all(), "each step has its own gradients"
    expected = reference.adam(start, gradients, 1e-3, DECAY)
    np.testing.assert_allclose(flat(learning(method)), expected, atol=2e-6)
    assert np.abs(expected - reference.adam(start, gradients, 1e-3, 0)).max() > 1e-4


@pytest.mark.parametrize("name", list(HOW))
def test_networks_are_in_training_mode_in_every_epoch(images: Crops, name: str) -> None:
    """Those that learn and those that follow: embedding and diagnostics between the epochs need the other mode."""
    method = getattr(tiny, name)(images)
    for epoch in range(2):
        batches = method.begin_epoch(epoch)
        assert len(networks(method)) == (1 if name in ("scr", "source") else 2)
        assert all(network.training for network in networks(method))
        method.step(next(iter(batches)))
        method.end_epoch()
        method.encoder.eval()  # as scoring leaves it


@pytest.mark.parametrize("name", list(HOW))
def test_batches_and_augmentations_are_those_of_seed_and_epoch(images: Crops, name: str) -> None:
    first = getattr(tiny, name)(images)

    def drawn(seed: int, epoch: int) -> list[list[int]]:
        encoder = copy.deepcopy(first.encoder).requires_grad_()
        method = type(first)(first.settings, images, devices=first.devices, seed=seed, encoder=encoder)
        batches = [batch.tolist() for batch in method.begin_epoch(epoch)]
        return [*batches, method.generator.get_state().tolist()]

    once = drawn(3, 0)
    assert drawn(3, 0) == once
    for other in (drawn(4, 0), drawn(3, 1)):
        assert all(one != two for one, two in zip(once, other, strict=True))


@pytest.mark.parametrize("amsgrad", [True, False])
def test_scr_keeps_the_largest_second_moment_where_it_is_asked_to(images: Crops, amsgrad: bool) -> None:
    method = tiny.scr(images, amsgrad=amsgrad)
    method.step(next(iter(method.begin_epoch(0))))
    assert {"max_exp_avg_sq" in moments for moments in method.optimizer.state.values()} == {amsgrad}
