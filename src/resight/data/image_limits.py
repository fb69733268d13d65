"""What reading one image may cost: files that claim or unpack to more are refused before they do.

Nothing that a camera or a program writes for people comes near; whoever makes a file to harm can ask for minutes and
gigabytes in a few kilobytes.
"""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

PIXEL_LIMIT = 64_000_000
"""The most pixels an image may have: 192 MB as RGB. A crop has thousands, a camera's frame millions."""

LOWER_PIXEL_LIMITS = {"JPEG2000": 16_000_000, "WEBP": 32_000_000}
"""The same for formats of which a pixel takes ten times as long, or several times the memory."""

SIDE_LIMIT = 30_000
"""The most pixels along a side: each row and column costs memory of its own when an image is resized."""

BYTES_LIMIT = 256 * 2**20
"""The largest file, in bytes: as many pixels as are allowed, not compressed."""

HEADER_LIMIT = 16 * 2**20
"""The most bytes before the pixels: the camera's data, color profiles, tables of contents."""

SCANNED_LIMIT = 20 * PIXEL_LIMIT
"""The most pixels that the passes over a progressive JPEG may go over, all together: programs write about ten passes.
"""

SMALLEST_SCAN = 10
"""Bytes of the shortest pass."""

HEADER_SECONDS, PIXEL_SECONDS = 1.0, 5.0
"""The most seconds of a processor that may pass while what comes before the pixels, and while these, are read."""

_PIECE = 2**16
_WORTH_A_LOOK = 2**12  # bytes: at smaller reads the clock is looked at now and then
_SCAN = b"\xff\xda"
# In compressed data 0xFF stands before 0, a restart marker or another 0xFF that fills; else it begins a marker.
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


class TooMuchError(Exception):
    """An image would cost too much to read; the text says why. Not a ValueError, which Pillow's readers swallow."""


class BoundedFile(io.BufferedReader):
    """A file of an image that raises when reading it piece by piece takes too long, or its header is too large.

    Args:
        path: The file.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(io.FileIO(path))
        self._deadline = time.thread_time() + HEADER_SECONDS
        self._left = HEADER_LIMIT
        self._reads = 0
        self._read = super().read

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does.

        Raises:
            TooMuchError: Too much was read, or for too long.
        """
        self._reads += 1
        wanted = -1 if size is None else size
        if (not 0 <= wanted < _WORTH_A_LOOK or self._reads % 64 == 0) and time.thread_time() > self._deadline:
            raise TooMuchError("it takes too many seconds to read: save it again")
        data = self._read(size)
        if wanted >= 0:  # who reads a whole file at once does it once
            self._left -= len(data)
            if self._left < 0:
                raise TooMuchError(
                    f"it holds more than {HEADER_LIMIT // 2**20} MB besides its pixels: save it again without them"
                )
        return data

    def open_pixels(self, size: int) -> None:
        """Let the pixels of a file of so many bytes be read, once."""
        self._left = size + HEADER_LIMIT
        self._deadline = time.thread_time() + PIXEL_SECONDS


def check_size(size: int) -> None:
    """Make sure that a file has not too many bytes.

    Raises:
        TooMuchError: It has.
    """
    if size > BYTES_LIMIT:
        raise TooMuchError(
            f"a file of {size / 1e6:,.0f} MB, above the limit of {BYTES_LIMIT // 10**6} MB: shrink the image, or copy "
            "it again"
        )


def check_pixels(width: int, height: int, form: str | None = None) -> None:
    """Make sure that an image has not too many pixels, along a side or in all.

    Args:
        width: Pixels.
        height: Pixels.
        form: Its format, in Pillow's words.

    Raises:
        TooMuchError: It has.
    """
    limit = LOWER_PIXEL_LIMITS.get(form or "", PIXEL_LIMIT)
    found = f"{width} x {height} pixels"
    if width * height > limit:
        of = f" of {form}" if limit != PIXEL_LIMIT else ""
        raise TooMuchError(f"{found}, above the limit of {limit // 10**6} million{of}: cut out the people or shrink it")
    if max(width, height) > SIDE_LIMIT:
        raise TooMuchError(f"{found}, above the limit of {SIDE_LIMIT:,} along a side: cut out the people or shrink it")


def check_scans(file: io.BufferedReader, size: int, pixels: int) -> None:
    """Make sure that a JPEG does not go over its pixels too often; the file is left where it was.

    Args:
        file: An open JPEG.
        size: How many bytes it has.
        pixels: How many it has.

    Raises:
        TooMuchError: It does.
    """
    limit = SCANNED_LIMIT // max(1, pixels)
    if size // SMALLEST_SCAN <= limit:
        return
    place = file.tell()
    try:
        file.seek(0)
        # Counted the quick way first; what stands in the camera's data or behind the image looks alike by chance.
        if _count(file, limit) > limit and (scans := count_scans(file)) > limit:
            raise TooMuchError(f"a JPEG of {scans:,} scans, above the limit of {limit}: save it again")
    finally:
        file.seek(place)


def _count(file: io.BufferedReader, enough: int) -> int:
    found, last = 0, b""
    while found <= enough and (piece := io.BufferedReader.read(file, _PIECE)):
        found += piece.count(_SCAN) + (last + piece[:1] == _SCAN)
        last = piece[-1:]
    return found


def count_scans(file: io.BufferedReader) -> int:
    """Count the scans of a JPEG from marker to marker, up to the end of its image."""
    file.seek(0)
    data = io.BufferedReader.read(file)
    found, place = 0, 2
    while match := _MARKER.search(data, place):
        marker, place = match[1][0], match.end()
        if marker == 0xD9:
            break
        found += marker == _SCAN[1]
        if marker != 0x01:
            place += int.from_bytes(data[place : place + 2], "big")
    return found
