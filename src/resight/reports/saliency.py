"""Pictures of where an encoder looks: heat laid over images, a column for each of its vectors (as figure 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from resight.errors import DataError
from resight.reports.letters import Letters
from resight.reports.tiles import INK, MUTED, PAPER, draw_tile, read_picture, tile_width

COLORS = "plasma"
"""Its lightness rises evenly, and it can be read with every common kind of color blindness."""

_STRONGEST = 0.8  # how much of the picture the highest value hides
_LEGEND = "Colors: how much each place speaks for it, from nothing (gray) to the most in this picture (yellow)."
_NOTES = " Numbers: how alike the two images are in this part, by cosine similarity (-1 to 1; larger is more alike)."


def overlay(picture: Image.Image, saliency: npt.ArrayLike) -> Image.Image:
    """Lay a map over a picture: grayed where it is 0, under a color that hides more the higher it is.

    Args:
        picture: Any picture.
        saliency: ``(h, w)`` in 0..1, of any size; it is stretched over the whole picture, bilinear.

    Returns:
        A picture of the same size, mode RGB.

    Raises:
        DataError: The map is no map, or has values outside 0..1.
    """
    values = np.asarray(saliency, dtype=np.float32)
    if values.ndim != 2 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"a map to lay over a picture must be (h, w) with values in 0..1, found shape {values.shape}")
    heat = np.asarray(Image.fromarray(values).resize(picture.size, Image.Resampling.BILINEAR)).clip(0, 1)
    colors = 255 * mpl.colormaps[COLORS](heat)[..., :3]
    # The picture's own colors would mix with those of the map.
    below = np.asarray(ImageOps.grayscale(picture), dtype=np.float32)[..., None]
    hidden = _STRONGEST * heat[..., None]
    return Image.fromarray((below * (1 - hidden) + colors * hidden).round().astype(np.uint8))


def saliency_sheet(
    images: Sequence[str | Path],
    maps: Mapping[str, npt.NDArray[np.floating]],
    *,
    titles: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    height: int = 160,
) -> Image.Image:
    """Lay out images in rows: each image, then its maps laid over it.

    Args:
        images: The files of ``B`` images; one that cannot be read is a gray tile.
        maps: For each column's title ``(B, h, w)`` maps in 0..1.
        titles: A title left of each row; none where empty. Titles are broken into lines, also at newlines.
        notes: For each column of maps the text for each image of how alike it is there to the image it is compared
            with, written on its map; none where empty.
        height: Height of each picture in pixels.

    Returns:
        The sheet, in mode RGB.

    Raises:
        DataError: There are not as many maps, or titles, as images, or a map has values outside 0..1.
    """
    each = [*maps.values(), *notes, *([titles] if titles else [])]
    if any(len(column) != len(images) for column in each):
        raise DataError(f"a sheet needs a map, and a title and a note or none, for each of the {len(images)} images")
    pictures = [read_picture(path, height) for path in images]
    width = tile_width(pictures, height)
    gap, letters = max(4, height // 24), Letters(max(10, height // 13))
    line = round(1.25 * letters.size)
    heads = [letters.wrap(title, width) for title in ("image", *maps)]
    sides = [letters.wrap(title, height) for title in titles]
    side = max((round(letters.length(text)) + gap for lines in sides for text in lines), default=0)
    top = gap + max(map(len, heads)) * line
    below = top + len(images) * (height + gap)
    sheet_width = gap + side + len(heads) * (width + gap)
    legend = letters.wrap(_LEGEND + (_NOTES if notes else ""), sheet_width - 2 * gap)
    sheet = Image.new("RGB", (sheet_width, below + len(legend) * line + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, lines in enumerate(heads):
        middle = gap + side + column * (width + gap) + width // 2
        for row, text in enumerate(lines):
            letters.write(draw, (middle, gap // 2 + row * line), text, INK, "ma")
    for index, picture in enumerate(pictures):
        upper = top + index * (height + gap)
        for row, text in enumerate(sides[index] if titles else ()):
            middle = upper + height // 2 + round((row + 0.5 - len(sides[index]) / 2) * line)
            letters.write(draw, (gap, middle), text, INK, "lm")
        laid = [picture if picture is None else overlay(picture, found[index]) for found in maps.values()]
        for column, shown in enumerate((picture, *laid)):
            place = (gap + side + column * (width + gap), upper)
            draw_tile(sheet, shown, place, (width, height), 0, INK)
        for column, texts in enumerate(notes, 1):
            left = gap + side + column * (width + gap)
            right, lower = left + 4 + round(letters.length(texts[index])), upper + height - 1
            draw.rectangle((left, lower - line, right, lower), fill=INK)
            letters.write(draw, (left + 2, lower - line / 2), texts[index], PAPER, "lm")
    for row, text in enumerate(legend):
        letters.write(draw, (gap, below + row * line), text, MUTED, "la")
    return sheet
