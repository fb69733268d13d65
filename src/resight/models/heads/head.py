"""What a head is: how a backbone ends, which regions of its maps are pooled, and which vectors an encoder returns.

A head is a plain description that `parse_head` makes of one string; torch is loaded only when a network is built of it.
To add a head, write a subclass of `Head` and list its parser in `HEADS`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from resight.errors import ConfigError
from resight.models.heads.grammar import (
    AsymmetricBranch,
    Branch,
    is_asymmetric,
    parse_arrangement,
    parse_branches,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from resight.models.backbones import Backbone
    from resight.models.heads.necks import Neck

Pooling = Literal["average", "max", "gem"]


@dataclass(frozen=True)
class Part:
    """What one vector of an encoder is made of.

    Attributes:
        name: ``"p1 whole"``, ``"p2 stripe 1 of 2"`` (from the top), ``"p3 channels 2 of 3"``; unique in a head. A
            branch without a vector of its whole map is named by its place instead: ``"branch 2"``.
        kind: ``"whole"``, ``"stripe"`` or ``"channels"``.
        index: Which of `count` parts of its kind, from 0.
        count: Into how many parts the map, or the channels, are cut; 1 for a whole map.
        branch: Index of the map that it is pooled from.
        columns: Where its pooled features lie among all pooled features.
    """

    name: str
    kind: Literal["whole", "stripe", "channels"]
    index: int
    count: int
    branch: int
    columns: slice


class Region(NamedTuple):
    """A part of a map that is pooled.

    Attributes:
        maps: ``(B, C, h, w)``.
        pooling: How it is pooled; None for what the settings say.
    """

    maps: Tensor
    pooling: Pooling | None = None


class Head:
    """The head ``global``, one vector of the whole map; other heads override what differs.

    Attributes:
        reduces: Whether the neck reduces each part to `head_width` numbers; otherwise a vector has as many as the map
            has channels.
        sets_pooling: Whether the head itself says how regions are pooled.
    """

    reduces: ClassVar[bool] = False
    sets_pooling: ClassVar[bool] = False

    def build_trunk(self, backbone: Backbone) -> nn.Module:
        """Build the network of everything before the pooling.

        Returns:
            A module that turns ``(B, 3, H, W)`` normalized images into a ``(B, C, h, w)`` map, or a list of maps.

        Raises:
            ConfigError: The backbone is not of a kind that the head can end.
        """
        return backbone

    def regions(self, maps: list[Tensor]) -> list[Region]:
        """Cut maps into the regions to pool; their pooled vectors, one after another, are the pooled features."""
        return [Region(whole) for whole in maps]

    def parts(self, channels: int) -> tuple[Part, ...]:
        """Describe the vectors of the head, those of whole maps first.

        Args:
            channels: C of each map.

        Raises:
            ConfigError: There are too few channels.
        """
        return (Part("whole", "whole", 0, 1, 0, slice(0, channels)),)

    def build_neck(self, channels: int, *, width: int, batchnorm: bool) -> Neck:
        """Build the module that turns ``(B, P)`` pooled features into ``(B, D)`` features, vector after vector.

        Args:
            channels: C of each map.
            width: Length of each vector if the head `reduces`.
            batchnorm: Whether features are normalized by batch norm.
        """
        from resight.models.heads.necks import BatchNormNeck, NoNeck

        # One batch norm over all branches: it treats each number alone, so it is that of each branch.
        return BatchNormNeck(channels * len(self.parts(channels))) if batchnorm else NoNeck()

    def new_blocks(self, trunk: nn.Module) -> tuple[nn.Module, ...]:
        """Return the blocks of a trunk that are not the backbone's, so that they have no statistics yet."""
        return ()


class EmbeddingHead(Head):
    """The head ``embedding``, one vector of the whole map that is `head_width` numbers long."""

    reduces: ClassVar[bool] = True

    def build_neck(self, channels: int, *, width: int, batchnorm: bool) -> Neck:
        """Build a linear map and a batch norm."""
        from resight.models.heads.embedding import EmbeddingNeck

        return EmbeddingNeck(channels, width=width, batchnorm=batchnorm)


@dataclass(frozen=True)
class AsymmetricHead(Head):
    """Asymmetric branches, such as ``a+m1``: see `resight.models.heads.asymmetric`."""

    branches: tuple[AsymmetricBranch, ...]
    sets_pooling: ClassVar[bool] = True

    def build_trunk(self, backbone: Backbone) -> nn.Module:
        """Copy the backbone's last stage for each branch."""
        from resight.models.heads.asymmetric import AsymmetricBranches

        return AsymmetricBranches(backbone, self.branches)

    def regions(self, maps: list[Tensor]) -> list[Region]:
        """Pool each branch's whole map in its own way."""
        return [Region(whole, branch.pooling) for whole, branch in zip(maps, self.branches, strict=True)]

    def parts(self, channels: int) -> tuple[Part, ...]:
        """Describe one vector for each branch."""
        return tuple(
            Part(f"branch {i + 1} {branch}", "whole", 0, 1, i, slice(i * channels, (i + 1) * channels))
            for i, branch in enumerate(self.branches)
        )

    def new_blocks(self, trunk: nn.Module) -> tuple[nn.Module, ...]:
        """Return the blocks that the branches have more than the stage they copy."""
        from resight.models.heads.asymmetric import AsymmetricBranches

        assert isinstance(trunk, AsymmetricBranches)
        return trunk.added


@dataclass(frozen=True)
class PartitionHead(Head):
    """Partitions, such as ``p1+p2(s2c2)``: see `resight.models.heads.partitions`."""

    branches: tuple[Branch, ...]
    reduces: ClassVar[bool] = True

    def build_trunk(self, backbone: Backbone) -> nn.Module:
        """Copy the backbone's blocks after conv4_1 for each branch."""
        from resight.models.heads.partitions import Branches

        return Branches(backbone, self.branches)

    def regions(self, maps: list[Tensor]) -> list[Region]:
        """Cut each branch's map into the whole map and its stripes."""
        from resight.models.heads.partitions import stripes

        regions = []
        for branch, whole in zip(self.branches, maps, strict=True):
            regions += [Region(whole)] if branch.pools_whole else []
            regions += [Region(stripe) for stripe in stripes(whole, branch.stripes)]
        return regions

    def parts(self, channels: int) -> tuple[Part, ...]:
        """Describe the vectors of whole maps, then those of stripes and channel groups, branch after branch."""
        num_unnamed = sum(not branch.name for branch in self.branches)
        wholes, rest, start = [], [], 0
        for index, branch in enumerate(self.branches):
            owner = f"p{branch.name} " if branch.name else f"branch {index + 1} " if num_unnamed > 1 else ""
            whole = slice(start, start + channels)
            wholes += [Part(f"{owner}whole", "whole", 0, 1, index, whole)] if branch.name else []
            start += channels * branch.pools_whole
            for i in range(branch.stripes):
                columns = slice(start + i * channels, start + (i + 1) * channels)
                name = f"{owner}stripe {i + 1} of {branch.stripes}"
                rest.append(Part(name, "stripe", i, branch.stripes, index, columns))
            start += channels * branch.stripes
            for i, columns in enumerate(_channel_groups(whole, branch.groups)):
                name = f"{owner}channels {i + 1} of {branch.groups}"
                rest.append(Part(name, "channels", i, branch.groups, index, columns))
        return (*wholes, *rest)

    def build_neck(self, channels: int, *, width: int, batchnorm: bool) -> Neck:
        """Build a linear map and a batch norm for each vector."""
        from resight.models.heads.partitions import PartNeck

        return PartNeck(tuple(part.columns for part in self.parts(channels)), width=width, batchnorm=batchnorm)


def _channel_groups(whole: slice, count: int) -> list[slice]:
    """Cut columns into groups, the first ones a column longer if they cannot be equal: 683, 683, 682."""
    length = whole.stop - whole.start
    if count > length:
        raise ConfigError(f"{count} channel groups need {count} channels, found {length}")
    bounds = [whole.start + i * (length // count) + min(i, length % count) for i in range(count + 1)] if count else []
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


HEADS: dict[str, Callable[[str], Head | None]] = {
    "partitions": lambda text: PartitionHead(parse_arrangement(text)),
    "asymmetric": lambda text: AsymmetricHead(parse_branches(text)) if is_asymmetric(text) else None,
    "embedding": lambda text: EmbeddingHead() if text == "embedding" else None,
    "global": lambda text: Head() if text == "global" else None,
}
"""The parser of each kind of head: it returns a head, or None if a text is not of its kind.

Parsers are asked from the last to the first, so one that is added comes before these.
"""


def parse_head(text: str) -> Head:
    """Read a head.

    Args:
        text: ``"global"``, ``"embedding"``, ``"a+m1"``, ``"p1+p2(s2c2)+p3(s3c3)"``, or what an added parser reads.

    Raises:
        ConfigError: No parser reads it.
    """
    heads = (parse(text) for parse in reversed(HEADS.values()))
    try:
        return next(head for head in heads if head is not None)
    except ConfigError as error:
        raise ConfigError(f"{error}. A head that another file adds needs that file's import first") from None
