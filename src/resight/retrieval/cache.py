"""A cache of embeddings and statistics, so that the same images are not embedded or measured again.

The name of a file depends on the encoder, its precision, and the path, size and times of each image. The times include
that of the inode, which also changes when a copy keeps the dates of its original. Each file has a checksum, and its
content is checked: a damaged file is replaced. When the files of the folder exceed `MOST` bytes, those that were not
used for the longest time are removed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resight import __version__
from resight.checksums import DamagedError, seal, unseal
from resight.compute.tensor_files import check_alike
from resight.files import check_outside, expanded, printable, write_atomically
from resight.records import Floats, ImageTable, Ints

logger = logging.getLogger(__name__)

MOST = 10 * 2**30
"""The most bytes of a cache folder, 10 GB: two million images at 1,280 numbers each."""

LENGTH = 1e-3
"""Tolerance of the length of a vector, which should be 1."""

_NAME = re.compile(r"[0-9a-f]{32}\.safetensors")


def vectors_folder(name: str, data: Path) -> Path | None:
    """Return the cache folder that a user names, or None.

    Args:
        name: The folder; empty for no cache.
        data: Folder of the images; the cache must not lie inside.

    Raises:
        ConfigError: It lies inside.
    """
    if not name:
        return None
    check_outside(expanded(name), data)
    return expanded(name)


def vectors_path(folder: Path, table: ImageTable, made_by: str) -> Path:
    """Return the file for the vectors of a table's images.

    Args:
        folder: The cache folder.
        table: The images.
        made_by: Everything that the vectors depend on, except the images.
    """
    digest = hashlib.sha256(f"{__version__} {made_by}".encode())
    for name in table.paths.tolist():
        try:
            status = os.stat(name)  # noqa: PTH116  (a Path for each image takes longer)
            state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError:
            state = "absent"
        # The repr, because a name may hold line ends, or bytes that are no UTF-8.
        digest.update(f"{os.path.abspath(name)!r} {state}\n".encode())  # noqa: PTH100  (does not read the disk)
    return folder / f"{digest.hexdigest()[:32]}.safetensors"


def load_vectors(path: Path, images: int, length: int) -> tuple[Floats, Ints] | None:
    """Read a file of `save_vectors`.

    Args:
        path: The file.
        images: Number of images in the table.
        length: Length of each vector.

    Returns:
        The vectors and the rows of their images; None if there is no file, or if it is damaged, with a warning.
    """
    try:
        tensors, _ = unseal(path, [])
        vectors, rows = tensors["vectors"].numpy(), tensors["rows"].numpy()
        _check(vectors, rows, images, length)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, DamagedError, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        logger.warning(
            "the cached embeddings in %s are damaged (%s): embedding the images again",
            printable(path),
            printable(reason),
        )
        return None
    with suppress(OSError):
        os.utime(path)  # marks the file as used now
    return vectors, rows


def save_vectors(path: Path, vectors: Floats, rows: Ints) -> None:
    """Write vectors to the cache, if the disk has room, and remove files not used for the longest time.

    Args:
        path: As `vectors_path` returns it.
        vectors: ``(N, D)``.
        rows: ``(N,)``, the rows of their images in the table.
    """
    _save(path, {"vectors": torch.from_numpy(vectors), "rows": torch.from_numpy(rows)}, "embeddings")


def load_statistics(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Read a file of `save_statistics`.

    Args:
        path: The file.
        expected: Tensors of the names, shapes and types to find.

    Returns:
        The tensors; None if there is no file, or if it is damaged, with a warning.
    """
    try:
        tensors, _ = unseal(path, [])
        check_alike(expected, tensors)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, DamagedError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        logger.warning(
            "the cached statistics in %s are damaged (%s): measuring again", printable(path), printable(reason)
        )
        return None
    with suppress(OSError):
        os.utime(path)  # marks the file as used now
    return tensors


def save_statistics(path: Path, statistics: Mapping[str, Tensor]) -> None:
    """Write the statistics of batch norms to the cache, as `save_vectors` writes vectors."""
    _save(path, statistics, "statistics")


def _save(path: Path, tensors: Mapping[str, Tensor], what: str) -> None:
    try:
        write_atomically(path, seal(tensors, {}))
        _make_room(path)
    except OSError as error:  # a full disk, for example; the caller has the tensors anyway
        logger.warning("cannot cache the %s: %s %s", what, printable(path), error.strerror)


def _check(vectors: Floats, rows: Ints, images: int, length: int) -> None:
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != length:
        raise DamagedError(f"expected vectors of {length} numbers")
    if rows.dtype != np.int64 or rows.shape != (len(vectors),) or not len(rows):
        raise DamagedError("each vector must have a row")
    if rows[0] < 0 or rows[-1] >= images or (np.diff(rows) <= 0).any():
        raise DamagedError("the rows are not those of the images")
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) <= LENGTH).all():
        raise DamagedError("the vectors are not of unit length")


def _make_room(newest: Path) -> None:
    """Remove the files not used for the longest time, but never the newest, until the others fit."""
    free = MOST - newest.stat().st_size
    entries = [entry for entry in os.scandir(newest.parent) if _NAME.fullmatch(entry.name) and entry.is_file()]
    for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime_ns, reverse=True):
        if entry.name != newest.name:
            free -= entry.stat().st_size
            if free < 0:
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108
