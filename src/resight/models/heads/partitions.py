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
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from resight.errors import ConfigError
from resight.models.backbones import Backbone, set_stride
from resight.models.block_sequence import SIDE, BlockSequence, sequential_blocks
from resight.models.heads.grammar import Branch

SHARED_STRIDE = 16
"""The shared part ends with the first block whose map is this many times smaller than the image: conv4_1."""


@dataclass(frozen=True)
class Part:
    """What one vector of an encoder is made of.

    Attributes:
        name: ``"p1 whole"``, ``"p2 stripe 1 of 2"`` (from the top), ``"p3 channels 2 of 3"``; no two of an arrangement
            are alike. A branch without a vector of its whole map has no name in it, or its place: ``"branch 2"``.
        kind: ``"whole"``, ``"stripe"`` or ``"channels"``.
        index: Which of `count` parts of its kind, from 0.
        count: Into how many parts the map, or the channels, are cut; 1 for a whole map.
        branch: Which of the arrangement's branches gives its map, from 0.
        columns: Where what is pooled of it lies in the pooled features.
    """

    name: str
    kind: Literal["whole", "stripe", "channels"]
    index: int
    count: int
    branch: int
    columns: slice


def parts(arrangement: tuple[Branch, ...], channels: int) -> tuple[Part, ...]:
    """Say what the vectors of an arrangement are made of: those of whole maps, then those of parts.

    Args:
        arrangement: The branches.
        channels: C of each map.

    Raises:
        ConfigError: There are more channel groups than channels.
    """
    unnamed = sum(not branch.name for branch in arrangement)
    wholes, rest, start = [], [], 0
    for place, branch in enumerate(arrangement):
        owner = f"p{branch.name} " if branch.name else f"branch {place + 1} " if unnamed > 1 else ""
        whole = slice(start, start + channels)
        wholes += [Part(f"{owner}whole", "whole", 0, 1, place, whole)] if branch.name else []
        start += channels * branch.pools_whole
        for i in range(branch.stripes):
            columns = slice(start + i * channels, start + (i + 1) * channels)
            name = f"{owner}stripe {i + 1} of {branch.stripes}"
            rest.append(Part(name, "stripe", i, branch.stripes, place, columns))
        start += channels * branch.stripes
        for i, columns in enumerate(_groups(whole, branch.groups)):
            name = f"{owner}channels {i + 1} of {branch.groups}"
            rest.append(Part(name, "channels", i, branch.groups, place, columns))
    return (*wholes, *rest)


class Branches(nn.Module):
    """A backbone whose blocks after conv4_1 are copied, once for each branch.

    Args:
        backbone: What is cut: a plain chain of blocks, such as ResNets, RegNets and EfficientNets.
        arrangement: The branches.

    Attributes:
        channels: C of each map.

    Raises:
        ConfigError: The backbone is no chain, or has no block at the shared stride or none after it.
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
        """Give the regions to pool of ``(B, 3, H, W)`` images, see `cut`."""
        return self.cut(self.maps(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Give the ``(B, C, h, w)`` map of each branch."""
        shared = self.shared(images)
        maps = [tail(shared) for tail in self.branches]
        if self.training:
            bands = [branch.band / 100 for branch in self.arrangement]
            maps = [drop_band(one, band) if band else one for one, band in zip(maps, bands, strict=True)]
        return maps

    def cut(self, maps: list[Tensor]) -> list[Tensor]:
        """Cut the branches' maps into the regions to pool: for each branch its whole map, then its stripes.

        Returns:
            ``(B, C, h, w)`` maps; pooled and joined they are the pooled features.
        """
        regions = []
        for branch, whole in zip(self.arrangement, maps, strict=True):
            regions += [whole] if branch.pools_whole else []
            regions += stripes(whole, branch.stripes)
        return regions


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
    """Give the rows of each stripe of a map, from the top; where its height does not divide, neighbors share a row.

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
    top = torch.randint(height - band + 1, (), device=maps.device)  # there: a recorded pass draws it anew each time
    rows = torch.arange(height, device=maps.device)
    return maps.masked_fill(((rows >= top) & (rows < top + band))[:, None], 0)


class PartNeck(nn.Module):
    """Reduces each part's pooled vector to a short one: a linear map (the 1 x 1 convolution) and batch norm.

    Vectors of whole maps come first, then the parts, each in the arrangement's order.

    Args:
        arrangement: The branches.
        channels: C of each map.
        width: Length of each vector.
        batchnorm: Whether batch norm follows; its bias learns, unlike that of a neck on a whole trunk.

    Attributes:
        columns: For each vector where it lies in the pooled features.
        whole: How many vectors are of whole maps.
        pooled_dim: Length of the pooled features.
    """

    def __init__(self, arrangement: tuple[Branch, ...], channels: int, *, width: int, batchnorm: bool = True) -> None:
        super().__init__()
        made_of = parts(arrangement, channels)
        self.columns = tuple(part.columns for part in made_of)
        self.whole = sum(part.kind == "whole" for part in made_of)
        self.pooled_dim = channels * sum(branch.pools_whole + branch.stripes for branch in arrangement)
        self.reductions = nn.ModuleList(nn.Linear(c.stop - c.start, width, bias=False) for c in self.columns)
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if batchnorm else nn.Identity() for _ in self.columns)
        for reduction, norm in zip(self.reductions, self.norms, strict=True):
            nn.init.kaiming_normal_(reduction.weight, mode="fan_in")  # type: ignore[arg-type]
            if isinstance(norm, nn.BatchNorm1d):
                nn.init.normal_(norm.weight, 1.0, 0.02)

    def forward(self, pooled: Tensor) -> Tensor:
        """Turn ``(B, P)`` pooled features into ``(B, D)``, the vectors one after another."""
        return torch.cat([norm(x) for norm, x in zip(self.norms, self.reduced(pooled), strict=True)], 1)

    def reduced(self, pooled: Tensor) -> list[Tensor]:
        """Give the ``(B, width)`` float32 vectors before batch norm."""
        pairs = zip(self.columns, self.reductions, strict=True)
        return [reduction(pooled[:, columns]).float() for columns, reduction in pairs]


def _groups(whole: slice, count: int) -> list[slice]:
    """Cut columns into groups, the first ones a column longer where they cannot be equal: 683, 683, 682."""
    length = whole.stop - whole.start
    if count > length:
        raise ConfigError(f"{count} channel groups need {count} channels, found {length}")
    bounds = [whole.start + i * (length // count) + min(i, length % count) for i in range(count + 1)] if count else []
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


def _shared_blocks(parts: BlockSequence) -> int:
    """Count the blocks up to the first one at the shared stride."""
    finished = SIDE // SHARED_STRIDE
    cut = next((i + 1 for i, (_, height) in enumerate(parts.shapes) if height <= finished), len(parts.blocks))
    if cut == len(parts.blocks):
        raise ConfigError(f"partitions need a backbone with blocks at stride {SHARED_STRIDE}, found none to copy")
    return cut
