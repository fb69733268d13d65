"""The decoded images of a table, in memory or in a memory-mapped file."""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import numpy as np
import numpy.typing as npt

from resight.data.images import Pixels, check_image_size, read_image
from resight.data.threads import in_threads
from resight.errors import DataError
from resight.records import ImageTable, Mask

logger = logging.getLogger(__name__)

MEMORY_LIMIT = 2 * 2**30
"""The most bytes of pixels that `load_images` keeps in RAM."""


@dataclass(frozen=True, eq=False)
class ImageStore:
    """The decoded images of a table, one row per image.

    Attributes:
        pixels: ``(N, H, W, 3)`` uint8 RGB, in RAM or memory-mapped; zeros for unreadable images.
        readable: ``(N,)`` bool, whether the image could be read.
        problems: The path of each unreadable image and the reason, in the table's order.
    """

    pixels: Pixels
    readable: Mask
    problems: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        height, width = self.pixels.shape[1:3]
        return int(height), int(width)

    def read(self, rows: npt.NDArray[np.int64]) -> Pixels:
        """Return a writable copy of some rows' pixels, ``(B, H, W, 3)`` uint8."""
        pixels: Pixels = self.pixels[rows]
        return pixels


def load_images(
    table: ImageTable,
    size: tuple[int, int],
    *,
    memory_limit: int = MEMORY_LIMIT,
    cache: Path | None = None,
    progress: bool = True,
) -> ImageStore:
    """Decode every image of a table once.

    Args:
        table: The ``N`` images.
        size: Height and width in pixels.
        memory_limit: The most bytes of pixels to keep in RAM; more go to a memory-mapped file.
        cache: The folder of that file, by default the system's temporary folder. The file has no name in it and
            disappears with the pixels, however the process ends.
        progress: Whether to show a progress bar on a terminal, if the work takes over 2 seconds.

    Returns:
        The store, its rows in the table's order.

    Raises:
        DataError: No image can be read, or the folder has no room for the pixels, or it is not writable.
        ConfigError: The size is not two positive numbers.
    """
    height, width = check_image_size(size)
    shape = (len(table), height, width, 3)
    num_bytes = len(table) * height * width * 3
    pixels = np.zeros(shape, np.uint8) if num_bytes <= memory_limit else _map_file(shape, num_bytes, cache)
    readable = np.zeros(len(table), np.bool_)
    reasons: dict[int, str] = {}

    def decode(row: int) -> None:
        path = str(table.paths[row])
        try:
            pixels[row] = read_image(path, (height, width))
            readable[row] = True
        except DataError as error:
            reasons[row] = str(error).removeprefix(f"{path}: ")

    in_threads(decode, len(table), what="reading images", progress=progress)

    problems = tuple((str(table.paths[row]), reasons[row]) for row in sorted(reasons))
    if problems and not readable.any():
        path, reason = problems[0]
        start = f"none of the {len(table)} images can be read; the first is " if len(table) > 1 else ""
        raise DataError(f"{start}{path}: {reason}")
    if problems:
        path, reason = problems[0]
        logger.warning("%d of %d images cannot be read; the first is %s: %s", len(problems), len(table), path, reason)
    readable.setflags(write=False)
    pixels.setflags(write=False)
    return ImageStore(pixels, readable, problems)


def _map_file(shape: tuple[int, int, int, int], num_bytes: int, cache: Path | None) -> Pixels:
    """Map pixels to a temporary file without a name."""
    parent = Path(cache or tempfile.gettempdir())
    try:
        parent.mkdir(parents=True, exist_ok=True)
        free = disk_usage(parent).free
        if free < num_bytes:
            raise OSError(errno.ENOSPC, f"{free / 1e9:.1f} GB are free")
        with tempfile.TemporaryFile(dir=parent) as file:
            # A mapped file that outgrows its disk ends the process with SIGBUS. So allocate the room first: other
            # processes, such as those of the same run, may claim it at the same time.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
    except OSError as error:
        raise DataError(
            f"the decoded images need {num_bytes / 1e9:.1f} GB and cannot be kept in {parent} ({error.strerror}): set "
            "TMPDIR to a folder with room, or choose a smaller image size"
        ) from None
