"""The places that synthetic cameras look at: walls, shop fronts, trees, pavements, and what stands on them.

A scene is painted in sRGB at twice its size, from back to front, and then lit. Nothing in it is a photograph.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from resight.records import Floats

SCENE_HEIGHT, SCENE_WIDTH = 320, 560
"""The size of a camera's view in its own pixels."""

_DETAIL = 2
"""Painted pixels along a scene's pixel."""

Color = tuple[int, int, int]


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
    image = painter.image.resize((SCENE_WIDTH, SCENE_HEIGHT), Image.Resampling.BOX)
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
    """One scene while it is painted; lengths are shares of the scene's height until they reach the pen."""

    def __init__(self, horizon: float, meter: float, site: np.random.Generator, rng: np.random.Generator) -> None:
        self.rng, self.height, self.width = rng, SCENE_HEIGHT * _DETAIL, SCENE_WIDTH * _DETAIL
        self.horizon, self.meter = int(horizon * self.height), meter * self.height
        # A site has one kind of pavement and a few kinds of wall, so that the backgrounds of its cameras are similar.
        self.shared = np.clip(site.uniform(20, 215, (8, 1)) + site.normal(0, 14, (8, 3)), 4, 247)
        self.pavement = np.clip(site.uniform(60, 160) + site.normal(0, 4, 3), 20, 235)
        self.paving = site.choice(["asphalt", "slabs", "tiles", "planks", "grass"], p=[0.28, 0.3, 0.27, 0.1, 0.05])
        self.slab = float(site.uniform(0.05, 0.16))
        self.green = np.clip(np.array([0.72, 1.0, 0.42]) + site.normal(0, 0.07, 3), 0.2, 1.2)
        self.fronts = site.permutation(["wall", "bricks", "shutter", "glass", "trees", "hall", "shop", "fence"])[:5]
        self.image = Image.new("RGB", (self.width, self.height), self.dull())
        self.pen = ImageDraw.Draw(self.image)

    def paint(self) -> None:
        """Paint all of it, from back to front."""
        left = -self.rng.uniform(0, 0.3) * self.height
        while left < self.width:
            right = left + self.rng.uniform(0.25, 1.1) * self.height
            self.front(str(self.rng.choice(self.fronts)), left, right)
            left = right
        self.ground()
        depths = np.sort(self.rng.uniform(0, 1, int(self.rng.integers(5, 18))) ** 1.7)
        for depth in depths.tolist():
            self.thing(depth)

    # -- colors ------------------------------------------------------------------------------------------------

    def dull(self) -> Color:
        """Return one of the site's colors."""
        return _rgb(
            self.shared[self.rng.integers(len(self.shared))] + self.rng.normal(0, 10) + self.rng.normal(0, 4, 3)
        )

    def bright(self) -> Color:
        """Return any color; most are not pure."""
        color = self.rng.uniform(5, 250, 3)
        return _rgb(color.mean() + self.rng.uniform(0.15, 0.9) * (color - color.mean()))

    def gray(self, low: float, high: float) -> Color:
        """Return a nearly gray color."""
        return _rgb(self.rng.uniform(low, high) + self.rng.normal(0, 5, 3))

    def shift(self, color: Color, by: float) -> Color:
        """Return a color that is lighter or darker."""
        return _rgb(np.array(color) * (1 + by))

    # -- the far side ------------------------------------------------------------------------------------------

    def front(self, kind: str, left: float, right: float) -> None:
        """Paint what stands at the end of the ground."""
        base, foot = self.dull(), self.horizon
        self.pen.rectangle([left, 0, right, foot], fill=base)
        paint = getattr(self, f"_{kind}")
        paint(base, left, right, foot)
        if self.rng.random() < 0.5:
            self.signs(left, right, foot)

    def _wall(self, base: Color, left: float, right: float, foot: float) -> None:
        for _ in range(int(self.rng.integers(1, 5))):  # doors and windows
            width = self.rng.uniform(0.05, 0.2) * self.height
            x = self.rng.uniform(left, max(left + 1, right - width))
            top = foot - self.rng.uniform(0.3, 0.5) * self.height
            bottom = foot if self.rng.random() < 0.5 else foot - 0.18 * self.height
            inside = self.gray(4, 60) if self.rng.random() < 0.6 else self.dull()
            self.pen.rectangle([x, top, x + width, bottom], fill=inside, outline=self.shift(base, 0.4), width=3)

    def _bricks(self, base: Color, left: float, right: float, foot: float) -> None:
        rows, joint = self.rng.uniform(8, 18), self.shift(base, self.rng.uniform(-0.4, 0.4))
        for row in range(int(foot / rows) + 1):
            y = foot - row * rows
            self.pen.line([left, y, right, y], fill=joint, width=1)
            for x in np.arange(left + (row % 2) * rows, right, 2 * rows):
                self.pen.line([x, y - rows, x, y], fill=joint, width=1)

    def _shutter(self, base: Color, left: float, right: float, foot: float) -> None:
        gap, dark = self.rng.uniform(5, 16), self.shift(base, -self.rng.uniform(0.2, 0.6))
        if self.rng.random() < 0.5:
            for y in np.arange(0, foot, gap):
                self.pen.line([left, y, right, y], fill=dark, width=max(1, int(gap / 3)))
        else:
            for x in np.arange(left, right, gap):
                self.pen.line([x, 0, x, foot], fill=dark, width=max(1, int(gap / 3)))

    def _glass(self, base: Color, left: float, right: float, foot: float) -> None:
        pane, frame = self.rng.uniform(0.08, 0.25) * self.height, self.gray(20, 200)
        for x in np.arange(left, right, pane):
            for y in np.arange(foot, -pane, -1.6 * pane):
                self.pen.rectangle([x, y - 1.6 * pane, x + pane, y], fill=self.gray(5, 110), outline=frame, width=4)
                if self.rng.random() < 0.3:  # a reflection
                    self.pen.polygon(
                        [(x, y), (x + pane / 2, y - 1.6 * pane), (x + pane, y - 1.6 * pane)], fill=self.gray(60, 200)
                    )

    def _trees(self, base: Color, left: float, right: float, foot: float) -> None:
        green = self.rng.uniform(40, 120) * self.green
        self.pen.rectangle([left, 0, right, foot], fill=_rgb(0.5 * green))
        for _ in range(int((right - left) / 4)):
            x, y, size = self.rng.uniform(left, right), self.rng.uniform(0, foot), self.rng.uniform(4, 26)
            leaf = _rgb(green * self.rng.uniform(0.25, 1.5))
            self.pen.ellipse([x - size, y - 0.7 * size, x + size, y + 0.7 * size], fill=leaf)
        for x in self.rng.uniform(left, right, int(self.rng.integers(0, 3))):
            self.pen.rectangle([x, foot - 0.5 * self.height, x + 14, foot], fill=self.gray(25, 70))

    def _hall(self, base: Color, left: float, right: float, foot: float) -> None:
        self.pen.rectangle([left, 0, right, foot], fill=self.gray(2, 30))
        for x in np.arange(left, right, self.rng.uniform(0.2, 0.5) * self.height):
            self.pen.rectangle([x, 0, x + self.rng.uniform(8, 30), foot], fill=self.gray(30, 140))
        for _ in range(int(self.rng.integers(0, 5))):  # lamps and bright things inside
            x, y = self.rng.uniform(left, right), self.rng.uniform(0, foot)
            self.pen.rectangle(
                [x, y, x + self.rng.uniform(5, 40), y + self.rng.uniform(4, 20)], fill=self.gray(90, 230)
            )

    def _shop(self, base: Color, left: float, right: float, foot: float) -> None:
        self.pen.rectangle([left, foot - 0.5 * self.height, right, foot - 0.38 * self.height], fill=self.bright())
        self.text(left, foot - 0.48 * self.height, right - left, 0.08 * self.height)
        for _ in range(int((right - left) / 12)):
            x, y = self.rng.uniform(left, right), self.rng.uniform(foot - 0.36 * self.height, foot)
            width, height = self.rng.uniform(6, 60), self.rng.uniform(6, 60)
            self.pen.rectangle(
                [x, y, x + width, min(foot, y + height)], fill=self.bright() if self.rng.random() < 0.4 else self.dull()
            )

    def _fence(self, base: Color, left: float, right: float, foot: float) -> None:
        self._trees(base, left, right, foot)
        bar, gap = self.gray(10, 220), self.rng.uniform(8, 24)
        top = foot - self.rng.uniform(0.2, 0.4) * self.height
        for x in np.arange(left, right, gap):
            self.pen.line([x, top, x, foot], fill=bar, width=int(self.rng.integers(2, 5)))
        for y in (top, (top + foot) / 2, foot):
            self.pen.line([left, y, right, y], fill=bar, width=4)

    def signs(self, left: float, right: float, foot: float) -> None:
        """Paint signs and posters on a wall."""
        for _ in range(int(self.rng.integers(1, 6))):
            width, height = self.rng.uniform(12, 90), self.rng.uniform(14, 90)
            x, y = self.rng.uniform(left, right), self.rng.uniform(0, max(1, foot - height))
            self.pen.rectangle(
                [x, y, x + width, y + height], fill=self.bright() if self.rng.random() < 0.6 else self.gray(180, 250)
            )
            for row in np.arange(y + 5, y + height - 5, 12):
                self.text(x + 4, row, width - 8, 7)

    def text(self, left: float, top: float, width: float, height: float) -> None:
        """Paint strokes that look like writing from afar."""
        ink, x = self.bright(), left
        while x < left + width - 3:
            stroke = self.rng.uniform(1, max(2, 0.5 * height))
            if self.rng.random() < 0.75:
                rise = self.rng.uniform(0, 0.6) * height
                self.pen.rectangle([x, top + rise * self.rng.random(), x + 0.6 * stroke, top + height], fill=ink)
            x += stroke + 2

    # -- the ground --------------------------------------------------------------------------------------------

    def ground(self) -> None:
        """Paint the pavement with its joints, patches and lines."""
        base = _rgb(self.pavement + self.rng.normal(0, 8))
        self.pen.rectangle([0, self.horizon, self.width, self.height], fill=base)
        if self.paving == "grass":
            base = _rgb(self.rng.uniform(50, 120) * self.green)
            self.pen.rectangle([0, self.horizon, self.width, self.height], fill=base)
        for _ in range(int(self.rng.integers(8, 40))):  # mended and worn patches, shadows, leaves
            width = self.rng.uniform(10, 300)
            left, top = self.rng.uniform(-60, self.width), self.rng.uniform(self.horizon, self.height)
            tall = width * self.rng.uniform(0.1, 0.5)
            fill = self.shift(base, self.rng.normal(0, 0.13))
            (self.pen.ellipse if self.rng.random() < 0.5 else self.pen.rectangle)(
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
                ends, self.gray(150, 245) if self.rng.random() < 0.7 else self.bright(), int(self.rng.integers(3, 16))
            )

    def _joints(self, base: Color) -> None:
        line = self.shift(base, self.rng.choice([-1, 1]) * self.rng.uniform(0.12, 0.4))
        vanishing, slab = self.rng.uniform(-0.3, 1.3) * self.width, self.slab * (0.35 if self.paving == "tiles" else 1)
        wide = int(self.rng.integers(1, 4))
        tilt = self.rng.normal(0, 0.12)
        for column in np.arange(-4, 5, slab):
            end = self.width / 2 + column * self.width
            self.pen.line([vanishing + 0.2 * (end - vanishing), self.horizon, end, self.height], fill=line, width=wide)
        if self.paving != "planks":
            depth = 5.0
            while depth < self.height:
                y = self.horizon + depth
                self._below([0, y - tilt * depth, self.width, y + tilt * depth], line, wide)
                depth *= 1 + 2.2 * slab

    def _below(self, ends: list[float], fill: Color, width: int) -> None:
        """Draw a line on the ground only."""
        if min(ends[1], ends[3]) > self.horizon - 8:
            self.pen.line(ends, fill=fill, width=width)

    # -- things ------------------------------------------------------------------------------------------------

    def thing(self, depth: float) -> None:
        """Paint something on the ground; ``depth`` is 0 at the far side and 1 at the near one."""
        foot = self.horizon + depth * (self.height - self.horizon) * 0.9
        meter = self.meter * (0.6 + 0.8 * depth)
        x = self.rng.uniform(-0.05, 1.05) * self.width
        kinds = ["bicycle", "railing", "bollard", "bin", "bench", "plant", "car", "board", "passer", "pole"]
        kind = str(self.rng.choice(kinds, p=[0.19, 0.14, 0.09, 0.09, 0.08, 0.12, 0.06, 0.07, 0.08, 0.08]))
        getattr(self, f"_{kind}")(x, foot, meter)

    def _bicycle(self, x: float, foot: float, meter: float) -> None:
        for _ in range(int(self.rng.integers(1, 7))):
            radius, dark, frame = (
                0.33 * meter,
                self.gray(5, 60),
                self.bright() if self.rng.random() < 0.5 else self.gray(10, 160),
            )
            back, ahead, hub = x, x + 1.05 * meter, foot - radius
            for center in (back, ahead):
                self.pen.ellipse(
                    [center - radius, hub - radius, center + radius, hub + radius],
                    outline=dark,
                    width=max(2, int(meter / 22)),
                )
            seat, bars = (back + 0.25 * meter, hub - 0.5 * meter), (ahead - 0.2 * meter, hub - 0.62 * meter)
            pedal = (back + 0.45 * meter, hub + 0.05 * meter)
            wide = max(2, int(meter / 25))
            for start, end in (
                ((back, hub), seat),
                (seat, pedal),
                ((back, hub), pedal),
                (pedal, bars),
                (seat, bars),
                (bars, (ahead, hub)),
            ):
                self.pen.line([*start, *end], fill=frame, width=wide)
            self.pen.rectangle([seat[0] - 8, seat[1] - 4, seat[0] + 10, seat[1] + 3], fill=dark)
            x += self.rng.uniform(0.25, 0.7) * meter

    def _railing(self, x: float, foot: float, meter: float) -> None:
        bar, length = self.gray(5, 235) if self.rng.random() < 0.7 else self.bright(), self.rng.uniform(1.5, 6) * meter
        top, wide = foot - self.rng.uniform(0.7, 1.1) * meter, max(2, int(meter / self.rng.uniform(18, 45)))
        slope = self.rng.normal(0, 0.12)
        for share in (0.0, *([0.5] if self.rng.random() < 0.5 else []), 0.85):
            y = top + share * (foot - top)
            self.pen.line([x, y, x + length, y + slope * length], fill=bar, width=wide + 1)
        gap = meter * self.rng.choice([0.1, 0.13, 0.9, 1.4])
        for post in np.arange(0, length, gap):
            self.pen.line([x + post, top + slope * post, x + post, foot + slope * post], fill=bar, width=wide)

    def _bollard(self, x: float, foot: float, meter: float) -> None:
        color = self.dull() if self.rng.random() < 0.6 else self.bright()
        for _ in range(int(self.rng.integers(1, 5))):
            self.pen.rounded_rectangle([x, foot - 0.9 * meter, x + 0.16 * meter, foot], radius=6, fill=color)
            self.pen.rectangle(
                [x, foot - 0.75 * meter, x + 0.16 * meter, foot - 0.65 * meter], fill=self.gray(150, 250)
            )
            x += 1.1 * meter

    def _bin(self, x: float, foot: float, meter: float) -> None:
        width, height, color = self.rng.uniform(0.35, 1.2) * meter, self.rng.uniform(0.5, 1.3) * meter, self.dull()
        self.pen.rectangle([x, foot - height, x + width, foot], fill=color)
        self.pen.rectangle([x + 0.65 * width, foot - height, x + width, foot], fill=self.shift(color, -0.3))
        self.pen.rectangle([x, foot - height, x + width, foot - 0.85 * height], fill=self.shift(color, 0.3))
        if self.rng.random() < 0.4:
            self.text(x + 4, foot - 0.6 * height, 0.5 * width, 0.15 * height)

    def _bench(self, x: float, foot: float, meter: float) -> None:
        color, length = self.dull(), self.rng.uniform(1, 2.2) * meter
        for y in np.arange(foot - 0.9 * meter, foot - 0.35 * meter, 0.14 * meter):
            self.pen.rectangle([x, y, x + length, y + 0.08 * meter], fill=color)
        for leg in (x + 0.1 * meter, x + length - 0.2 * meter):
            self.pen.rectangle([leg, foot - 0.4 * meter, leg + 0.08 * meter, foot], fill=self.gray(10, 80))

    def _plant(self, x: float, foot: float, meter: float) -> None:
        green, size = self.rng.uniform(45, 130) * self.green, self.rng.uniform(0.4, 1.5) * meter
        if self.rng.random() < 0.5:
            self.pen.rectangle([x - 0.4 * size, foot - 0.4 * size, x + 0.4 * size, foot], fill=self.dull())
        for _ in range(60):
            dx, dy = self.rng.normal(0, 0.3, 2) * size
            leaf = 0.09 * size
            fill = _rgb(green * self.rng.uniform(0.3, 1.5))
            self.pen.ellipse(
                [x + dx - leaf, foot - 0.6 * size + dy - leaf, x + dx + leaf, foot - 0.6 * size + dy + leaf], fill=fill
            )

    def _car(self, x: float, foot: float, meter: float) -> None:
        color, length = self.bright() if self.rng.random() < 0.4 else self.gray(10, 240), 3.8 * meter
        self.pen.rounded_rectangle([x, foot - 0.95 * meter, x + length, foot - 0.2 * meter], radius=12, fill=color)
        roof = [
            (x + 0.6 * meter, foot - 0.9 * meter),
            (x + 1.1 * meter, foot - 1.4 * meter),
            (x + 2.7 * meter, foot - 1.4 * meter),
            (x + 3.3 * meter, foot - 0.9 * meter),
        ]
        self.pen.polygon(roof, fill=self.gray(10, 70), outline=color, width=6)
        for wheel in (0.8, 3.0):
            center = x + wheel * meter
            self.pen.ellipse(
                [center - 0.32 * meter, foot - 0.62 * meter, center + 0.32 * meter, foot], fill=self.gray(5, 35)
            )

    def _board(self, x: float, foot: float, meter: float) -> None:
        width, height = self.rng.uniform(0.6, 1.6) * meter, self.rng.uniform(1, 2.2) * meter
        self.pen.rectangle(
            [x, foot - height, x + width, foot - 0.2 * meter], fill=self.bright(), outline=self.gray(20, 220), width=4
        )
        for row in np.arange(foot - 0.9 * height, foot - 0.4 * meter, 0.16 * meter):
            self.text(x + 0.1 * meter, row, width - 0.2 * meter, 0.1 * meter)

    def _passer(self, x: float, foot: float, meter: float) -> None:
        """Paint somebody far away, as a few strokes."""
        upper, lower, skin = (
            (self.bright() if self.rng.random() < 0.4 else self.gray(5, 220)),
            self.gray(5, 110),
            self.gray(90, 190),
        )
        for leg in (-0.1, 0.06):
            step = leg + self.rng.normal(0, 0.08)
            self.pen.line(
                [x + leg * meter, foot - 0.8 * meter, x + step * meter, foot],
                fill=lower,
                width=max(2, int(0.14 * meter)),
            )
        self.pen.rounded_rectangle(
            [x - 0.21 * meter, foot - 1.45 * meter, x + 0.21 * meter, foot - 0.72 * meter], radius=5, fill=upper
        )
        self.pen.ellipse([x - 0.1 * meter, foot - 1.72 * meter, x + 0.1 * meter, foot - 1.45 * meter], fill=skin)
        self.pen.chord(
            [x - 0.11 * meter, foot - 1.74 * meter, x + 0.11 * meter, foot - 1.5 * meter],
            180,
            360,
            fill=self.gray(5, 60),
        )

    def _pole(self, x: float, foot: float, meter: float) -> None:
        width = self.rng.uniform(0.06, 0.35) * meter
        self.pen.rectangle([x, -10, x + width, foot], fill=self.gray(10, 200))
        self.pen.rectangle([x + 0.7 * width, -10, x + width, foot], fill=self.gray(5, 60))


def _rgb(color: object) -> Color:
    """Return a color as whole numbers in 2..252."""
    red, green, blue = np.clip(np.asarray(color, np.float64), 2, 252).astype(int).tolist()
    return red, green, blue


def _clouds(rng: np.random.Generator, cells: int) -> Floats:
    """Return smooth noise of unit variance over the scene, with about ``cells`` lumps across."""
    grain = rng.normal(0, 1, (max(2, math.ceil(cells * SCENE_HEIGHT / SCENE_WIDTH)), cells)).astype(np.float32)
    size = (SCENE_WIDTH, SCENE_HEIGHT)
    clouds: Floats = np.asarray(Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC))
    return clouds
