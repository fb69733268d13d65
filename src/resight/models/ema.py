"""Exponential moving averages of networks."""

from __future__ import annotations

import torch
from torch import nn

from resight.errors import ConfigError


@torch.no_grad()
def update_average(average: nn.Module, online: nn.Module, *, momentum: float) -> None:
    """Move the average's parameters towards the online ones; buffers (batch-norm statistics) stay.

    θ_m ← α θ_m + (1 - α) θ_o, with α the momentum.

    Args:
        average: The module that follows.
        online: The module that learns; same structure.
        momentum: α in 0..1; 0 copies.

    Raises:
        ConfigError: The momentum is outside 0..1.

    References:
        Eq. 4.3 and 6.2. The authors' code averages parameters only, too.
    """
    if not 0 <= momentum <= 1:
        raise ConfigError(f"the momentum of an average must be in 0..1, found {momentum}")
    slow: list[torch.Tensor] = list(average.parameters())
    fast = [p.detach() for p in online.parameters()]
    torch._foreach_lerp_(slow, fast, 1 - momentum)


def ramp(momentum: float, step: int) -> float:
    """Return the momentum of a step for an average that starts as a copy: ``min(1 - 1/(step+1), momentum)``."""
    return min(1 - 1 / (step + 1), momentum)
