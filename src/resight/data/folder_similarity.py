"""Similarity of images within folders and across them, to infer the meaning of folders whose names are not telling.

Images of one person are more similar than images of two people, whatever cameras saw them. Images of one camera show
many people and are not more similar, once the color of the camera's light is removed. So each image is described by
the pattern of colors in its middle, where the person is, relative to the mean of the middle. Groups of images are
described by the probability that two images of one group are more similar than two images of different groups. It is
0.5 if the groups do not depend on the people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.images import open_image
from resight.errors import DataError
from resight.records import Floats

ONE_PERSON_AUC, MANY_PEOPLE_AUC = 0.60, 0.55
"""From the first value on, groups hold one person each. Below the second, they hold many people."""

_MAX_GROUPS, _MAX_IMAGES = 24, 144  # to describe
_MIN_PAIRS = 12  # within groups and across them; fewer are no evidence
_MAX_PIXELS = 32_000_000  # to decode
_SIZE = (24, 48)  # width and height of a shrunk image


def people_per_group(auc: float | None) -> Literal["one", "many", "unclear"]:
    """Return whether groups with this value of `GroupSimilarity.auc` hold one person each, or many."""
    if auc is None or MANY_PEOPLE_AUC <= auc < ONE_PERSON_AUC:
        return "unclear"
    return "one" if auc >= ONE_PERSON_AUC else "many"


class GroupSimilarity:
    """Compares images within groups and across them; describes each image once."""

    def __init__(self) -> None:
        self._descriptors: dict[str, Floats | None] = {}
        self._num_pixels = 0

    def auc(self, groups: Mapping[Any, Sequence[tuple[str, Any]]]) -> float | None:
        """Compute how often two images of one group are more similar than two of different groups.

        Args:
            groups: The images of each group in order: a path, and a value in which the two images of a pair must
                differ (None if any two images are a pair).

        Returns:
            The area under the ROC curve, 0..1; 0.5 if the groups are no evidence. None if there are too few pairs.
        """
        sample = _sample([images for _, images in sorted(groups.items(), key=lambda item: str(item[0]))])
        described = [
            (group, value, descriptor)
            for group, (path, value) in sample
            if (descriptor := self._describe(path)) is not None
        ]
        if not described:
            return None
        descriptors = np.stack([descriptor for _, _, descriptor in described])
        labels = np.array([group for group, _, _ in described])
        values = np.unique([str(value) for _, value, _ in described], return_inverse=True)[1]
        first, second = np.triu_indices(len(described), 1)
        if any(value is not None for _, value, _ in described):
            pairs = values[first] != values[second]
            first, second = first[pairs], second[pairs]
        same = labels[first] == labels[second]
        if same.sum() < _MIN_PAIRS or (~same).sum() < _MIN_PAIRS:
            return None
        squares = (descriptors**2).sum(1)
        distances = squares[first] + squares[second] - 2 * (descriptors @ descriptors.T)[first, second]
        return _auc(distances[same], distances[~same])

    def _describe(self, path: str) -> Floats | None:
        """Describe an image by its middle; None if it is unreadable or the limit of pixels is reached."""
        if path not in self._descriptors:
            self._descriptors[path] = None
            if self._num_pixels < _MAX_PIXELS:
                try:
                    image = open_image(path, least=_SIZE)
                except DataError:
                    return None
                self._num_pixels += image.width * image.height
                self._descriptors[path] = _color_pattern(image)
        return self._descriptors[path]


def _color_pattern(image: Image.Image) -> Floats:
    small = np.asarray(image.resize(_SIZE, Image.Resampling.BILINEAR), np.float32) / 255
    cells = small.reshape(12, 4, 6, 4, 3).mean((1, 3))
    # The color of light and the camera's white balance multiply a channel. In logarithms this is a sum.
    middle = np.log(cells[2:11, 2:4] + 0.08)
    pattern: Floats = (middle - middle.mean((0, 1))).ravel()
    return pattern


def _sample(groups: Sequence[Sequence[tuple[str, Any]]]) -> list[tuple[int, tuple[str, Any]]]:
    """Sample images evenly over the groups, always the same ones; the first of every group come before the second."""
    multiple = [images for images in groups if len(images) > 1]
    sample = [multiple[index] for index in _spread(len(multiple), _MAX_GROUPS)]
    per_group = max(6, min(24, _MAX_IMAGES // max(1, len(sample))))
    rows = [
        (turn, group, images[row])
        for group, images in enumerate(sample)
        for turn, row in enumerate(_spread(len(images), per_group))
    ]
    rows.sort(key=lambda row: row[:2])
    return [(group, image) for _, group, image in rows]


def _spread(count: int, most: int) -> list[int]:
    """Return up to ``most`` evenly spaced indices in ``0..count-1``."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist() if count else []


def _auc(within: npt.NDArray[Any], across: npt.NDArray[Any]) -> float:
    """Return the probability that a distance within groups is below one across groups; ties count half."""
    ordered = np.sort(across)
    num_above = len(across) - np.searchsorted(ordered, within, "right")
    num_equal = np.searchsorted(ordered, within, "right") - np.searchsorted(ordered, within, "left")
    return float((num_above + num_equal / 2).mean() / len(across))
