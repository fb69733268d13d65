"""A contact sheet of bodies: crops, the body over each, and its structure maps from all sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from resight.data.images import open_image
from resight.errors import DataError
from resight.reports.contact_sheets import contact_sheet

Pixels = npt.NDArray[np.uint8]

_BODY = np.array([60.0, 130.0, 230.0])
"""The color of a body over a crop, sRGB."""


def body_sheet(crops: Sequence[str], maps: Sequence[Pixels | None], *, row_titles: Sequence[str] = ()) -> Image.Image:
    """Draw a row for each crop: the crop, the body over it, and its maps.

    Args:
        crops: The files of the crops.
        maps: For each crop ``(T, H, W)`` uint8 gray, the unturned map first; None if it has none.
        row_titles: A title for each row; empty for none.

    Returns:
        The sheet.
    """
    turns = max((len(views) for views in maps if views is not None), default=0)
    rows: list[list[str | Image.Image]] = []
    for crop, views in zip(crops, maps, strict=True):
        row: list[str | Image.Image] = [crop]
        if views is not None:
            row += [_overlay(crop, views[0]), *map(Image.fromarray, views)]
        rows.append(row)
    titles = ["crop", "body", *(f"{360 * turn // turns}°" for turn in range(turns))]
    return contact_sheet(rows, row_titles=row_titles, column_titles=titles, height=192)


def _overlay(crop: str, view: Pixels) -> Image.Image:
    """Return a crop with a body over it; the map alone if the crop cannot be read."""
    try:
        picture = open_image(crop).resize((view.shape[1], view.shape[0]), Image.Resampling.BICUBIC)
    except DataError:
        return Image.fromarray(view)
    corners = [int(view[row, column]) for row in (0, -1) for column in (0, -1)]
    background = max(set(corners), key=corners.count)
    pixels = np.asarray(picture, np.float64)
    tinted = 0.45 * pixels + 0.55 * _BODY * (view[..., None] / 200.0)
    mixed = np.where((view == background)[..., None], pixels, tinted)
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))
