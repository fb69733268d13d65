"""Sheets of generated pictures: people turned, and people on the way from one to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from resight.records import Ints, Mask
from resight.reports.contact_sheets import contact_sheet

Pixels = npt.NDArray[np.uint8]

HEIGHT = 192
"""Height of each picture on a sheet, pixels."""

_REFUSED = "#d0342c"


def views_sheet(
    crops: Sequence[str],
    views: Pixels,
    turns: Ints,
    *,
    titles: Sequence[str],
    refused: Mask,
    below: Sequence[tuple[str, Pixels]] = (),
) -> Image.Image:
    """Draw a row for each person: the crop, and what was generated of it by each turn.

    Args:
        crops: The ``B`` files of the crops.
        views: ``(B, T, H, W, 3)`` uint8.
        turns: ``(T,)`` eighths of a circle.
        titles: A title for each crop.
        refused: ``(B, T)``, the views to mark with a red frame and a stroke.
        below: Further rows under each person's: their title, and ``(B, T, H, W)`` gray or ``(B, T, H, W, 3)`` pictures.

    Returns:
        The sheet.
    """
    rows: list[list[str | Image.Image]] = []
    row_titles: list[str] = []
    for person, crop in enumerate(crops):
        marked = zip(views[person], refused[person].tolist(), strict=True)
        rows.append([crop, *(_struck(Image.fromarray(view)) if bad else Image.fromarray(view) for view, bad in marked)])
        row_titles.append(titles[person])
        for title, pictures in below:
            blank = Image.new("RGB", (views.shape[3], views.shape[2]), "#ffffff")
            rows.append([blank, *map(Image.fromarray, pictures[person])])
            row_titles.append(title)
    return contact_sheet(rows, row_titles=row_titles, column_titles=["crop", *map(turn_title, turns)], height=HEIGHT)


def mixing_sheet(
    crops: Sequence[tuple[str, str]], mixed: Pixels, shares: Sequence[float], *, titles: Sequence[str]
) -> Image.Image:
    """Draw a row for each pair of people: the first, pictures with codes on the way to the second, and the second.

    Args:
        crops: The files of both crops of ``B`` pairs.
        mixed: ``(B, S, H, W, 3)`` uint8.
        shares: ``S`` shares of the second person's code, 0..1.
        titles: A title for each pair.

    Returns:
        The sheet.
    """
    rows: list[list[str | Image.Image]] = [
        [first, *map(Image.fromarray, pictures), second] for (first, second), pictures in zip(crops, mixed, strict=True)
    ]
    heads = ["from", *(f"{100 * share:.0f} %" for share in shares), "to"]
    return contact_sheet(rows, row_titles=titles, column_titles=heads, height=HEIGHT)


def turn_title(turn: int) -> str:
    """Return the title of a turn in degrees; the unturned view is the crop's reconstruction."""
    return f"{45 * int(turn)}°" if turn else "0° (own)"


def _struck(picture: Image.Image) -> Image.Image:
    """Return a picture with a red frame and a stroke."""
    marked = picture.copy()
    draw, width = ImageDraw.Draw(marked), max(1, picture.width // 24)
    draw.rectangle((0, 0, picture.width - 1, picture.height - 1), outline=_REFUSED, width=width)
    draw.line((0, 0, picture.width - 1, picture.height - 1), fill=_REFUSED, width=width)
    return marked
