"""What stands at the far side of a scene: walls, shop fronts, trees, fences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from resight.synthetic.brush import Brush, Color, to_rgb

Front = Callable[[Brush, Color, float, float, float], None]
"""Paint a front in its color, from its left to its right end, down to the row of its foot."""


def wall(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint a wall with doors and windows."""
    for _ in range(int(brush.rng.integers(1, 5))):  # doors and windows
        width = brush.rng.uniform(0.05, 0.2) * brush.height
        x = brush.rng.uniform(left, max(left + 1, right - width))
        top = foot - brush.rng.uniform(0.3, 0.5) * brush.height
        bottom = foot if brush.rng.random() < 0.5 else foot - 0.18 * brush.height
        inside = brush.gray(4, 60) if brush.rng.random() < 0.6 else brush.dull()
        brush.pen.rectangle([x, top, x + width, bottom], fill=inside, outline=brush.shift(base, 0.4), width=3)


def bricks(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint bricks."""
    rows, joint = brush.rng.uniform(8, 18), brush.shift(base, brush.rng.uniform(-0.4, 0.4))
    for row in range(int(foot / rows) + 1):
        y = foot - row * rows
        brush.pen.line([left, y, right, y], fill=joint, width=1)
        for x in np.arange(left + (row % 2) * rows, right, 2 * rows):
            brush.pen.line([x, y - rows, x, y], fill=joint, width=1)


def shutter(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint a shutter or a grating."""
    gap, dark = brush.rng.uniform(5, 16), brush.shift(base, -brush.rng.uniform(0.2, 0.6))
    if brush.rng.random() < 0.5:
        for y in np.arange(0, foot, gap):
            brush.pen.line([left, y, right, y], fill=dark, width=max(1, int(gap / 3)))
    else:
        for x in np.arange(left, right, gap):
            brush.pen.line([x, 0, x, foot], fill=dark, width=max(1, int(gap / 3)))


def glass(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint panes of glass with reflections."""
    pane, frame = brush.rng.uniform(0.08, 0.25) * brush.height, brush.gray(20, 200)
    for x in np.arange(left, right, pane):
        for y in np.arange(foot, -pane, -1.6 * pane):
            brush.pen.rectangle([x, y - 1.6 * pane, x + pane, y], fill=brush.gray(5, 110), outline=frame, width=4)
            if brush.rng.random() < 0.3:  # a reflection
                brush.pen.polygon(
                    [(x, y), (x + pane / 2, y - 1.6 * pane), (x + pane, y - 1.6 * pane)], fill=brush.gray(60, 200)
                )


def trees(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint trees and hedges."""
    green = brush.rng.uniform(40, 120) * brush.green
    brush.pen.rectangle([left, 0, right, foot], fill=to_rgb(0.5 * green))
    for _ in range(int((right - left) / 4)):
        x, y, size = brush.rng.uniform(left, right), brush.rng.uniform(0, foot), brush.rng.uniform(4, 26)
        leaf = to_rgb(green * brush.rng.uniform(0.25, 1.5))
        brush.pen.ellipse([x - size, y - 0.7 * size, x + size, y + 0.7 * size], fill=leaf)
    for x in brush.rng.uniform(left, right, int(brush.rng.integers(0, 3))):
        brush.pen.rectangle([x, foot - 0.5 * brush.height, x + 14, foot], fill=brush.gray(25, 70))


def hall(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint the dark inside of a hall."""
    brush.pen.rectangle([left, 0, right, foot], fill=brush.gray(2, 30))
    for x in np.arange(left, right, brush.rng.uniform(0.2, 0.5) * brush.height):
        brush.pen.rectangle([x, 0, x + brush.rng.uniform(8, 30), foot], fill=brush.gray(30, 140))
    for _ in range(int(brush.rng.integers(0, 5))):  # lamps and bright things inside
        x, y = brush.rng.uniform(left, right), brush.rng.uniform(0, foot)
        brush.pen.rectangle(
            [x, y, x + brush.rng.uniform(5, 40), y + brush.rng.uniform(4, 20)], fill=brush.gray(90, 230)
        )


def shop(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint a shop window under a sign."""
    brush.pen.rectangle([left, foot - 0.5 * brush.height, right, foot - 0.38 * brush.height], fill=brush.bright())
    brush.text(left, foot - 0.48 * brush.height, right - left, 0.08 * brush.height)
    for _ in range(int((right - left) / 12)):
        x, y = brush.rng.uniform(left, right), brush.rng.uniform(foot - 0.36 * brush.height, foot)
        width, height = brush.rng.uniform(6, 60), brush.rng.uniform(6, 60)
        brush.pen.rectangle(
            [x, y, x + width, min(foot, y + height)], fill=brush.bright() if brush.rng.random() < 0.4 else brush.dull()
        )


def fence(brush: Brush, base: Color, left: float, right: float, foot: float) -> None:
    """Paint a fence before trees."""
    trees(brush, base, left, right, foot)
    bar, gap = brush.gray(10, 220), brush.rng.uniform(8, 24)
    top = foot - brush.rng.uniform(0.2, 0.4) * brush.height
    for x in np.arange(left, right, gap):
        brush.pen.line([x, top, x, foot], fill=bar, width=int(brush.rng.integers(2, 5)))
    for y in (top, (top + foot) / 2, foot):
        brush.pen.line([left, y, right, y], fill=bar, width=4)


def signs(brush: Brush, left: float, right: float, foot: float) -> None:
    """Paint signs and posters on a wall."""
    for _ in range(int(brush.rng.integers(1, 6))):
        width, height = brush.rng.uniform(12, 90), brush.rng.uniform(14, 90)
        x, y = brush.rng.uniform(left, right), brush.rng.uniform(0, max(1, foot - height))
        brush.pen.rectangle(
            [x, y, x + width, y + height], fill=brush.bright() if brush.rng.random() < 0.6 else brush.gray(180, 250)
        )
        for row in np.arange(y + 5, y + height - 5, 12):
            brush.text(x + 4, row, width - 8, 7)


FRONTS: dict[str, Front] = {
    "wall": wall,
    "bricks": bricks,
    "shutter": shutter,
    "glass": glass,
    "trees": trees,
    "hall": hall,
    "shop": shop,
    "fence": fence,
}
"""Every kind of front, by name."""
