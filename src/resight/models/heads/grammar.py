"""The grammar of the built-in heads.

Partitions (``p1+p2(s2c2)``) and their grammar are explained in `resight.models.heads.partitions`, asymmetric branches
(``a+m1``) in `resight.models.heads.asymmetric`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from resight.errors import ConfigError

SCR = "p1+p2(s2c2)+p3(s3c3)"
"""The arrangement of the thesis."""

ABMT = "a+m1"
"""The branches of the thesis."""

MOST_BRANCHES = 16
"""Each is a copy of the backbone's last stage."""

_PARTS = r"(?:s(?P<{0}s>[1-9]\d?))?(?:c(?P<{0}c>[1-9]\d?))?(?:d(?P<{0}d>[1-9]\d?))?"
_BRANCH = re.compile(rf"p(?P<name>[1-9]\d?)(?P<half>/2)?(?:\({_PARTS.format('i')}\))?|{_PARTS.format('b')}")
_ASYMMETRIC = re.compile(r"(?P<pooling>[am])(?P<extra>[1-9]?)")


@dataclass(frozen=True)
class Branch:
    """A branch of an arrangement.

    Attributes:
        name: The number after ``p``; 0 for a branch without a vector of its whole map.
        coarse: Whether its map is half as fine.
        stripes: How many horizontal stripes, 0 for none.
        groups: How many groups of channels, 0 for none.
        band: How many percent of the map's height are blanked while training.
    """

    name: int = 0
    coarse: bool = False
    stripes: int = 0
    groups: int = 0
    band: int = 0

    def __str__(self) -> str:
        counts = (("s", self.stripes), ("c", self.groups), ("d", self.band))
        parts = "".join(f"{letter}{count}" for letter, count in counts if count)
        if not self.name:
            return parts
        return f"p{self.name}{'/2' if self.coarse else ''}" + (f"({parts})" if parts else "")

    @property
    def pools_whole(self) -> bool:
        """Whether its whole map is pooled: for its own vector, or for the channel groups that are cut from it."""
        return bool(self.name or self.groups)


def parse_arrangement(text: str) -> tuple[Branch, ...]:
    """Read an arrangement.

    Args:
        text: ``"p1+p2(s2c2)+p3(s3c3)"``, without spaces.

    Returns:
        Its branches; joined with ``+`` they give the text again.

    Raises:
        ConfigError: It is not of the grammar, or names a branch twice.
    """
    pieces = text.split("+")
    if len(pieces) > MOST_BRANCHES:
        raise ConfigError(f"head of {len(pieces)} branches: {MOST_BRANCHES} or fewer, since each is a network")
    branches = tuple(_parse_branch(piece, text) for piece in pieces)
    names = [branch.name for branch in branches if branch.name]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"head '{text}' has two branches called p{name}: give each its own number")
    return branches


def _parse_branch(piece: str, text: str) -> Branch:
    match = _BRANCH.fullmatch(piece)
    if not match:
        raise ConfigError(
            f"head '{text}': '{piece}' is no branch. Expected 'global', 'embedding', 'a+m1', or branches joined with + "
            f"such as '{SCR}': p and a number, then in brackets s (stripes), c (channel groups) and d (percent "
            "blanked), in this order"
        )
    groups = match.groupdict(default="")
    stripes, channels, band = (int(groups[f"i{letter}"] or groups[f"b{letter}"] or 0) for letter in "scd")
    branch = Branch(int(groups["name"] or 0), bool(groups["half"]), stripes, channels, band)
    if 1 in (stripes, channels):
        raise ConfigError(f"head '{text}': '{piece}' has a single part, which is the whole: use 2 or more")
    if not (branch.name or stripes or channels) or str(branch) != piece:
        raise ConfigError(f"head '{text}': '{piece}' has no vector: expected a branch such as p1, p2(s2c2) or s6")
    return branch


@dataclass(frozen=True)
class AsymmetricBranch:
    """A branch of an asymmetric head.

    Attributes:
        pooling: How its map becomes a vector.
        extra: How many blocks it has more than the stage it is a copy of.
    """

    pooling: Literal["average", "max"]
    extra: int = 0

    def __str__(self) -> str:
        return f"{self.pooling[0]}{self.extra or ''}"


def is_asymmetric(head: str) -> bool:
    """Return whether a head is meant as asymmetric branches, not as partitions or `global`."""
    return head[:1] in ("a", "m")


def parse_branches(text: str) -> tuple[AsymmetricBranch, ...]:
    """Read an asymmetric head.

    Args:
        text: ``"a+m1"``, without spaces.

    Returns:
        Its branches; joined with ``+`` they give the text again.

    Raises:
        ConfigError: It is not of the grammar.
    """
    pieces = text.split("+")
    if len(pieces) > MOST_BRANCHES:
        raise ConfigError(f"head of {len(pieces)} branches: {MOST_BRANCHES} or fewer, since each is a network")
    matches = [_ASYMMETRIC.fullmatch(piece) for piece in pieces]
    for piece, match in zip(pieces, matches, strict=True):
        if match is None:
            raise ConfigError(
                f"head '{text}': '{piece}' is no branch. Expected a (average) or m (max), and how many blocks it has "
                f"more, 1 to 9, joined with + such as '{ABMT}'"
            )
    if len(pieces) < 2:
        raise ConfigError(f"head '{text}' is a single branch: write 'global', or two or more such as '{ABMT}'")
    return tuple(
        AsymmetricBranch("average" if match["pooling"] == "a" else "max", int(match["extra"] or 0))
        for match in matches
        if match is not None
    )
