"""Where the structure maps of GCL come from: renderings of each person's body, turned about its axis (§5.3.1)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resight.data.crops import Crops
from resight.data.image_formats import is_image_name
from resight.data.images import read_image
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.records import Ints, Mask

STEP = 45
"""Degrees of one turn."""

TURNS = 8
"""Turns, with that by 0 degrees."""


class StructureMaps(Protocol):
    """The structure maps of the ``N`` training images."""

    @property
    def usable(self) -> Mask:
        """``(N,)`` bool, the images that have a body."""

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Return the gray renderings of turned bodies.

        Args:
            rows: ``(B,)`` usable images.
            turns: ``(B,)`` how far each body is turned, in steps of 45 degrees: 0..7.

        Returns:
            ``(B, 1, H, W)`` uint8, of the images' size.
        """


class PairedViews(Protocol):
    """True pictures of the people of the training images, turned as the structure maps are."""

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Return ``(B, 3, H, W)`` uint8 pictures; arguments as for `StructureMaps.load`."""


SOURCES: dict[str, Callable[[Crops], StructureMaps]] = {}
"""The sources of structure maps that have a name; every other text names a folder of renderings."""


def open_structure(source: str, images: Crops, *, turns: int) -> StructureMaps:
    """Open the structure maps that the setting `structure` names.

    Args:
        source: A key of `SOURCES`, or a folder with the folders ``render``, ``render_45``, ``render_90`` and so on.
        images: The ``N`` training images.
        turns: How many turns are needed, from that by 0 degrees on.

    Raises:
        ConfigError: No source is named, or there is no such folder.
        DataError: A rendering could be of two images.
    """
    if not source:
        raise ConfigError(
            "gcl needs a rendering of each person's body: give --structure FOLDER, with the folders "
            f"{', '.join(_names('render', 3))} ... (docs/methods/gcl.md); or --generator false --warmup_epochs 0"
        )
    if source in SOURCES:
        return SOURCES[source](images)
    return TurnedPictures(source, images, turns=turns)


def open_pairs(source: str, images: Crops, *, turns: int, needed: Mask) -> PairedViews:
    """Open the true pictures beside the renderings, in the folders ``view``, ``view_45`` and so on.

    Args:
        source: As for `open_structure`.
        images: As for `open_structure`.
        turns: As for `open_structure`.
        needed: ``(N,)`` bool, the images whose pictures will be loaded.

    Raises:
        ConfigError: No folder is named, or there is none.
        DataError: A picture is missing, or could be of two images.
    """
    if not source:
        raise ConfigError(
            "pretrain pairs needs true pictures of turned people: give --structure FOLDER, with the folders "
            f"{', '.join(_names('view', 3))} ... (docs/methods/gcl.md); or --pretrain none"
        )
    pictures = TurnedPictures(source, images, turns=turns, prefix="view", gray=False)
    missing = np.flatnonzero(needed & ~pictures.usable)
    if len(missing):
        raise DataError(
            f"pretrain pairs needs true pictures of turned people in {printable(source)}, as "
            f"{', '.join(_names('view', 2))} ...: {counted(len(missing), 'image')} without, such as "
            f"{printable(Path(images.table.paths[missing[0]]).name)}"
        )
    return pictures


class TurnedPictures:
    """Pictures in a folder for each turn; a picture has the name of its image, in any format.

    Args:
        source: The folder that holds the folders.
        images: The ``N`` training images.
        turns: How many turns are read.
        prefix: The name of the folder of those turned by 0 degrees.
        gray: Whether pictures have one channel, or three.

    Attributes:
        usable: ``(N,)`` bool, the images that have a picture of every turn.

    Raises:
        ConfigError: There is no such folder.
        DataError: Two images that have pictures have one name.
    """

    def __init__(self, source: str, images: Crops, *, turns: int, prefix: str = "render", gray: bool = True) -> None:
        folder = expanded(source)
        if not folder.is_dir():
            raise ConfigError(f"structure must name a folder of renderings, found no folder '{printable(source)}'")
        self.size, self.gray = images.size, gray
        self._files = [_pictures(folder / name) for name in _names(prefix, turns)]
        self._names = [Path(path).stem for path in images.table.paths]
        self.usable = np.array([all(name in files for files in self._files) for name in self._names])
        rendered = [name for name, usable in zip(self._names, self.usable, strict=True) if usable]
        if len(set(rendered)) < len(rendered):
            twice = next(name for name in rendered if rendered.count(name) > 1)
            raise DataError(
                f"a picture in {printable(folder)} is found by the name of its image, and two images are called "
                f"'{printable(twice)}': give each image a name of its own"
            )

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Return ``(B, 1, H, W)`` or ``(B, 3, H, W)`` uint8; arguments as for `StructureMaps.load`."""
        pictures = [
            read_image(self._files[turn][self._names[row]], self.size) for row, turn in zip(rows, turns, strict=True)
        ]
        if self.gray:
            pictures = [np.asarray(Image.fromarray(picture).convert("L"))[:, :, None] for picture in pictures]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def check_structure(structure: StructureMaps, images: Crops) -> None:
    """Check that structure maps are of these images.

    Raises:
        DataError: There are more or fewer of them.
        ConfigError: Fewer than two images have one.
    """
    usable = structure.usable
    if len(usable) != len(images):
        raise DataError(f"the structure is of {counted(len(usable), 'image')}, there are {len(images):,}")
    if usable.sum() < 2:
        raise ConfigError(
            f"gcl learns from two images or more that have a rendering of their body, found {usable.sum()} of "
            f"{len(images):,}: see that the renderings are of these images, and have their names"
        )


def check_pictures(pictures: Tensor, shape: tuple[int, ...]) -> None:
    """Check what structure maps or paired views loaded.

    Raises:
        DataError: It has another shape or type.
    """
    if tuple(pictures.shape) != shape or pictures.dtype != torch.uint8:
        kind = "structure maps" if shape[1] == 1 else "pictures"
        raise DataError(f"{kind} must be {shape} of uint8, found {tuple(pictures.shape)} of {pictures.dtype}")


def body_mask(structure: Tensor) -> Tensor:
    """Return which pixels of renderings show the body: those of another gray than most of the border.

    Args:
        structure: ``(B, 1, H, W)`` float, -1..1.

    Returns:
        ``(B, 1, H, W)`` bool.
    """
    border = [structure[:, :, 0], structure[:, :, -1], structure[:, :, :, 0], structure[:, :, :, -1]]
    background = torch.cat(border, 2).median(2).values[:, :, None, None]
    return (structure - background).abs() > 1 / 16  # resizing blurs the outline


def _names(prefix: str, turns: int) -> list[str]:
    return [f"{prefix}_{STEP * turn}" if turn else prefix for turn in range(turns)]


def _pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures in a folder by their names without endings; none if there is no such folder."""
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - 100,000 Path objects are slow
    return {os.path.splitext(name)[0]: folder / name for name in names if is_image_name(name)}  # noqa: PTH122
