"""How alike images are within groups and across them: what sub-folders are, where their names do not say it.

Images of one person are more alike than images of two, whatever cameras saw them; those of one camera, which show many
people, are not, once the color of its light is taken away. So an image is described by the pattern of colors in its
middle, where the person is, relative to the middle's own mean, and groups by the chance that two images of one group
are more alike than two of different groups: 0.5 where the groups say nothing of who is seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.images import open_image
from resight.errors import DataError
from resight.records import Floats

ALIKE, MIXED = 0.60, 0.55
"""From the first on groups are of one person each; below the second they are of many."""

_GROUPS, _IMAGES = 24, 144  # that are looked at, at most
_WITHIN = 12  # pairs within groups: fewer say nothing
_PIXELS = 32_000_000  # that are decoded, at most
_SIZE = (24, 48)  # width and height that an image is shrunk to


def verdict(chance: float | None) -> int:
    """Say whether groups of such a chance are of one person each, 1, of many, -1, or it cannot be told, 0."""
    if chance is None or MIXED <= chance < ALIKE:
        return 0
    return 1 if chance >= ALIKE else -1


class Likeness:
    """Describes images, each once, and compares them."""

    def __init__(self) -> None:
        self._known: dict[str, Floats | None] = {}
        self._pixels = 0

    def chance(self, groups: Mapping[Any, Sequence[tuple[str, Any]]]) -> float | None:
        """Say how often two images of one group are more alike than two of different groups.

        Args:
            groups: For each group its images in order: a path, and what two images of a pair must differ in (None
                where any two are a pair).

        Returns:
            A chance, 0.5 where groups say nothing of it; None where too few pairs can be looked at.
        """
        chosen = _sample([images for _, images in sorted(groups.items(), key=lambda item: str(item[0]))])
        found = [(place, own, value) for place, (path, own) in chosen if (value := self._described(path)) is not None]
        if not found:
            return None
        vectors = np.stack([value for _, _, value in found])
        labels = np.array([place for place, _, _ in found])
        owners = np.unique([str(own) for _, own, _ in found], return_inverse=True)[1]
        first, second = np.triu_indices(len(found), 1)
        if any(own is not None for _, own, _ in found):
            pairs = owners[first] != owners[second]
            first, second = first[pairs], second[pairs]
        same = labels[first] == labels[second]
        if same.sum() < _WITHIN or (~same).sum() < _WITHIN:
            return None
        squares = (vectors**2).sum(1)
        distances = squares[first] + squares[second] - 2 * (vectors @ vectors.T)[first, second]
        return _more_alike(distances[same], distances[~same])

    def _described(self, path: str) -> Floats | None:
        """Describe an image by its middle; None where it cannot be read, or enough was decoded."""
        if path not in self._known:
            self._known[path] = None
            if self._pixels < _PIXELS:
                try:
                    image = open_image(path, least=_SIZE)
                except DataError:
                    return None
                self._pixels += image.width * image.height
                self._known[path] = _pattern(image)
        return self._known[path]


def _pattern(image: Image.Image) -> Floats:
    small = np.asarray(image.resize(_SIZE, Image.Resampling.BILINEAR), np.float32) / 255
    cells = small.reshape(12, 4, 6, 4, 3).mean((1, 3))
    # A light, or a camera's white balance, multiplies a channel: in logarithms it adds to it.
    middle = np.log(cells[2:11, 2:4] + 0.08)
    pattern: Floats = (middle - middle.mean((0, 1))).ravel()
    return pattern


def _sample(groups: Sequence[Sequence[tuple[str, Any]]]) -> list[tuple[int, tuple[str, Any]]]:
    """Choose images all over the groups, always the same ones; each group's first come before each one's second."""
    several = [images for images in groups if len(images) > 1]
    chosen = [several[place] for place in _spread(len(several), _GROUPS)]
    each = max(6, min(24, _IMAGES // max(1, len(chosen))))
    rows = [
        (turn, place, images[row])
        for place, images in enumerate(chosen)
        for turn, row in enumerate(_spread(len(images), each))
    ]
    rows.sort(key=lambda row: row[:2])
    return [(place, image) for _, place, image in rows]


def _spread(count: int, most: int) -> list[int]:
    """Give so many places in 0..count, as far from each other as can be."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def _more_alike(within: npt.NDArray[Any], across: npt.NDArray[Any]) -> float:
    """Give the chance that a distance of the first is below one of the second; equal ones count half."""
    ordered = np.sort(across)
    above = len(across) - np.searchsorted(ordered, within, "right")
    equal = np.searchsorted(ordered, within, "right") - np.searchsorted(ordered, within, "left")
    return float((above + equal / 2).mean() / len(across))
