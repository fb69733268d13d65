"""Asymmetric branches: the last stage copied, each copy as deep and pooled as its name says (thesis §4.3.2).

A head is one string. ``a+m1`` is the thesis' own: a branch that is the stage as it was and is average-pooled, and one
that has a block more and is max-pooled. The grammar:

```
head    = branch "+" branch { "+" branch }
branch  = pooling [ extra ]
pooling = "a" | "m"        average or max
extra   = 1 .. 9           how many blocks of the stage's own kind are added to it
```

The last stage is everything from the block that halves the map for the last time, whose stride `last_stride` 1 removes.
An added block is of the kind of the stage's last block that gives a map of the shape it takes, stands right behind
that one, and starts from random weights: in ResNet-50 a fourth bottleneck.

References:
    Thesis §4.3.2, Figure 4.1, Table 4.4.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from resight.errors import ConfigError
from resight.models.backbones import Backbone
from resight.models.block_sequence import SIDE, BlockSequence, sequential_blocks
from resight.models.heads.grammar import AsymmetricBranch


class AsymmetricBranches(nn.Module):
    """A backbone whose last stage is copied, once for each branch.

    Args:
        backbone: A plain sequence of blocks, such as ResNets and EfficientNets.
        branches: The branches.

    Attributes:
        branches: The copies of the stage.
        added: The blocks that the branches have more than the stage, with random weights.

    Raises:
        ConfigError: The backbone is no sequence of blocks, or its last stage has no block that could be repeated.
    """

    def __init__(self, backbone: Backbone, branches: tuple[AsymmetricBranch, ...]) -> None:
        super().__init__()
        parts = sequential_blocks(backbone)
        start = _last_stage(backbone, parts)
        self.shared = nn.Sequential(*parts.blocks[:start])
        self.branches = nn.ModuleList()
        added: list[nn.Module] = []
        for branch in branches:
            stage = copy.deepcopy(list(parts.blocks[start:]))
            if branch.extra:
                index = _repeatable(backbone, parts, start) - start
                stage[index + 1 : index + 1] = [_fresh(stage[index]) for _ in range(branch.extra)]
                added += stage[index + 1 : index + 1 + branch.extra]
            self.branches.append(nn.Sequential(*stage))
        self.added = tuple(added)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the ``(B, C, h, w)`` map of each branch, of ``(B, 3, H, W)`` normalized images."""
        shared = self.shared(images)
        return [branch(shared) for branch in self.branches]


def _last_stage(backbone: Backbone, parts: BlockSequence) -> int:
    """Return the index of the last stage's first block."""
    if backbone.unstrided:  # layers of one block
        return next(i for i, name in enumerate(parts.names) if f"{backbone.unstrided[0]}.".startswith(f"{name}."))
    heights = [SIDE, *(height for _, height in parts.shapes)]
    return max((i for i in range(len(parts.blocks)) if heights[i + 1] < heights[i]), default=0)


def _repeatable(backbone: Backbone, parts: BlockSequence, start: int) -> int:
    """Return the index of the last stage's block that another one like it can follow."""
    for index in range(len(parts.blocks) - 1, start, -1):
        layers = [module for module in parts.blocks[index].modules() if isinstance(module, nn.Conv2d)]
        sees_neighbors = any(layer.kernel_size != (1, 1) for layer in layers)
        if sees_neighbors and parts.keeps_shape(index):
            return index
    raise ConfigError(
        f"the last stage of this {type(backbone.network).__name__} has no block that keeps the shape of its map, and "
        "so none to add: use branches without a number (a+m), or another backbone"
    )


def _fresh(block: nn.Module) -> nn.Module:
    """Return a block like this one with new random weights, drawn as ResNets draw theirs."""
    block = copy.deepcopy(block).requires_grad_(True)
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            # As `kaiming_normal_` with fan_out, which takes each group's outputs for those of all.
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            nn.init.normal_(module.weight, 0.0, (2 / fan_out) ** 0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    return block
