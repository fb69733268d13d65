"""The places that synthetic cameras look at: walls, shop fronts, trees, pavements, and what stands on them.

A scene is painted in sRGB at twice its size, from back to front, and then lit. Nothing in it is a photograph.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from resight.records import Floats
from resight.synthetic.brush import Brush, Color, to_rgb
from resight.synthetic.fronts import FRONTS, signs
from resight.synthetic.things import THINGS

SCENE_HEIGHT, SCENE_WIDTH = 320, 560
"""The size of a camera's view in its own pixels."""

_DETAIL = 2
"""Painted pixels along a scene's pixel."""


def draw_scene(*, horizon: float, meter: float, site_seed: int, scene_seed: int) -> Floats:
    """Draw the background of a camera.

    Args:
        horizon: Row where ground and wall meet, as a share of the height.
        meter: Height of a meter in the middle of the ground, as a share of the height; nearer things are larger.
        site_seed: The seed of the colors and materials that all cameras of a site share.
        scene_seed: The seed of the rest.

    Returns:
        ``(SCENE_HEIGHT, SCENE_WIDTH, 3)`` float32 linear RGB.
    """
    painter = _Painter(horizon, meter, np.random.default_rng(site_seed), np.random.default_rng(scene_seed))
    painter.paint()
    rng = painter.rng
    image = painter.brush.image.resize((SCENE_WIDTH, SCENE_HEIGHT), Image.Resampling.BOX)
    values = np.asarray(image.filter(ImageFilter.GaussianBlur(0.35)), np.float32) / 255
    # Dirt at every scale, then light: a gradient over the view, and soft shadows of trees and roofs.
    grain = rng.uniform(0.5, 1.4)
    dirt = sum(
        grain * size * _clouds(rng, cells) for cells, size in ((8, 0.14), (32, 0.13), (110, 0.16), (SCENE_WIDTH, 0.13))
    )
    edge = rng.uniform(4, 14)
    shade = 1 - rng.uniform(0.2, 0.65) / (
        1 + np.exp(-edge * (_clouds(rng, 6) + 0.5 * _clouds(rng, 25) - rng.uniform(0, 1)))
    )
    slope = np.linspace(-0.5, 0.5, SCENE_WIDTH) * rng.normal(0, 0.35)
    lit = values**2.2 * (np.exp(dirt + slope) * shade)[..., None]
    scene: Floats = np.clip(lit, 0, 1).astype(np.float32)
    return scene


class _Painter:
    """One scene while it is painted, from back to front."""

    def __init__(self, horizon: float, meter: float, site: np.random.Generator, rng: np.random.Generator) -> None:
        self.rng, self.height, self.width = rng, SCENE_HEIGHT * _DETAIL, SCENE_WIDTH * _DETAIL
        self.horizon, self.meter = int(horizon * self.height), meter * self.height
        # A site has one kind of pavement and a few kinds of front, so that the backgrounds of its cameras are similar.
        self.brush = Brush((self.height, self.width), site, rng)
        self.pavement = np.clip(site.uniform(60, 160) + site.normal(0, 4, 3), 20, 235)
        self.paving = site.choice(["asphalt", "slabs", "tiles", "planks", "grass"], p=[0.28, 0.3, 0.27, 0.1, 0.05])
        self.slab = float(site.uniform(0.05, 0.16))
        self.fronts = site.permutation(list(FRONTS))[:5]

    def paint(self) -> None:
        """Paint all of it."""
        left = -self.rng.uniform(0, 0.3) * self.height
        while left < self.width:
            right = left + self.rng.uniform(0.25, 1.1) * self.height
            self._front(str(self.rng.choice(self.fronts)), left, right)
            left = right
        self._ground()
        depths = np.sort(self.rng.uniform(0, 1, int(self.rng.integers(5, 18))) ** 1.7)
        for depth in depths.tolist():  # 0 is the far side, 1 the near one
            foot = self.horizon + depth * (self.height - self.horizon) * 0.9
            x = self.rng.uniform(-0.05, 1.05) * self.width
            kind = int(self.rng.choice(len(THINGS), p=list(THINGS.values())))
            list(THINGS)[kind](self.brush, x, foot, self.meter * (0.6 + 0.8 * depth))

    def _front(self, kind: str, left: float, right: float) -> None:
        base = self.brush.dull()
        self.brush.pen.rectangle([left, 0, right, self.horizon], fill=base)
        FRONTS[kind](self.brush, base, left, right, self.horizon)
        if self.rng.random() < 0.5:
            signs(self.brush, left, right, self.horizon)

    def _ground(self) -> None:
        """Paint the pavement with its joints, patches and lines."""
        base = to_rgb(self.pavement + self.rng.normal(0, 8))
        self.brush.pen.rectangle([0, self.horizon, self.width, self.height], fill=base)
        if self.paving == "grass":
            base = to_rgb(self.rng.uniform(50, 120) * self.brush.green)
            self.brush.pen.rectangle([0, self.horizon, self.width, self.height], fill=base)
        for _ in range(int(self.rng.integers(8, 40))):  # mended and worn patches, shadows, leaves
            width = self.rng.uniform(10, 300)
            left, top = self.rng.uniform(-60, self.width), self.rng.uniform(self.horizon, self.height)
            tall = width * self.rng.uniform(0.1, 0.5)
            fill = self.brush.shift(base, self.rng.normal(0, 0.13))
            (self.brush.pen.ellipse if self.rng.random() < 0.5 else self.brush.pen.rectangle)(
                [left, top, left + width, top + tall], fill=fill
            )
        if self.paving in ("slabs", "tiles", "planks"):
            self._joints(base)
        for _ in range(int(self.rng.choice([0, 0, 1, 2]))):  # painted lines and kerbs
            x, y, slope = (
                self.rng.uniform(0, self.width),
                self.rng.uniform(self.horizon, self.height),
                self.rng.normal(0, 0.4),
            )
            reach = self.width
            ends = [x - reach, y - slope * reach, x + reach, y + slope * reach]
            self._below(
                ends,
                self.brush.gray(150, 245) if self.rng.random() < 0.7 else self.brush.bright(),
                int(self.rng.integers(3, 16)),
            )

    def _joints(self, base: Color) -> None:
        line = self.brush.shift(base, self.rng.choice([-1, 1]) * self.rng.uniform(0.12, 0.4))
        vanishing, slab = self.rng.uniform(-0.3, 1.3) * self.width, self.slab * (0.35 if self.paving == "tiles" else 1)
        wide = int(self.rng.integers(1, 4))
        tilt = self.rng.normal(0, 0.12)
        for column in np.arange(-4, 5, slab):
            end = self.width / 2 + column * self.width
            self.brush.pen.line(
                [vanishing + 0.2 * (end - vanishing), self.horizon, end, self.height], fill=line, width=wide
            )
        if self.paving != "planks":
            depth = 5.0
            while depth < self.height:
                y = self.horizon + depth
                self._below([0, y - tilt * depth, self.width, y + tilt * depth], line, wide)
                depth *= 1 + 2.2 * slab

    def _below(self, ends: list[float], fill: Color, width: int) -> None:
        """Draw a line on the ground only."""
        if min(ends[1], ends[3]) > self.horizon - 8:
            self.brush.pen.line(ends, fill=fill, width=width)


def _clouds(rng: np.random.Generator, cells: int) -> Floats:
    """Return smooth noise of unit variance over the scene, with about ``cells`` lumps across."""
    grain = rng.normal(0, 1, (max(2, math.ceil(cells * SCENE_HEIGHT / SCENE_WIDTH)), cells)).astype(np.float32)
    size = (SCENE_WIDTH, SCENE_HEIGHT)
    clouds: Floats = np.asarray(Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC))
    return clouds
