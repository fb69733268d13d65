"""Limits on the cost of reading one image, checked before the cost arises.

Images of cameras and ordinary programs stay far below them. A malicious file of a few kilobytes can demand minutes and
gigabytes.
"""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

PIXEL_LIMIT = 64_000_000
"""The most pixels an image may have: 192 MB as RGB. A crop has thousands, a camera's frame millions."""

LOWER_PIXEL_LIMITS = {"JPEG2000": 16_000_000, "WEBP": 32_000_000}
"""Lower limits for formats whose pixels take ten times as long, or several times the memory."""

SIDE_LIMIT = 30_000
"""The most pixels along a side: resizing needs extra memory for each row and column."""

BYTES_LIMIT = 256 * 2**20
"""The largest file, in bytes: more than the allowed pixels need without compression."""

HEADER_LIMIT = 16 * 2**20
"""The most bytes before the pixels: camera data, color profiles, tables of contents."""

SCANNED_LIMIT = 20 * PIXEL_LIMIT
"""The most pixels that all passes over a progressive JPEG may visit together. Programs write about ten passes."""

SMALLEST_SCAN = 10
"""Bytes of the shortest possible pass."""

HEADER_SECONDS, PIXEL_SECONDS = 1.0, 5.0
"""The most seconds of processor time to read the part before the pixels, and to read the pixels."""

_PIECE = 2**16
_LARGE_READ = 2**12  # bytes; every read of this size checks the clock, smaller ones do now and then
_SCAN = b"\xff\xda"
# In compressed data, 0xFF precedes 0, a restart marker or a fill byte 0xFF. Otherwise it starts a marker.
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


class TooMuchError(Exception):
    """An image costs too much to read; the text says why. Not a ValueError, because Pillow's readers swallow those."""


class BoundedFile(io.BufferedReader):
    """An image file that raises if reading it piece by piece takes too long, or if its header is too large.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(io.FileIO(path))
        self._deadline = time.thread_time() + HEADER_SECONDS
        self._bytes_left = HEADER_LIMIT
        self._num_reads = 0
        self._read = super().read

    def read(self, size: int | None = -1, /) -> bytes:
        """Read like any file.

        Raises:
            TooMuchError: Too much was read, or for too long.
        """
        self._num_reads += 1
        limit = -1 if size is None else size
        if (not 0 <= limit < _LARGE_READ or self._num_reads % 64 == 0) and time.thread_time() > self._deadline:
            raise TooMuchError("it takes too many seconds to read: save it again")
        data = self._read(size)
        if limit >= 0:  # a read of the entire file happens once
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                raise TooMuchError(
                    f"it holds more than {HEADER_LIMIT // 2**20} MB besides its pixels: save it again without them"
                )
        return data

    def open_pixels(self, size: int) -> None:
        """Allow one read of the pixels of a file of this size, in bytes."""
        self._bytes_left = size + HEADER_LIMIT
        self._deadline = time.thread_time() + PIXEL_SECONDS


def check_size(size: int) -> None:
    """Check that a file does not have too many bytes.

    Raises:
        TooMuchError: The file is too large.
    """
    if size > BYTES_LIMIT:
        raise TooMuchError(
            f"a file of {size / 1e6:,.0f} MB, above the limit of {BYTES_LIMIT // 10**6} MB: shrink the image, or copy "
            "it again"
        )


def check_pixels(width: int, height: int, form: str | None = None) -> None:
    """Check that an image does not have too many pixels, along a side or in total.

    Args:
        width: Pixels.
        height: Pixels.
        form: Pillow's name of the format.

    Raises:
        TooMuchError: The image is too large.
    """
    limit = LOWER_PIXEL_LIMITS.get(form or "", PIXEL_LIMIT)
    pixels = f"{width} x {height} pixels"
    if width * height > limit:
        of = f" of {form}" if limit != PIXEL_LIMIT else ""
        raise TooMuchError(
            f"{pixels}, above the limit of {limit // 10**6} million{of}: cut out the people or shrink it"
        )
    if max(width, height) > SIDE_LIMIT:
        raise TooMuchError(f"{pixels}, above the limit of {SIDE_LIMIT:,} along a side: cut out the people or shrink it")


def check_scans(file: io.BufferedReader, size: int, pixels: int) -> None:
    """Check that a JPEG does not make too many passes over its pixels; the file's position stays.

    Args:
        file: An open JPEG.
        size: Its number of bytes.
        pixels: Its number of pixels.

    Raises:
        TooMuchError: There are too many passes.
    """
    limit = SCANNED_LIMIT // max(1, pixels)
    if size // SMALLEST_SCAN <= limit:
        return
    position = file.tell()
    try:
        file.seek(0)
        # First the quick count. It may be too high, because camera data and bytes after the image can look like scans.
        if _count_scan_bytes(file, limit) > limit and (scans := count_scans(file)) > limit:
            raise TooMuchError(f"a JPEG of {scans:,} scans, above the limit of {limit}: save it again")
    finally:
        file.seek(position)


def _count_scan_bytes(file: io.BufferedReader, limit: int) -> int:
    count, last = 0, b""
    while count <= limit and (piece := io.BufferedReader.read(file, _PIECE)):
        count += piece.count(_SCAN) + (last + piece[:1] == _SCAN)
        last = piece[-1:]
    return count


def count_scans(file: io.BufferedReader) -> int:
    """Count the scans of a JPEG, marker by marker, up to the end of its image."""
    file.seek(0)
    data = io.BufferedReader.read(file)
    count, position = 0, 2
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == 0xD9:
            break
        count += marker == _SCAN[1]
        if marker != 0x01:
            position += int.from_bytes(data[position : position + 2], "big")
    return count
