"""A fingerprint of images by the content of their files, whatever their paths and times."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np

from resight.data.threads import in_threads
from resight.files import read_regular
from resight.records import ImageTable, Ints

MAX_IMAGES = 50_000
"""The most images of a table to read; of a larger table, this many rows, evenly spaced."""

MAX_BYTES = 2**27
"""The most bytes of an image to read."""


def content_digest(*tables: ImageTable) -> str:
    """Compute a digest of images and their labels.

    Args:
        tables: The images. Their order, people, cameras and tracklets count; their paths do not.

    Returns:
        32 hexadecimal digits, the same for a copy of the images.
    """
    digest = hashlib.sha256()
    for table in tables:
        for column in (_file_checksums(table), table.person_ids, table.camera_ids, table.tracklet_ids):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:32]


def _file_checksums(table: ImageTable) -> Ints:
    """Return the size and the checksum of a table's files, ``(M, 2)``, of `MAX_IMAGES` at most."""
    rows = np.linspace(0, len(table) - 1, min(len(table), MAX_IMAGES)).round().astype(np.int64)
    paths, checksums = table.paths[rows].tolist(), np.zeros((len(rows), 2), np.int64)

    def read(row: int) -> None:
        checksums[row] = _file_checksum(paths[row])

    in_threads(read, len(paths), what="comparing images", progress=False)
    return checksums


def _file_checksum(path: str) -> tuple[int, int]:
    """Return the size of a file and a checksum of its bytes; zeros if it cannot be read."""
    try:
        content = read_regular(Path(path), MAX_BYTES)
    except (OSError, ValueError):
        return 0, 0
    return len(content), zlib.crc32(content)
