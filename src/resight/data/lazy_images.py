"""Images that are decoded on demand, for data that do not fit into memory, such as the frames of many videos.

MARS has 509,914 training frames; decoded at 384 x 192 they take 113 GB. An epoch of SCR shows 2,500 of them.
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
    """The images of a table, decoded at each read.

    An unreadable image is discovered at its first read. The nearest readable image of the same tracklet, else of the
    same person, replaces it. So a batch is always complete, and the same files give the same batches.

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
        """The path of each unreadable image so far and the reason, in the table's order."""
        return tuple((str(self.table.paths[row]), self._reasons[row]) for row in sorted(self._reasons))

    def read(self, rows: Ints) -> Pixels:
        """Decode some images.

        Args:
            rows: ``(B,)`` rows of the table.

        Returns:
            ``(B, H, W, 3)`` uint8 RGB.

        Raises:
            DataError: An image is unreadable, and so are all others of its tracklet and person.
        """
        pixels = np.empty((len(rows), *self.size, 3), np.uint8)
        with open_pool() as pool:
            for index, image in enumerate(pool.map(self._read_or_replace, np.asarray(rows).tolist())):
                pixels[index] = image
        return pixels

    def _read_or_replace(self, row: int) -> Pixels:
        image = self._try_read(row)
        if image is not None:
            return image
        for substitute in self._substitutes(row).tolist():
            image = self._try_read(substitute)
            if image is not None:
                return image
        path, reason = self.table.paths[row], self._reasons[row]
        raise DataError(f"{path}: {reason} (and no other image of its tracklet or person can be read)")

    def _try_read(self, row: int) -> Pixels | None:
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

    def _substitutes(self, row: int) -> Ints:
        """Return the rows that may replace one, the best first."""
        table = self.table
        tracklet, person = int(table.tracklet_ids[row]), int(table.person_ids[row])
        same_tracklet = (table.tracklet_ids == tracklet) & (tracklet != UNKNOWN)
        candidates = np.flatnonzero(same_tracklet | ((table.person_ids == person) & (person != UNKNOWN)))
        candidates = candidates[candidates != row]
        nearest_first: Ints = candidates[np.lexsort((np.abs(candidates - row), ~same_tracklet[candidates]))]
        return nearest_first
