"""Images that are decoded when they are asked for: what does not fit into memory, such as the frames of many videos.

MARS has 509,914 frames to train on; decoded at 384 x 192 they are 113 GB. An epoch of SCR shows 2,500 of them.
"""

from __future__ import annotations

import logging

import numpy as np

from resight.data.images import Pixels, read_image
from resight.data.threads import open_pool
from resight.errors import DataError
from resight.records import UNKNOWN, ImageTable, Ints

logger = logging.getLogger(__name__)


class ImageFiles:
    """The images of a table, read anew each time.

    What cannot be read is known only when it is tried. In its place stands the nearest image that can be read: of the
    same tracklet, else of the same person. So a batch is always whole, and the same files give the same batches.

    Args:
        table: The ``N`` images.
        size: Height and width in pixels.
    """

    def __init__(self, table: ImageTable, size: tuple[int, int]) -> None:
        self.table, self.size = table, size
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.table)

    @property
    def problems(self) -> tuple[tuple[str, str], ...]:
        """The path and the reason of each image that was tried so far and cannot be read, in the table's order."""
        return tuple((str(self.table.paths[row]), self._reasons[row]) for row in sorted(self._reasons))

    def read(self, rows: Ints) -> Pixels:
        """Decode some images.

        Args:
            rows: ``(B,)`` rows of the table.

        Returns:
            ``(B, H, W, 3)`` uint8 RGB.

        Raises:
            DataError: An image cannot be read, and no other of its tracklet or person.
        """
        pixels = np.empty((len(rows), *self.size, 3), np.uint8)
        with open_pool() as pool:
            for place, found in enumerate(pool.map(self._readable, np.asarray(rows).tolist())):
                pixels[place] = found
        return pixels

    def _readable(self, row: int) -> Pixels:
        found = self._try(row)
        if found is not None:
            return found
        for other in self._in_place_of(row).tolist():
            found = self._try(other)
            if found is not None:
                return found
        path, reason = self.table.paths[row], self._reasons[row]
        raise DataError(f"{path}: {reason} (and no other image of its tracklet or person can be read)")

    def _try(self, row: int) -> Pixels | None:
        if row in self._reasons:
            return None
        path = str(self.table.paths[row])
        try:
            return read_image(path, self.size)
        except DataError as error:
            reason = str(error).removeprefix(f"{path}: ")
            if not self._reasons:
                logger.warning("images that cannot be read are replaced by others; the first is %s: %s", path, reason)
            self._reasons[row] = reason
            return None

    def _in_place_of(self, row: int) -> Ints:
        """Give the rows that may stand in for one, the best first."""
        table = self.table
        tracklet, person = int(table.tracklet_ids[row]), int(table.person_ids[row])
        own = (table.tracklet_ids == tracklet) & (tracklet != UNKNOWN)
        alike = np.flatnonzero(own | ((table.person_ids == person) & (person != UNKNOWN)))
        alike = alike[alike != row]
        nearest: Ints = alike[np.lexsort((np.abs(alike - row), ~own[alike]))]
        return nearest
