"""Tiles: framed pictures, from which ranked lists and contact sheets are built."""

from __future__ import annotations

import base64
import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from resight.data.images import open_image
from resight.errors import DataError
from resight.files import printable, write_atomically
from resight.records import UNKNOWN
from resight.reports.letters import Letters

Names = Mapping[str, Sequence[str]]
"""The data set's names of ``people`` and ``cameras``, in the order of the ids, if it has any."""

PAPER = "#f4f5f7"
INK = "#1b1f27"
MUTED = "#545b66"
UNREADABLE = "#c9cdd3"

# Tile shapes, width over height. Rounding to a few of them aligns the ranked lists of a data set.
_SHAPES = (0.5, 0.75, 1.0, 1.5)


def display_name(number: int, names: Sequence[str], kind: str) -> str:
    """Return the name of a person or a camera.

    Args:
        number: The id, ``-1`` if unknown.
        names: The name of each id; empty if the data set has only ids.
        kind: ``"person"`` or ``"camera"``.

    Returns:
        The name, or for example "camera 2" without names; empty if the id is unknown.
    """
    if number == UNKNOWN:
        return ""
    return printable(names[number]) if names else f"{kind} {number}"


def read_picture(source: str | Path | Image.Image, height: int) -> Image.Image | None:
    """Read an image as for training, or take one, and scale it to a height; return None if it cannot be read."""
    try:
        picture = source if isinstance(source, Image.Image) else open_image(source)
    except DataError:  # a broken file must not stop the page
        return None
    width = round(picture.width * height / picture.height)
    return picture.resize((min(max(width, 1), 4 * height), height), Image.Resampling.LANCZOS)


def tile_width(pictures: Sequence[Image.Image | None], height: int) -> int:
    """Return one width for all tiles: that of the pictures' median shape, rounded to one of a few shapes."""
    shapes = [picture.width / picture.height for picture in pictures if picture is not None]
    median = statistics.median(shapes) if shapes else _SHAPES[0]
    return round(height * min(_SHAPES, key=lambda shape: abs(shape - median)))


def draw_tile(
    sheet: Image.Image,
    picture: Image.Image | None,
    corner: tuple[int, int],
    size: tuple[int, int],
    frame: int,
    color: str,
) -> None:
    """Draw a picture, uncut and centered, in a tile with a frame; ``corner`` is the frame's upper left."""
    draw = ImageDraw.Draw(sheet)
    (left, top), (width, height) = corner, size
    draw.rectangle((left, top, left + width + 2 * frame - 1, top + height + 2 * frame - 1), fill=color)
    inner = (left + frame, top + frame, left + frame + width - 1, top + frame + height - 1)
    draw.rectangle(inner, fill=UNREADABLE if picture is None else "#ffffff")
    if picture is None:
        letters = Letters(max(8, min(height // 11, width // 6)))
        middle, line = top + frame + height // 2, round(1.2 * letters.size)
        for row, text in enumerate(("cannot", "be read")):
            letters.write(draw, (left + frame + width // 2, middle + (row - 1) * line), text, INK, "ma")
        return
    fitted = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    offset = (left + frame + (width - fitted.width) // 2, top + frame + (height - fitted.height) // 2)
    sheet.paste(fitted, offset)


def data_uri(picture: Image.Image) -> str:
    """Return a picture as a JPEG in a data URI."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def write_png(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG file, atomically."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())
