"""What a step does to the weights: Adam with decay of weights, beside its algorithm, for each method."""

from __future__ import annotations

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


def learning(method: Any) -> list[nn.Parameter]:
    networks = [method.online] if hasattr(method, "online") else getattr(method, "students", None) or [method.network]
    return [parameter for network in networks for parameter in network.parameters() if parameter.requires_grad]


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
    expected = reference.adam(start, gradients, 1e-3, DECAY)
    np.testing.assert_allclose(flat(learning(method)), expected, atol=2e-6)
    assert np.abs(expected - reference.adam(start, gradients, 1e-3, 0)).max() > 1e-4


@pytest.mark.parametrize("amsgrad", [True, False])
def test_scr_keeps_the_largest_second_moment_where_it_is_asked_to(images: Crops, amsgrad: bool) -> None:
    method = tiny.scr(images, amsgrad=amsgrad)
    method.step(next(iter(method.begin_epoch(0))))
    assert {"max_exp_avg_sq" in moments for moments in method.optimiser.state.values()} == {amsgrad}
