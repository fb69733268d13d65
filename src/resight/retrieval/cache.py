"""Vectors that are kept, so that the same images are not embedded again.

A file is named by what made it: the encoder, how it computed, and of each image the place, the size, and when it was
last changed. That is the time of the file's own record, which a copy that keeps the dates of its originals changes too.
It is under a seal, and what is in it is looked at: a damaged one is replaced. Those that were used longest ago go where
the folder would hold more than `MOST` bytes of them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from resight import __version__
from resight.checksums import DamagedError, seal, unseal
from resight.files import check_outside, expanded, printable, write_atomically
from resight.records import Floats, ImageTable, Ints

logger = logging.getLogger(__name__)

MOST = 10 * 2**30
"""The most bytes that a folder of kept vectors holds, 10 GB: two million images at 1,280 numbers each."""

LENGTH = 1e-3
"""By how much the length of a vector may differ from 1."""

_NAME = re.compile(r"[0-9a-f]{32}\.safetensors")


def vectors_folder(name: str, data: Path) -> Path | None:
    """Give the folder that a user names for vectors, or None.

    Args:
        name: The folder; empty keeps none.
        data: Where the images lie; vectors do not belong among them.

    Raises:
        ConfigError: It lies there.
    """
    if not name:
        return None
    check_outside(expanded(name), data)
    return expanded(name)


def vectors_path(folder: Path, table: ImageTable, made_by: str) -> Path:
    """Say where the vectors of a table's images are kept.

    Args:
        folder: Where all are kept.
        table: The images.
        made_by: What the vectors depend on but for the images.
    """
    digest = hashlib.sha256(f"{__version__} {made_by}".encode())
    for name in table.paths.tolist():
        try:
            status = os.stat(name)  # noqa: PTH116  (a path for each image takes longer)
            state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
        except OSError:
            state = "absent"
        # The repr, because a name may hold bytes that are no UTF-8, or a line's end.
        digest.update(f"{os.path.abspath(name)!r} {state}\n".encode())  # noqa: PTH100  (no disk is asked)
    return folder / f"{digest.hexdigest()[:32]}.safetensors"


def kept_vectors(path: Path, images: int, length: int) -> tuple[Floats, Ints] | None:
    """Read what `keep_vectors` wrote.

    Args:
        path: The file.
        images: How many images there were.
        length: How long each vector is.

    Returns:
        The vectors and the rows of their images; None where there are none, or the file is damaged, which is said.
    """
    try:
        kept, _ = unseal(path, [])
        vectors, rows = kept["vectors"].numpy(), kept["rows"].numpy()
        _check(vectors, rows, images, length)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, DamagedError, KeyError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        logger.warning(
            "the kept vectors in %s are damaged (%s): the images are embedded again", printable(path), printable(reason)
        )
        return None
    with suppress(OSError):
        os.utime(path)  # used now
    return vectors, rows


def keep_vectors(path: Path, vectors: Floats, rows: Ints) -> None:
    """Write vectors for another time, if there is room; those used longest ago make some.

    Args:
        path: As `vectors_path` gives it.
        vectors: ``(N, D)``.
        rows: ``(N,)`` which images they are of.
    """
    try:
        write_atomically(path, seal({"vectors": torch.from_numpy(vectors), "rows": torch.from_numpy(rows)}, {}))
        _make_room(path)
    except OSError as error:  # a full disk: the vectors are here all the same
        logger.warning("the vectors are not kept: %s %s", printable(path), error.strerror)


def _check(vectors: Floats, rows: Ints, images: int, length: int) -> None:
    if vectors.dtype != np.float32 or vectors.ndim != 2 or vectors.shape[1] != length:
        raise DamagedError(f"vectors of {length} numbers were expected")
    if rows.dtype != np.int64 or rows.shape != (len(vectors),) or not len(rows):
        raise DamagedError("each vector must have a row")
    if rows[0] < 0 or rows[-1] >= images or (np.diff(rows) <= 0).any():
        raise DamagedError("the rows are not those of the images")
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) <= LENGTH).all():
        raise DamagedError("the vectors are not of unit length")


def _make_room(newest: Path) -> None:
    """Remove the files that were used longest ago, but never the newest, until the others fit."""
    left = MOST - newest.stat().st_size
    found = [entry for entry in os.scandir(newest.parent) if _NAME.fullmatch(entry.name) and entry.is_file()]
    for entry in sorted(found, key=lambda entry: entry.stat().st_mtime_ns, reverse=True):
        if entry.name != newest.name:
            left -= entry.stat().st_size
            if left < 0:
                with suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108
