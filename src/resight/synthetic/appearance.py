"""The appearance of synthetic people: build, skin, hair, clothes, bags, and the wardrobe that clothes come from.

Colors come from one small palette in which black, grays, navy and white dominate, as in a street. Many people share
colors, and only the combination with patterns, cuts, bags and build distinguishes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from resight.synthetic.body import Build
from resight.synthetic.gait import Gait

Color = tuple[float, float, float]
"""An sRGB color, each number in 0..1."""

PALETTE: dict[str, tuple[Color, float, float]] = {
    "black": ((0.07, 0.07, 0.08), 26, 32),
    "charcoal": ((0.20, 0.20, 0.22), 12, 14),
    "gray": ((0.47, 0.47, 0.48), 11, 9),
    "navy": ((0.10, 0.13, 0.26), 12, 14),
    "denim": ((0.24, 0.32, 0.46), 5, 17),
    "white": ((0.87, 0.87, 0.85), 18, 4),
    "beige": ((0.69, 0.61, 0.48), 5, 7),
    "brown": ((0.32, 0.22, 0.16), 4, 4),
    "olive": ((0.30, 0.31, 0.19), 4, 3),
    "red": ((0.62, 0.10, 0.12), 4, 1),
    "sky": ((0.45, 0.60, 0.78), 4, 1),
    "green": ((0.13, 0.38, 0.24), 2, 0.5),
    "yellow": ((0.85, 0.68, 0.18), 2, 0.3),
    "pink": ((0.83, 0.55, 0.60), 2, 0.6),
    "purple": ((0.33, 0.18, 0.42), 1.5, 0.4),
    "orange": ((0.82, 0.38, 0.12), 1.5, 0.2),
    "lime": ((0.62, 0.80, 0.22), 2, 0.2),
    "teal": ((0.16, 0.52, 0.55), 2.5, 0.4),
    "azure": ((0.13, 0.45, 0.80), 3, 0.6),
    "maroon": ((0.33, 0.07, 0.12), 2.5, 1),
}
"""Name -> color, weight among upper garments, weight among lower garments."""

SKINS: tuple[Color, ...] = (
    (0.94, 0.78, 0.69), (0.87, 0.68, 0.56), (0.76, 0.57, 0.43), (0.60, 0.42, 0.30),
    (0.42, 0.28, 0.20), (0.29, 0.19, 0.14),
)  # fmt: skip
HAIRS: tuple[Color, ...] = (
    (0.06, 0.05, 0.05), (0.16, 0.11, 0.08), (0.29, 0.19, 0.12), (0.55, 0.40, 0.22), (0.74, 0.62, 0.42),
    (0.45, 0.20, 0.10), (0.62, 0.61, 0.60),
)  # fmt: skip
PATTERNS = (
    "plain",
    "stripes",
    "pinstripes",
    "checks",
    "print",
    "two_tone",
    "raglan",
    "open_jacket",
    "band",
    "plaid",
    "blotches",
    "lettering",
)
LOWERS = ("trousers", "shorts", "skirt", "long_skirt")
HAIR_STYLES = ("bald", "short", "full", "bob", "long", "bun", "ponytail")
HATS = ("none", "cap", "beanie", "hood")
BAGS = ("none", "backpack", "shoulder", "hand")


@dataclass(frozen=True)
class Wardrobe:
    """The clothes of a place and season, as probabilities.

    Attributes:
        upper: Probabilities of the palette's colors for upper garments; sum to 1.
        lower: The same for lower garments.
        patterns: Probabilities of `PATTERNS`.
        bags: Probabilities of `BAGS`.
        warmth: Summer (0) to winter (1): sleeves, shorts, coats, hats, scarves.
    """

    upper: tuple[float, ...]
    lower: tuple[float, ...]
    patterns: tuple[float, ...]
    bags: tuple[float, ...]
    warmth: float


@dataclass(frozen=True)
class Person:
    """The appearance of one synthetic person.

    Attributes:
        build: The body's shape.
        gait: The way of walking.
        skin: Skin color.
        hair: Hair color.
        hair_style: One of `HAIR_STYLES`.
        hat: One of `HATS`; a hood has the upper garment's color.
        hat_color: Color of cap or beanie.
        scarf: Whether the neck is covered with ``hat_color``.
        upper: Color of the upper garment.
        upper_second: Second color of its pattern.
        pattern: One of `PATTERNS`.
        pattern_scale: Size of the pattern relative to the usual, about 0.6..1.6.
        print_front: 25 bits of a 5 x 5 print on the chest.
        print_back: 25 bits of a print on the back; 0 is none.
        sleeve: Where the sleeve ends: 0 shoulder, 0.5 elbow, 1 wrist.
        hem: Height of the upper garment's lower edge on the average body, meters; skirts of coats lie below 0.8.
        looseness: Thickness of the clothes, meters.
        leg_width: Distance of trousers or shorts from the leg at their lower end, meters.
        fold_depth: Relative brightness of wrinkles in the cloth, about 0.08..0.35.
        neckline: Depth of the neckline, meters.
        lower: One of `LOWERS`.
        lower_color: Its color.
        lower_pattern: 0 plain, 1 side stripe, 2 faded denim, 3 checks.
        shoes: Color of the shoes.
        soles: Color of the soles.
        boot: Height of the shoes, meters.
        bag: One of `BAGS`.
        bag_color: Its color.
        bag_size: Size relative to the usual, about 0.75..1.3.
        bag_left: Whether a shoulder or hand bag is on the left.
        umbrella: Color of the umbrella that they carry when it rains.
        bicycle: Color of their bicycle; None if they walk.
    """

    build: Build
    gait: Gait
    skin: Color
    hair: Color
    hair_style: str
    hat: str
    hat_color: Color
    scarf: bool
    upper: Color
    upper_second: Color
    pattern: str
    pattern_scale: float
    print_front: int
    print_back: int
    sleeve: float
    hem: float
    looseness: float
    leg_width: float
    fold_depth: float
    neckline: float
    lower: str
    lower_color: Color
    lower_pattern: int
    shoes: Color
    soles: Color
    boot: float
    bag: str
    bag_color: Color
    bag_size: float
    bag_left: bool
    umbrella: Color
    bicycle: Color | None


def sample_wardrobe(rng: np.random.Generator) -> Wardrobe:
    """Sample the clothes of a place and season.

    Args:
        rng: The random number generator.

    Returns:
        Probabilities that differ from the palette's by about half of their size.
    """

    def vary(weights: npt.ArrayLike) -> tuple[float, ...]:
        probabilities = np.asarray(weights, np.float64) * rng.gamma(4.0, 0.25, len(np.asarray(weights)))
        return tuple((probabilities / probabilities.sum()).tolist())

    return Wardrobe(
        upper=vary([upper for _, upper, _ in PALETTE.values()]),
        lower=vary([lower for _, _, lower in PALETTE.values()]),
        patterns=vary([38, 9, 4, 3, 7, 6, 5, 11, 4, 7, 7, 12]),
        bags=vary([50, 22, 16, 12]),
        warmth=float(rng.uniform(0.15, 0.85)),
    )


def sample_person(rng: np.random.Generator, wardrobe: Wardrobe) -> Person:
    """Sample a person.

    Args:
        rng: The random number generator; the same state gives the same person.
        wardrobe: The clothes to choose from.

    Returns:
        The person.
    """
    palette = [color for color, _, _ in PALETTE.values()]

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    def jitter(color: Color, size: float = 0.04) -> Color:
        red, green, blue = np.clip(np.array(color) + rng.normal(0, size, 3) + rng.normal(0, size), 0.02, 0.95)
        return float(red), float(green), float(blue)

    def pick(names: tuple[str, ...], weights: npt.ArrayLike) -> str:
        probabilities = np.asarray(weights, np.float64)
        return names[int(rng.choice(len(names), p=probabilities / probabilities.sum()))]

    def color(probabilities: tuple[float, ...]) -> Color:
        return jitter(palette[int(rng.choice(len(palette), p=probabilities))])

    male = chance(0.5)
    warm = wardrobe.warmth
    long_sleeved = chance(0.35 + 0.6 * warm)
    coat = chance(0.3 * warm)
    upper = color(wardrobe.upper)
    second = color(wardrobe.upper)
    while np.abs(np.subtract(upper, second)).max() < 0.22:  # the pattern must be visible
        second = jitter(palette[int(rng.integers(len(palette)))])
    lower = pick(LOWERS, [66, 34 * (1 - warm) + 2, 0 if male else 16, 0 if male else 9])
    lower_color = color(wardrobe.lower)
    dark = palette[int(rng.choice([0, 0, 1, 7]))]
    return Person(
        build=Build(
            gender=float(rng.uniform(0.4, 1.0) * (1 if male else -1)),
            age=float(rng.uniform(-1, 1)),
            muscle=float(np.clip(rng.normal(0, 0.45), -1, 1)),
            weight=float(np.clip(rng.normal(-0.1, 0.55), -1, 1)),
            height=float(np.clip(rng.normal(-0.2, 0.25), -0.8, 0.6)),
            proportions=float(rng.uniform(-0.5, 1)),
            childhood=float(rng.uniform(0.2, 1)) if chance(0.05) else 0.0,
        ),
        gait=Gait(
            stride=float(rng.uniform(0.75, 1.1)),
            swing=float(rng.uniform(0.3, 1.15)),
            spread=float(rng.uniform(9, 15)),
            bend=float(rng.uniform(12, 35)),
            lean=float(rng.uniform(0, 7)),
            phone=chance(0.04),
        ),
        skin=jitter(SKINS[int(rng.choice(len(SKINS), p=[0.2, 0.27, 0.23, 0.14, 0.09, 0.07]))], 0.015),
        hair=jitter(HAIRS[int(rng.choice(len(HAIRS), p=[0.46, 0.2, 0.12, 0.06, 0.04, 0.03, 0.09]))], 0.015),
        hair_style=pick(HAIR_STYLES, [12, 55, 25, 3, 3, 0.5, 1.5] if male else [0, 8, 12, 22, 30, 12, 16]),
        hat=pick(HATS, [82, 8, 10 * warm, 7]),
        hat_color=color(wardrobe.upper),
        scarf=chance(0.25 * warm),
        upper=upper,
        upper_second=second,
        pattern=pick(PATTERNS, wardrobe.patterns),
        pattern_scale=float(rng.uniform(0.65, 1.6)),
        print_front=int(rng.integers(1, 1 << 25)),
        print_back=int(rng.integers(1, 1 << 25)) if chance(0.35) else 0,
        sleeve=float(rng.uniform(0.93, 1.03)) if long_sleeved else float(rng.choice([0.03, 0.3, 0.38, 0.45, 0.6])),
        hem=float(rng.uniform(0.5, 0.72) if coat else rng.uniform(0.84, 1.0)),
        looseness=float(rng.uniform(0.007, 0.022) + (0.02 * rng.random() if long_sleeved else 0)),
        leg_width=float(rng.uniform(0.015, 0.05) if lower == "shorts" else 0.006 + 0.034 * rng.random() ** 1.5),
        fold_depth=float(rng.uniform(0.08, 0.35)),
        neckline=float(rng.uniform(0.02, 0.05 if male else 0.12)),
        lower=lower,
        lower_color=lower_color,
        lower_pattern=int(rng.choice(4, p=[0.64, 0.1, 0.2, 0.06])),
        shoes=jitter(palette[5] if chance(0.33) else dark),
        soles=jitter(palette[5] if chance(0.55) else dark),
        boot=float(rng.uniform(0.2, 0.38)) if chance(0.12 * (1.5 if not male else 0.4)) else 0.09,
        bag=pick(BAGS, wardrobe.bags),
        bag_color=color(wardrobe.upper),
        bag_size=float(rng.uniform(0.75, 1.3)),
        bag_left=chance(0.5),
        umbrella=jitter(palette[int(rng.integers(len(palette)))]),
        bicycle=jitter(palette[int(rng.integers(len(palette)))]) if chance(0.06) else None,
    )  # fmt: skip
