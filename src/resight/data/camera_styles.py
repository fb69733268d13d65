"""Versions of the training images in the style of other cameras, as a GAN drew them (CamStyle).

A folder holds them under the names that CamStyle gives: ``0002_c1s1_000451_03_fake_1to2.jpg`` is the image
``0002_c1s1_000451_03.jpg`` of camera 1 as camera 2 would show it.

References:
    Zhong et al., "Camera style adaptation for person re-identification", CVPR 2018.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resight.data.crops import Crops
from resight.data.image_formats import is_image_name
from resight.data.lazy_images import ImageFiles
from resight.data.roots import list_folder
from resight.errors import DataError
from resight.files import expanded, printable
from resight.records import ImageTable, Ints

PATTERN = re.compile(r"(?P<stem>.+)_fake_[0-9]+to[0-9]+\.[^.]+")
FORM = "0002_c1s1_000451_03_fake_1to2.jpg"


class CameraStyles:
    """The versions of each image: itself, and its files in the folder.

    Args:
        folder: The folder of CamStyle's images.
        images: The ``N`` training images; their files' names, without the ending, start the names of the versions.

    Raises:
        DataError: The folder is missing, or no file in it is a version of one of these images.
    """

    def __init__(self, folder: str | Path, images: Crops) -> None:
        path = expanded(folder)
        if not path.is_dir():
            raise DataError(f"styles: there is no folder {printable(path)}: name the folder of CamStyle's images")
        rows = {Path(os.fspath(name)).stem: row for row, name in enumerate(images.table.paths.tolist())}
        found: list[tuple[int, str]] = []
        for name in list_folder(path)[1]:
            match = PATTERN.fullmatch(name) if is_image_name(name) else None
            if match and match["stem"] in rows:
                found.append((rows[match["stem"]], str(path / name)))
        if not found:
            raise DataError(f"styles: no file in {printable(path)} is named like {FORM}, after one of the images")
        owners = np.array([row for row, _ in found])
        order = np.argsort(owners, kind="stable")
        self.images = images
        self.counts = np.bincount(owners, minlength=len(images))
        self._starts = np.cumsum(self.counts) - self.counts
        # An unreadable version is replaced by another one of the same image.
        table = ImageTable(np.array([found[i][1] for i in order]), person_ids=owners[order])
        self._files = ImageFiles(table, images.size)

    def pixels(self, rows: Ints, draws: Tensor) -> Tensor:
        """Read one version of each image.

        Args:
            rows: ``(B,)`` images.
            draws: ``(B,)`` in 0..1, 1 excluded: which version, all alike likely.

        Returns:
            ``(B, H, W, 3)`` uint8.
        """
        versions = (draws.numpy() * (self.counts[rows] + 1)).astype(np.int64)
        pixels = self.images.pixels(rows)
        styled = np.flatnonzero(versions)
        if len(styled):
            files = self._starts[rows[styled]] + versions[styled] - 1
            pixels[torch.from_numpy(styled)] = torch.from_numpy(self._files.read(files))
        return pixels
