"""What stands on the ground of a scene: bicycles, railings, benches, cars."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from resight.synthetic.brush import Brush, to_rgb

Thing = Callable[[Brush, float, float, float], None]
"""Paint a thing at a column and the row of its foot, with so many pixels to a meter."""


def bicycle(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint parked bicycles."""
    for _ in range(int(brush.rng.integers(1, 7))):
        radius, dark, frame = (
            0.33 * meter,
            brush.gray(5, 60),
            brush.bright() if brush.rng.random() < 0.5 else brush.gray(10, 160),
        )
        back, ahead, hub = x, x + 1.05 * meter, foot - radius
        for center in (back, ahead):
            brush.pen.ellipse(
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
            brush.pen.line([*start, *end], fill=frame, width=wide)
        brush.pen.rectangle([seat[0] - 8, seat[1] - 4, seat[0] + 10, seat[1] + 3], fill=dark)
        x += brush.rng.uniform(0.25, 0.7) * meter


def railing(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a railing."""
    bar, length = brush.gray(5, 235) if brush.rng.random() < 0.7 else brush.bright(), brush.rng.uniform(1.5, 6) * meter
    top, wide = foot - brush.rng.uniform(0.7, 1.1) * meter, max(2, int(meter / brush.rng.uniform(18, 45)))
    slope = brush.rng.normal(0, 0.12)
    for share in (0.0, *([0.5] if brush.rng.random() < 0.5 else []), 0.85):
        y = top + share * (foot - top)
        brush.pen.line([x, y, x + length, y + slope * length], fill=bar, width=wide + 1)
    gap = meter * brush.rng.choice([0.1, 0.13, 0.9, 1.4])
    for post in np.arange(0, length, gap):
        brush.pen.line([x + post, top + slope * post, x + post, foot + slope * post], fill=bar, width=wide)


def bollard(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint bollards."""
    color = brush.dull() if brush.rng.random() < 0.6 else brush.bright()
    for _ in range(int(brush.rng.integers(1, 5))):
        brush.pen.rounded_rectangle([x, foot - 0.9 * meter, x + 0.16 * meter, foot], radius=6, fill=color)
        brush.pen.rectangle([x, foot - 0.75 * meter, x + 0.16 * meter, foot - 0.65 * meter], fill=brush.gray(150, 250))
        x += 1.1 * meter


def box(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a bin or a box."""
    width, height, color = brush.rng.uniform(0.35, 1.2) * meter, brush.rng.uniform(0.5, 1.3) * meter, brush.dull()
    brush.pen.rectangle([x, foot - height, x + width, foot], fill=color)
    brush.pen.rectangle([x + 0.65 * width, foot - height, x + width, foot], fill=brush.shift(color, -0.3))
    brush.pen.rectangle([x, foot - height, x + width, foot - 0.85 * height], fill=brush.shift(color, 0.3))
    if brush.rng.random() < 0.4:
        brush.text(x + 4, foot - 0.6 * height, 0.5 * width, 0.15 * height)


def bench(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a bench."""
    color, length = brush.dull(), brush.rng.uniform(1, 2.2) * meter
    for y in np.arange(foot - 0.9 * meter, foot - 0.35 * meter, 0.14 * meter):
        brush.pen.rectangle([x, y, x + length, y + 0.08 * meter], fill=color)
    for leg in (x + 0.1 * meter, x + length - 0.2 * meter):
        brush.pen.rectangle([leg, foot - 0.4 * meter, leg + 0.08 * meter, foot], fill=brush.gray(10, 80))


def plant(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a plant."""
    green, size = brush.rng.uniform(45, 130) * brush.green, brush.rng.uniform(0.4, 1.5) * meter
    if brush.rng.random() < 0.5:
        brush.pen.rectangle([x - 0.4 * size, foot - 0.4 * size, x + 0.4 * size, foot], fill=brush.dull())
    for _ in range(60):
        dx, dy = brush.rng.normal(0, 0.3, 2) * size
        leaf = 0.09 * size
        fill = to_rgb(green * brush.rng.uniform(0.3, 1.5))
        brush.pen.ellipse(
            [x + dx - leaf, foot - 0.6 * size + dy - leaf, x + dx + leaf, foot - 0.6 * size + dy + leaf], fill=fill
        )


def car(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a car."""
    color, length = brush.bright() if brush.rng.random() < 0.4 else brush.gray(10, 240), 3.8 * meter
    brush.pen.rounded_rectangle([x, foot - 0.95 * meter, x + length, foot - 0.2 * meter], radius=12, fill=color)
    roof = [
        (x + 0.6 * meter, foot - 0.9 * meter),
        (x + 1.1 * meter, foot - 1.4 * meter),
        (x + 2.7 * meter, foot - 1.4 * meter),
        (x + 3.3 * meter, foot - 0.9 * meter),
    ]
    brush.pen.polygon(roof, fill=brush.gray(10, 70), outline=color, width=6)
    for wheel in (0.8, 3.0):
        center = x + wheel * meter
        brush.pen.ellipse(
            [center - 0.32 * meter, foot - 0.62 * meter, center + 0.32 * meter, foot], fill=brush.gray(5, 35)
        )


def board(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a board with writing."""
    width, height = brush.rng.uniform(0.6, 1.6) * meter, brush.rng.uniform(1, 2.2) * meter
    brush.pen.rectangle(
        [x, foot - height, x + width, foot - 0.2 * meter], fill=brush.bright(), outline=brush.gray(20, 220), width=4
    )
    for row in np.arange(foot - 0.9 * height, foot - 0.4 * meter, 0.16 * meter):
        brush.text(x + 0.1 * meter, row, width - 0.2 * meter, 0.1 * meter)


def passer(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint somebody far away, as a few strokes."""
    upper, lower, skin = (
        (brush.bright() if brush.rng.random() < 0.4 else brush.gray(5, 220)),
        brush.gray(5, 110),
        brush.gray(90, 190),
    )
    for leg in (-0.1, 0.06):
        step = leg + brush.rng.normal(0, 0.08)
        brush.pen.line(
            [x + leg * meter, foot - 0.8 * meter, x + step * meter, foot],
            fill=lower,
            width=max(2, int(0.14 * meter)),
        )
    brush.pen.rounded_rectangle(
        [x - 0.21 * meter, foot - 1.45 * meter, x + 0.21 * meter, foot - 0.72 * meter], radius=5, fill=upper
    )
    brush.pen.ellipse([x - 0.1 * meter, foot - 1.72 * meter, x + 0.1 * meter, foot - 1.45 * meter], fill=skin)
    brush.pen.chord(
        [x - 0.11 * meter, foot - 1.74 * meter, x + 0.11 * meter, foot - 1.5 * meter],
        180,
        360,
        fill=brush.gray(5, 60),
    )


def pole(brush: Brush, x: float, foot: float, meter: float) -> None:
    """Paint a pole or a pillar."""
    width = brush.rng.uniform(0.06, 0.35) * meter
    brush.pen.rectangle([x, -10, x + width, foot], fill=brush.gray(10, 200))
    brush.pen.rectangle([x + 0.7 * width, -10, x + width, foot], fill=brush.gray(5, 60))


THINGS: dict[Thing, float] = {
    bicycle: 0.19,
    railing: 0.14,
    bollard: 0.09,
    box: 0.09,
    bench: 0.08,
    plant: 0.12,
    car: 0.06,
    board: 0.07,
    passer: 0.08,
    pole: 0.08,
}
"""How often each kind of thing stands in a scene; the shares sum to 1."""
