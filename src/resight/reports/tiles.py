"""Tiles: pictures in frames with words under them, which strips and sheets are laid out of."""

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
"""What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names."""

PAPER = "#f4f5f7"
INK = "#1b1f27"
MUTED = "#545b66"
UNREADABLE = "#c9cdd3"

# Tile shapes, width over height. Snapping to a few of them makes the strips of one data set line up.
_SHAPES = (0.5, 0.75, 1.0, 1.5)


def called(number: int, names: Sequence[str], what: str) -> str:
    """Return what the data call a person or a camera.

    Args:
        number: Its id, ``-1`` where it is unknown.
        names: The name of each id; empty where ids are all there is.
        what: ``"person"`` or ``"camera"``.

    Returns:
        The name, else such as "camera 2"; empty where it is unknown.
    """
    if number == UNKNOWN:
        return ""
    return printable(names[number]) if names else f"{what} {number}"


def read_picture(path: str | Path, height: int) -> Image.Image | None:
    """Read an image as training sees it, at the height it is shown at; None where it cannot be read."""
    try:
        picture = open_image(path)
    except DataError:  # a broken file must not cost the page
        return None
    width = round(picture.width * height / picture.height)
    return picture.resize((min(max(width, 1), 4 * height), height), Image.Resampling.LANCZOS)


def tile_width(pictures: Sequence[Image.Image | None], height: int) -> int:
    """Choose one width for all tiles: the usual shape of the pictures, snapped to a few shapes."""
    shapes = [picture.width / picture.height for picture in pictures if picture is not None]
    usual = statistics.median(shapes) if shapes else _SHAPES[0]
    return round(height * min(_SHAPES, key=lambda shape: abs(shape - usual)))


def draw_tile(
    sheet: Image.Image,
    picture: Image.Image | None,
    corner: tuple[int, int],
    size: tuple[int, int],
    frame: int,
    color: str,
) -> None:
    """Put a picture, whole and centered, in a tile with a frame; ``corner`` is the frame's upper left."""
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
