"""A backbone as a chain of blocks: what heads with several branches cut and copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from resight.errors import ConfigError
from resight.models.backbones import Backbone

SIDE = 64
"""Height and width of the picture that shapes are measured on, pixels."""


@dataclass(frozen=True)
class BlockSequence:
    """The blocks of a network, one after another.

    Attributes:
        names: Dotted, as in the network.
        blocks: The modules themselves, no copies.
        shapes: (channels, height) of the map that each gives of a `SIDE` x `SIDE` picture.
    """

    names: tuple[str, ...]
    blocks: tuple[nn.Module, ...]
    shapes: tuple[tuple[int, int], ...]

    def keeps_shape(self, index: int) -> bool:
        """Return whether a block returns a map of the shape that it takes."""
        return index > 0 and self.shapes[index] == self.shapes[index - 1]


@torch.no_grad()
def sequential_blocks(backbone: Backbone) -> BlockSequence:
    """Split a backbone into blocks, after checking that the blocks in their order are the network.

    Args:
        backbone: A plain sequence of blocks, such as ResNets, RegNets and EfficientNets; stages are split too.

    Raises:
        ConfigError: It is none.
    """
    network = backbone.network
    names, blocks = zip(*_blocks(network), strict=True)
    parameter, training = next(network.parameters()), network.training
    network.eval()
    maps = torch.linspace(-1, 1, 3 * SIDE * SIDE, device=parameter.device, dtype=parameter.dtype)
    maps = maps.view(1, 3, SIDE, SIDE)
    shapes = []
    try:
        expected = network(maps)
        for block in blocks:
            maps = block(maps)
            shapes.append((maps.shape[1], maps.shape[2]))
        same = maps.shape == expected.shape and (maps.is_meta or torch.allclose(maps, expected))
    except Exception:  # whatever a network raises that is called otherwise than it means to be
        same = False
    finally:
        network.train(training)
    if not same or maps.ndim != 4 or maps.shape[1] != backbone.channels:
        raise ConfigError(
            f"branches need a backbone that is a plain chain of blocks, such as a ResNet, RegNet or EfficientNet; "
            f"{type(network).__name__} is none: use head global"
        )
    return BlockSequence(names, blocks, tuple(shapes))


def _blocks(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Return a network's blocks in their order, by their dotted names; stages are split too."""
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList) or re.fullmatch(r"s\d", name):  # s1..s4: a RegNet's stages
            yield from _blocks(child, f"{prefix}{name}.")
        elif not isinstance(child, nn.Identity):
            yield f"{prefix}{name}", child
