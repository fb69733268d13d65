"""Partitions: one trunk, several branches, a vector for each whole map, stripe and group of channels (thesis ch. 3).

An arrangement is one string. ``p1+p2(s2c2)+p3(s3c3)`` is SCR: three branches, each with a vector of its whole map;
the second also has 2 stripes and 2 channel groups, the third 3 and 3. The grammar:

```
arrangement = branch { "+" branch }
branch      = name [ "(" parts ")" ]      the whole map, and its parts
            | parts                       only parts: "s6" is PCB
name        = "p" number [ "/2" ]         "/2": a map half as fine, with the stride that last_stride 1 removes
parts       = [ "s" n ] [ "c" n ] [ "d" percent ]
```

``s`` cuts the map into n horizontal stripes, ``c`` the pooled vector of the whole map into n groups of channels;
``d`` blanks a band of so many percent of the map's height while training, the same in all images of the batch.

References:
    Thesis §3.3.1, Tables 3.2 and 3.3. PCB: Sun et al., Beyond part models, 2018. MGN: Wang et al., Learning
    discriminative features with multiple granularities, 2018. ``d``: Dai et al., Batch DropBlock network, 2019.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from resight.errors import ConfigError
from resight.models.backbones import Backbone, set_stride
from resight.models.block_sequence import SIDE, BlockSequence, sequential_blocks
from resight.models.heads.grammar import Branch
from resight.models.heads.necks import Neck

SHARED_STRIDE = 16
"""The shared part ends with the first block whose map is this many times smaller than the image: conv4_1."""


class Branches(nn.Module):
    """A backbone whose blocks after conv4_1 are copied, once for each branch.

    Args:
        backbone: A plain sequence of blocks, such as ResNets, RegNets and EfficientNets.
        arrangement: The branches.

    Attributes:
        channels: C of each map.

    Raises:
        ConfigError: The backbone is no sequence of blocks, or has no block at the shared stride or none after it.
    """

    def __init__(self, backbone: Backbone, arrangement: tuple[Branch, ...]) -> None:
        super().__init__()
        self.arrangement = arrangement
        self.channels = backbone.channels
        parts = sequential_blocks(backbone)
        names, cut = parts.names, _shared_blocks(parts)
        self.shared = nn.Sequential(*parts.blocks[:cut])
        self.branches = nn.ModuleList()
        for branch in arrangement:
            tail = copy.deepcopy(parts.blocks[cut:])
            if branch.coarse:
                _restore_stride(dict(zip(names[cut:], tail, strict=True)), backbone.unstrided, branch)
            self.branches.append(nn.Sequential(*tail))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the ``(B, C, h, w)`` map of each branch, of ``(B, 3, H, W)`` normalized images."""
        shared = self.shared(images)
        maps = [tail(shared) for tail in self.branches]
        if self.training:
            bands = [branch.band / 100 for branch in self.arrangement]
            maps = [drop_band(one, band) if band else one for one, band in zip(maps, bands, strict=True)]
        return maps


def _restore_stride(blocks: Mapping[str, nn.Module], unstrided: tuple[str, ...], branch: Branch) -> None:
    """Set the stride of layers of a branch's blocks back to 2.

    Raises:
        ConfigError: There are none, or they are not the branch's own.
    """
    layers = [
        block.get_submodule(layer.removeprefix(f"{name}."))
        for name, block in blocks.items()
        for layer in unstrided
        if layer.startswith(f"{name}.")
    ]
    if not layers or len(layers) < len(unstrided):
        raise ConfigError(f"'{branch}': /2 gives back the stride that last_stride 1 removes: set it to 1")
    for layer in layers:
        set_stride(layer, 2)


def stripes(maps: Tensor, count: int) -> list[Tensor]:
    """Cut ``(B, C, h, w)`` maps into horizontal stripes, the rows of adaptive pooling.

    Raises:
        ConfigError: There are fewer rows than stripes.
    """
    return [maps[:, :, rows] for rows in stripe_rows(maps.shape[2], count)]


def stripe_rows(height: int, count: int) -> list[slice]:
    """Return the rows of each stripe of a map, from the top; if the height does not divide, neighbors share a row.

    Raises:
        ConfigError: There are fewer rows than stripes.
    """
    if count > height:
        raise ConfigError(
            f"{count} stripes need a map of {count} rows, found {height}: use taller images (encoder.height) or "
            "last_stride 1"
        )
    return [slice(i * height // count, -(-(i + 1) * height // count)) for i in range(count)]


def drop_band(maps: Tensor, share: float) -> Tensor:
    """Blank a band of rows at a random height, the same in all ``(B, C, h, w)`` maps; one row is always left.

    References:
        Dai et al., Batch DropBlock network, 2019: the block is as wide as the map, a third of its height.
    """
    height = maps.shape[2]
    band = min(max(1, round(share * height)), height - 1)
    # Drawn on the device, so a captured graph draws it in each replay.
    top = torch.randint(height - band + 1, (), device=maps.device)
    rows = torch.arange(height, device=maps.device)
    return maps.masked_fill(((rows >= top) & (rows < top + band))[:, None], 0)


class PartNeck(Neck):
    """Reduces each part's pooled vector to a short one: a linear map (the 1 x 1 convolution) and batch norm.

    Args:
        columns: For each vector, where its part lies in the pooled features.
        width: Length of each vector.
        batchnorm: Whether batch norm follows; its bias learns, unlike that of a neck on a whole trunk.
    """

    def __init__(self, columns: tuple[slice, ...], *, width: int, batchnorm: bool = True) -> None:
        super().__init__()
        self.columns = columns
        self.reductions = nn.ModuleList(nn.Linear(c.stop - c.start, width, bias=False) for c in columns)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if batchnorm else nn.Identity() for _ in columns)
        for reduction, norm in zip(self.reductions, self.norms, strict=True):
            nn.init.kaiming_normal_(reduction.weight, mode="fan_in")  # type: ignore[arg-type]
            if isinstance(norm, nn.BatchNorm1d):
                nn.init.normal_(norm.weight, 1.0, 0.02)

    def forward(self, pooled: Tensor) -> Tensor:
        """Turn ``(B, P)`` pooled features into ``(B, D)``, the vectors one after another."""
        return torch.cat([norm(x) for norm, x in zip(self.norms, self._reduced(pooled), strict=True)], 1)

    def norm_inputs(self, pooled: Tensor) -> list[tuple[nn.BatchNorm1d, Tensor]]:
        """Return the batch norm of each vector with the reduced features."""
        pairs = zip(self.norms, self._reduced(pooled), strict=True)
        return [(norm, reduced) for norm, reduced in pairs if isinstance(norm, nn.BatchNorm1d)]

    def _reduced(self, pooled: Tensor) -> list[Tensor]:
        """Return the ``(B, width)`` float32 vectors before batch norm."""
        pairs = zip(self.columns, self.reductions, strict=True)
        return [reduction(pooled[:, columns]).float() for columns, reduction in pairs]


def _shared_blocks(parts: BlockSequence) -> int:
    """Count the blocks up to the first one at the shared stride."""
    finished = SIDE // SHARED_STRIDE
    cut = next((i + 1 for i, (_, height) in enumerate(parts.shapes) if height <= finished), len(parts.blocks))
    if cut == len(parts.blocks):
        raise ConfigError(f"partitions need a backbone with blocks at stride {SHARED_STRIDE}, found none to copy")
    return cut
