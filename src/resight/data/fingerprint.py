"""Whether images are the same ones: by what their files hold, wherever they lie and whenever they were copied."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np

from resight.data.threads import in_threads
from resight.files import read_regular
from resight.records import ImageTable, Ints

MOST = 50_000
"""How many images of a table are looked at: all, or as many spread evenly over it."""

LARGEST = 2**27
"""The most bytes of an image that is looked at."""


def content_digest(*tables: ImageTable) -> str:
    """Give the identity of images and of what is known of them.

    Args:
        tables: The images; their order counts, and their people, cameras and tracklets, and not their names.

    Returns:
        Some letters, the same for a copy of them.
    """
    digest = hashlib.sha256()
    for table in tables:
        for column in (_checks(table), table.person_ids, table.camera_ids, table.tracklet_ids):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:32]


def _checks(table: ImageTable) -> Ints:
    """Give the size and the checksum of the files of a table, of as many as are looked at."""
    rows = np.linspace(0, len(table) - 1, min(len(table), MOST)).round().astype(np.int64)
    paths, checks = table.paths[rows].tolist(), np.zeros((len(rows), 2), np.int64)

    def look(place: int) -> None:
        checks[place] = _check(paths[place])

    in_threads(look, len(paths), what="comparing images", progress=False)
    return checks


def _check(path: str) -> tuple[int, int]:
    """Give the size of a file and a checksum of its bytes; zeros where it cannot be read."""
    try:
        content = read_regular(Path(path), LARGEST)
    except (OSError, ValueError):
        return 0, 0
    return len(content), zlib.crc32(content)
