"""The running statistics of batch norm: kept, measured or set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Return the batch norms of a module."""
    return [norm for norm in module.modules() if isinstance(norm, _BatchNorm)]


@contextmanager
def momenta(norms: Iterable[_BatchNorm], value: float | None) -> Iterator[None]:
    """Move running statistics by this share of the batch's for a time: 0 keeps them, 1 replaces them, None averages."""
    norms = list(norms)
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = value
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


@torch.no_grad()
def measure_blocks(network: nn.Module, blocks: Iterable[nn.Module], images: Tensor) -> None:
    """Set the statistics of some blocks of a network to those of images; the rest of the network stays as it is.

    A new block whose statistics are frozen would otherwise keep mean 0 and variance 1.

    Args:
        network: Run over the images in evaluation mode, except for the blocks' batch norms.
        blocks: Modules of the network.
        images: What the network takes.
    """
    norms = [norm for block in blocks for norm in batch_norms(block)]
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    for norm in norms:
        norm.train()
    with momenta(norms, 1.0):
        network(images)
    for module, training in modes:
        module.training = training


@torch.no_grad()
def set_statistics(norm: _BatchNorm, inputs: Tensor) -> None:
    """Set the statistics of a batch norm to those of ``(N, D)`` inputs."""
    variance, mean = torch.var_mean(inputs.double(), 0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
