"""Tiles: pictures in frames with words under them, which strips and sheets are laid out of."""

from __future__ import annotations

import io
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from PIL import Image, ImageDraw, ImageFont, ImageOps

from resight.data.images import open_image
from resight.errors import DataError
from resight.files import printable, write_atomically
from resight.records import UNKNOWN

Names = Mapping[str, Sequence[str]]
"""What the data call their ``people`` and ``cameras``, in the order of the ids, where they have names."""

PAPER = "#f4f5f7"
INK = "#1b1f27"
MUTED = "#545b66"
UNREADABLE = "#c9cdd3"

# Tile shapes, width over height. Snapping to a few of them makes the strips of one data set line up.
_SHAPES = (0.5, 0.75, 1.0, 1.5)


def load_font(size: float) -> ImageFont.FreeTypeFont:
    """Give Pillow's built-in font, which needs no file of the system."""
    return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


def called(number: int, names: Sequence[str], what: str) -> str:
    """Give what the data call a person or a camera.

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
    colour: str,
) -> None:
    """Put a picture, whole and centred, in a tile with a frame; ``corner`` is the frame's upper left."""
    draw = ImageDraw.Draw(sheet)
    (left, top), (width, height) = corner, size
    draw.rectangle((left, top, left + width + 2 * frame - 1, top + height + 2 * frame - 1), fill=colour)
    inner = (left + frame, top + frame, left + frame + width - 1, top + frame + height - 1)
    draw.rectangle(inner, fill=UNREADABLE if picture is None else "#ffffff")
    if picture is None:
        font = load_font(max(8, min(height // 11, width // 6)))
        middle = (left + frame + width // 2, top + frame + height // 2)
        draw.multiline_text(middle, "cannot\nbe read", fill=INK, font=font, anchor="mm", align="center", spacing=2)
        return
    fitted = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    offset = (left + frame + (width - fitted.width) // 2, top + frame + (height - fitted.height) // 2)
    sheet.paste(fitted, offset)


def write(
    draw: ImageDraw.ImageDraw,
    text: str,
    middle: tuple[int, int],
    font: ImageFont.FreeTypeFont,
    width: int,
    colour: str,
) -> None:
    """Write one line, centred under its upper middle, cut to the width."""
    draw.text(middle, fit_text(text, font, width), fill=colour, font=font, anchor="ma")


def write_png(path: Path, picture: Image.Image) -> None:
    """Write a picture as a PNG file, atomically."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())


def fit_text(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Cut a text to a width in pixels, with an ellipsis."""
    text = text.replace("\n", " ")
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a text at its spaces and hyphens into lines of a width in pixels; what is longer is cut. Newlines stay."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in re.split(r"(?<= )|(?<=[a-z]-)(?=[a-z])", paragraph):
            longer = line + piece
            if line and font.getlength(longer.rstrip()) > width:
                lines.append(line.rstrip())
                longer = piece
            line = longer
        lines.append(line)
    return [fit_text(line, font, width) for line in lines]
