"""Pictures of where an encoder looks: heat laid over images, a column for each of its vectors (as figure 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageOps

from resight.errors import DataError
from resight.reports.tiles import INK, MUTED, PAPER, draw_tile, fit_text, load_font, read_picture, tile_width

COLOURS = "plasma"
"""Its lightness rises evenly, and it can be read with every common kind of colour blindness."""

_STRONGEST = 0.8  # how much of the picture the highest value hides
_LEGEND = "Heat: how much a place speaks for it, from nothing (the grey picture) to the most in this picture."


def overlay(picture: Image.Image, saliency: npt.ArrayLike) -> Image.Image:
    """Lay a map over a picture: greyed where it is 0, under a colour that hides more the higher it is.

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
    colours = 255 * mpl.colormaps[COLOURS](heat)[..., :3]
    # The picture's own colours would mix with those of the map.
    below = np.asarray(ImageOps.grayscale(picture), dtype=np.float32)[..., None]
    hidden = _STRONGEST * heat[..., None]
    return Image.fromarray((below * (1 - hidden) + colours * hidden).round().astype(np.uint8))


def saliency_sheet(
    images: Sequence[str | Path],
    maps: Mapping[str, npt.NDArray[np.floating]],
    *,
    titles: Sequence[str] = (),
    height: int = 160,
) -> Image.Image:
    """Lay out images in rows: each image, then its maps laid over it.

    Args:
        images: The files of ``B`` images; one that cannot be read is a grey tile.
        maps: For each column's title ``(B, h, w)`` maps in 0..1. Titles are broken at their first space.
        titles: A title left of each row, lines parted by a newline; none where empty.
        height: Height of each picture in pixels.

    Returns:
        The sheet, in mode RGB.

    Raises:
        DataError: There are not as many maps, or titles, as images, or a map has values outside 0..1.
    """
    counts = {len(images), *(len(found) for found in maps.values()), *([len(titles)] if titles else [])}
    if len(counts) > 1:
        raise DataError(f"a sheet needs a map, and a title or none, for each of the {len(images)} images")
    pictures = [read_picture(path, height) for path in images]
    width = tile_width(pictures, height)
    gap, font = max(4, height // 24), load_font(max(10, height // 13))
    line = round(1.25 * font.size)
    sides = [round(font.getlength(text)) for title in titles for text in title.split("\n")]
    side = min(2 * height, max(sides, default=-gap)) + gap
    columns, top = 1 + len(maps), gap + 2 * line
    below = gap + top + len(images) * (height + gap)
    sheet = Image.new("RGB", (gap + side + columns * (width + gap), below + line + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(("image", *maps)):
        middle = gap + side + column * (width + gap) + width // 2
        for row, text in enumerate(title.split(" ", 1)):
            shown = fit_text(text, font, width + gap)
            draw.text((middle, gap // 2 + row * line), shown, fill=INK, font=font, anchor="ma")
    for index, picture in enumerate(pictures):
        upper = gap + top + index * (height + gap)
        if titles:
            lines = "\n".join(fit_text(text, font, side) for text in titles[index].split("\n"))
            draw.multiline_text((gap, upper + height // 2), lines, fill=INK, font=font, anchor="lm")
        for column, found in enumerate((None, *maps.values())):
            shown_picture = picture if picture is None or found is None else overlay(picture, found[index])
            place = (gap + side + column * (width + gap), upper)
            draw_tile(sheet, shown_picture, place, (width, height), 0, INK)
    draw.text((gap, below), fit_text(_LEGEND, font, sheet.width - 2 * gap), fill=MUTED, font=font)
    return sheet
