"""The momentum encoder beside its naive twin."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import reference
from resight.errors import ConfigError
from resight.models.ema import ramp, update_average


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


def fill(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.999, 1.0])
def test_each_parameter_follows_the_equation(momentum: float) -> None:
    slow, fast = network(0), network(1)
    start = [p.detach().flatten().tolist() for p in slow.parameters()]
    history = []
    for step in range(4):
        fill(fast, step)
        history.append([p.detach().flatten().tolist() for p in fast.parameters()])
        update_average(slow, fast, momentum=momentum)
    for i, parameter in enumerate(slow.parameters()):
        expected = [
            reference.moving_average(value, [taken[i][j] for taken in history], momentum)
            for j, value in enumerate(start[i])
        ]
        torch.testing.assert_close(parameter.detach().flatten(), torch.tensor(expected, dtype=torch.float64))


def test_buffers_stay_as_they_are() -> None:
    slow, fast = network(0), network(1)
    fast(torch.randn(8, 3, dtype=torch.float64))  # moves the running statistics of the online network
    before = {name: value.clone() for name, value in slow.named_buffers()}
    update_average(slow, fast, momentum=0.5)
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} <= set(before)
    for name, value in slow.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
        assert not torch.equal(value, dict(fast.named_buffers())[name])


def test_the_online_network_is_left_alone() -> None:
    slow, fast = network(0), network(1)
    before = copy.deepcopy(fast.state_dict())
    update_average(slow, fast, momentum=0.5)
    assert all(torch.equal(value, before[name]) for name, value in fast.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in fast.parameters())


@pytest.mark.parametrize("momentum", [-0.1, 1.1, float("nan")])
def test_a_momentum_outside_0_to_1_is_an_error(momentum: float) -> None:
    with pytest.raises(ConfigError, match="must be in 0"):
        update_average(network(0), network(1), momentum=momentum)


def test_the_ramp_copies_at_first_and_ends_at_the_momentum() -> None:
    assert [ramp(0.999, step) for step in (0, 1, 3)] == [0.0, 0.5, 0.75]
    assert ramp(0.999, 997) == pytest.approx(1 - 1 / 998)
    assert ramp(0.999, 999) == pytest.approx(0.999)
    assert ramp(0.999, 10**6) == 0.999
