"""The pen that scenes are painted with: the colors of a site, and strokes that look like writing."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]


class Brush:
    """A picture, a pen on it, and the colors of a site.

    Args:
        size: Height and width of the picture.
        site: The generator that all pictures of a site share.
        rng: The generator of this picture.

    Attributes:
        shared: ``(8, 3)`` the colors of walls and things, sRGB in 0..255.
        green: Proportions of red, green and blue in leaves.
    """

    def __init__(self, size: tuple[int, int], site: np.random.Generator, rng: np.random.Generator) -> None:
        self.rng = rng
        self.height, self.width = size
        self.shared = np.clip(site.uniform(20, 215, (8, 1)) + site.normal(0, 14, (8, 3)), 4, 247)
        self.green = np.clip(np.array([0.72, 1.0, 0.42]) + site.normal(0, 0.07, 3), 0.2, 1.2)
        self.image = Image.new("RGB", (self.width, self.height), self.dull())
        self.pen = ImageDraw.Draw(self.image)

    def dull(self) -> Color:
        """Return one of the site's colors."""
        return to_rgb(
            self.shared[self.rng.integers(len(self.shared))] + self.rng.normal(0, 10) + self.rng.normal(0, 4, 3)
        )

    def bright(self) -> Color:
        """Return any color; most are not pure."""
        color = self.rng.uniform(5, 250, 3)
        return to_rgb(color.mean() + self.rng.uniform(0.15, 0.9) * (color - color.mean()))

    def gray(self, low: float, high: float) -> Color:
        """Return a nearly gray color."""
        return to_rgb(self.rng.uniform(low, high) + self.rng.normal(0, 5, 3))

    def shift(self, color: Color, by: float) -> Color:
        """Return a color that is lighter or darker."""
        return to_rgb(np.array(color) * (1 + by))

    def text(self, left: float, top: float, width: float, height: float) -> None:
        """Paint strokes that look like writing from afar."""
        ink, x = self.bright(), left
        while x < left + width - 3:
            stroke = self.rng.uniform(1, max(2, 0.5 * height))
            if self.rng.random() < 0.75:
                rise = self.rng.uniform(0, 0.6) * height
                self.pen.rectangle([x, top + rise * self.rng.random(), x + 0.6 * stroke, top + height], fill=ink)
            x += stroke + 2


def to_rgb(color: object) -> Color:
    """Return a color as whole numbers in 2..252."""
    red, green, blue = np.clip(np.asarray(color, np.float64), 2, 252).astype(int).tolist()
    return red, green, blue
