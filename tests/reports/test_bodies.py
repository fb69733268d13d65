"""The contact sheet of bodies."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resight.reports.bodies import body_sheet


def test_a_row_shows_the_crop_the_body_over_it_and_its_sides(pictures: list[str]) -> None:
    views = np.full((8, 128, 64), 255, np.uint8)
    views[:, 32:96, 16:48] = 120
    alone = body_sheet(pictures[:1], [views])
    pair = body_sheet(pictures[:2], [views, None])
    assert pair.width == alone.width
    assert pair.height > 1.8 * alone.height
    colors = {color for _, color in alone.getcolors(1 << 16) or []}
    with Image.open(pictures[0]) as picture:
        own = picture.getpixel((1, 1))
    assert own in colors, "the crop, and its background beside the body"
    assert (120, 120, 120) in colors
    assert any(blue > red + 20 and blue > 60 and (red, green, blue) != own for red, green, blue in colors)


def test_a_crop_that_cannot_be_read_keeps_its_maps() -> None:
    views = np.full((8, 128, 64), 0, np.uint8)
    views[:, 32:96, 16:48] = 120
    sheet = body_sheet(["/nowhere.png"], [views])
    assert (120, 120, 120) in {color for _, color in sheet.getcolors(1 << 16) or []}
    assert body_sheet([], []).size[0] > 0
