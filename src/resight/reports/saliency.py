"""Saliency maps over images, a column for each part of the encoder (as in figure 3.2)."""

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
"""The color map: its lightness rises evenly, and it suits every common kind of color blindness."""

_MAX_OPACITY = 0.8  # of the map, at its highest value
_LEGEND = "Colors: the contribution of each region, from none (gray) to the highest in this picture (yellow)."
_NOTES = " Numbers: the cosine similarity of the two images in this part (-1 to 1; larger is more similar)."


def overlay(picture: Image.Image, saliency: npt.ArrayLike) -> Image.Image:
    """Draw a map over a gray picture, in colors that are more opaque for higher values.

    Args:
        picture: Any picture.
        saliency: ``(h, w)`` in 0..1, of any size; scaled to the picture, bilinear.

    Returns:
        A picture of the same size, mode RGB.

    Raises:
        DataError: The map has another shape, or values outside 0..1.
    """
    values = np.asarray(saliency, dtype=np.float32)
    if values.ndim != 2 or not values.size or not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"a saliency map must be (h, w) with values in 0..1, found shape {values.shape}")
    heat = np.asarray(Image.fromarray(values).resize(picture.size, Image.Resampling.BILINEAR)).clip(0, 1)
    colors = 255 * mpl.colormaps[COLORS](heat)[..., :3]
    # Gray, because the picture's own colors would mix with those of the map.
    gray = np.asarray(ImageOps.grayscale(picture), dtype=np.float32)[..., None]
    opacity = _MAX_OPACITY * heat[..., None]
    return Image.fromarray((gray * (1 - opacity) + colors * opacity).round().astype(np.uint8))


def saliency_sheet(
    images: Sequence[str | Path],
    maps: Mapping[str, npt.NDArray[np.floating]],
    *,
    titles: Sequence[str] = (),
    notes: Sequence[Sequence[str]] = (),
    height: int = 160,
) -> Image.Image:
    """Draw images in rows: each image, then the image under each of its maps.

    Args:
        images: The files of ``B`` images; an unreadable image becomes a gray tile.
        maps: For each column's title ``(B, h, w)`` maps in 0..1.
        titles: A title to the left of each row, wrapped into lines; empty for none.
        notes: For each column of maps a text for each image, drawn on its map: its similarity to the image it is
            compared with. Empty for none.
        height: Height of each picture in pixels.

    Returns:
        The sheet, in mode RGB.

    Raises:
        DataError: The number of maps or titles differs from that of images, or a map has values outside 0..1.
    """
    columns = [*maps.values(), *notes, *([titles] if titles else [])]
    if any(len(column) != len(images) for column in columns):
        raise DataError(f"a sheet needs one map, and one title and note if any, for each of the {len(images)} images")
    pictures = [read_picture(path, height) for path in images]
    width = tile_width(pictures, height)
    gap, letters = max(4, height // 24), Letters(max(10, height // 13))
    line = round(1.25 * letters.size)
    heads = [letters.wrap(title, width) for title in ("image", *maps)]
    sides = [letters.wrap(title, height) for title in titles]
    side = max((round(letters.length(text)) + gap for lines in sides for text in lines), default=0)
    top = gap + max(map(len, heads)) * line
    bottom = top + len(images) * (height + gap)
    sheet_width = gap + side + len(heads) * (width + gap)
    legend = letters.wrap(_LEGEND + (_NOTES if notes else ""), sheet_width - 2 * gap)
    sheet = Image.new("RGB", (sheet_width, bottom + len(legend) * line + gap), PAPER)
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
        overlays = [picture if picture is None else overlay(picture, saliency[index]) for saliency in maps.values()]
        for column, tile in enumerate((picture, *overlays)):
            corner = (gap + side + column * (width + gap), upper)
            draw_tile(sheet, tile, corner, (width, height), 0, INK)
        for column, texts in enumerate(notes, 1):
            left = gap + side + column * (width + gap)
            right, lower = left + 4 + round(letters.length(texts[index])), upper + height - 1
            draw.rectangle((left, lower - line, right, lower), fill=INK)
            letters.write(draw, (left + 2, lower - line / 2), texts[index], PAPER, "lm")
    for row, text in enumerate(legend):
        letters.write(draw, (gap, bottom + row * line), text, MUTED, "la")
    return sheet
