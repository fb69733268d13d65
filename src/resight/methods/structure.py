"""Where the structure maps of GCL come from: renderings of each person's body, turned about its axis (§5.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from resight.bodies.files import KIND, PICTURES, TurnedFiles
from resight.bodies.maps import StructureMaps
from resight.bodies.recovery import structure_maps
from resight.data.crops import Crops
from resight.errors import ConfigError, DataError, counted
from resight.files import expanded, printable
from resight.records import Ints, Mask
from resight.synthetic.turns import angle_folder


class PairedViews(Protocol):
    """True pictures of the people of the training images, turned as the structure maps are."""

    def load(self, rows: Ints, turns: Ints) -> Tensor:
        """Return ``(B, 3, H, W)`` uint8 pictures; arguments as for `StructureMaps.load`."""


class ViewGenerator(PairedViews, Protocol):
    """What draws the people of ``N`` images as seen from elsewhere.

    ``load(rows, turns)`` returns ``(B, 3, H, W)`` uint8 pictures of usable images, turned by eighths of a circle; a
    turn of 0 is the image drawn anew.

    Attributes:
        usable: ``(N,)`` bool, whether an image can be turned.
    """

    usable: Mask


def _recovered(recovery: str) -> Callable[[Crops], StructureMaps]:
    return lambda images: structure_maps(images.table.paths.tolist(), recovery, size=images.size)


SOURCES: dict[str, Callable[[Crops], StructureMaps]] = {name: _recovered(name) for name in ("pose", "truth")}
"""The sources of structure maps that have a name; every other text names a folder of renderings."""


def open_structure(source: str, images: Crops, *, turns: int) -> StructureMaps:
    """Open the structure maps that the setting `structure` names.

    Args:
        source: A key of `SOURCES`, or a folder with the folders ``render``, ``render_45``, ``render_90`` and so on.
        images: The ``N`` training images.
        turns: How many turns are needed, from that by 0 degrees on.

    Raises:
        ConfigError: No source is named.
        DataError: There is no such folder, or a rendering could be of two images.
        WeightsError: The pose model is absent.
    """
    if not source:
        raise ConfigError(
            "gcl needs a rendering of each person's body: give --structure pose, or --structure FOLDER with the "
            f"folders {_names(KIND)} ... (docs/bodies.md); or --generator false --warmup_epochs 0"
        )
    if source in SOURCES:
        return SOURCES[source](images)
    return TurnedFiles(expanded(source), images.table.paths.tolist(), size=images.size, turns=turns)


def open_pairs(source: str, images: Crops, *, turns: int, needed: Mask) -> PairedViews:
    """Open the true pictures beside the renderings, in the folders ``view``, ``view_45`` and so on.

    Args:
        source: As for `open_structure`.
        images: As for `open_structure`.
        turns: As for `open_structure`.
        needed: ``(N,)`` bool, the images whose pictures will be loaded.

    Raises:
        ConfigError: No folder is named.
        DataError: A picture is missing, or could be of two images.
    """
    if not source or source in SOURCES:
        raise ConfigError(
            "pretrain pairs needs true pictures of turned people: give --structure FOLDER, with the folders "
            f"{_names(PICTURES)} ... beside the renderings (docs/bodies.md); or --pretrain none"
        )
    pictures = open_views(source, images, turns=turns)
    missing = np.flatnonzero(needed & ~pictures.usable)
    if len(missing):
        raise DataError(
            f"pretrain pairs needs true pictures of turned people in {printable(source)}, as "
            f"{_names(PICTURES)} ...: {counted(len(missing), 'image')} without, such as "
            f"{printable(Path(images.table.paths[missing[0]]).name)}"
        )
    return pictures


def open_views(source: str, images: Crops, *, turns: int) -> TurnedFiles:
    """Open pictures of turned people, true ones or another generator's, in the folders ``view``, ``view_45`` and so on.

    Args:
        source: The folder that holds them.
        images: As for `open_structure`.
        turns: As for `open_structure`.

    Raises:
        DataError: There is no such folder, or a view could be of two images.
    """
    return TurnedFiles(expanded(source), images.table.paths.tolist(), size=images.size, kind=PICTURES, turns=turns)


def check_structure(turned: StructureMaps | ViewGenerator, images: Crops) -> None:
    """Check that structure maps or views are of these images.

    Raises:
        DataError: There are more or fewer of them.
        ConfigError: Fewer than two images have one.
    """
    usable = turned.usable
    if len(usable) != len(images):
        raise DataError(f"renderings or views are of {counted(len(usable), 'image')}, there are {len(images):,}")
    if usable.sum() < 2:
        raise ConfigError(
            "gcl learns from two images or more that have a rendering of their body, or a view, found "
            f"{usable.sum()} of {len(images):,}: see that they are of these images, and have their names"
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


def _names(kind: str) -> str:
    return ", ".join(angle_folder(kind, turns) for turns in range(3))
