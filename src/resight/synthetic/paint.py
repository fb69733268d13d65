"""The colors of a figure's surfaces: patterns as functions of the position on the body.

Colors are linear light; the camera converts them to sRGB. All compiled functions that call each other are in this file,
because numba's cache only checks the file of the called function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from resight.numerics.compiled import njit
from resight.records import Floats, Ints
from resight.synthetic.appearance import BAGS, HATS, LOWERS, PATTERNS, Color, Person


class Surface(IntEnum):
    """The surface that a triangle belongs to."""

    TORSO = 0
    ARM = 1
    LEG = 2
    FOOT = 3
    NECK = 4
    FACE = 5
    HAIR = 6
    SKIRT = 7
    BAG = 8
    HAT = 9


# Rows of Paint.colors.
SKIN, HAIR, UPPER, SECOND, LOWER, SHOES, SOLES, BAG, HAT, SCARF = range(10)
# Entries of Paint.numbers.
(PATTERN, SCALE, FRONT, BACK, SLEEVE, HEM, NECKLINE, LOWER_KIND, LEG_END, LOWER_PATTERN, BOOT, BAG_KIND, BAG_SIDE,
 FOLDS, SCARFED, HEADWEAR, DEPTH) = range(17)  # fmt: skip
(_PLAIN, _STRIPES, _PINSTRIPES, _CHECKS, _PRINT, _TWO_TONE, _RAGLAN, _OPEN, _BAND, _PLAID, _BLOTCHES,
 _LETTERING) = range(len(PATTERNS))  # fmt: skip
# Under a skirt the legs have its color, so that a knee that pushes through it is invisible.
_LEG_ENDS = {"trousers": 0.07, "shorts": 0.56, "skirt": 0.5, "long_skirt": 0.24}


@dataclass(frozen=True, eq=False)
class Paint:
    """A person's colors and cuts as arrays that compiled code reads.

    Attributes:
        colors: ``(10, 3)`` float32 linear RGB, rows `SKIN` ... `SCARF`.
        numbers: ``(17,)`` float64, entries `PATTERN` ... `DEPTH`.
    """

    colors: Floats
    numbers: npt.NDArray[np.float64]


def linear(color: Color) -> tuple[float, float, float]:
    """Convert an sRGB color (0..1) to linear light (0..1)."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in color)
    return red, green, blue


def mix_paint(person: Person) -> Paint:
    """Return the appearance of a person as arrays.

    Args:
        person: The person.

    Returns:
        The arrays.
    """
    hat = person.upper if person.hat == "hood" else person.hat_color
    colors = [person.skin, person.hair, person.upper, person.upper_second, person.lower_color, person.shoes,
               person.soles, person.bag_color, hat, person.hat_color]  # fmt: skip
    numbers = [
        PATTERNS.index(person.pattern), person.pattern_scale, person.print_front, person.print_back, person.sleeve,
        person.hem, person.neckline, LOWERS.index(person.lower), _LEG_ENDS[person.lower], person.lower_pattern,
        person.boot, BAGS.index(person.bag), 1.0 if person.bag_left else -1.0,
        40.0 + 25.0 * person.pattern_scale, 1.0 if person.scarf else 0.0, HATS.index(person.hat),
        person.fold_depth,
    ]  # fmt: skip
    return Paint(np.array([linear(c) for c in colors], np.float32), np.array(numbers, np.float64))


@njit(cache=True)
def _printed(bits: int, across: float, down: float) -> bool:
    """Return whether a 5 x 5 print, mirrored left to right, is set at a position; both coordinates are 0..1."""
    column, row = int(across * 5), int(down * 5)
    return (bits >> (row * 5 + min(column, 4 - column))) & 1 == 1


@njit(cache=True)
def _around(x: float, y: float, arm: bool) -> float:
    """Return the distance around the body from the middle of the front, meters."""
    return x if arm else math.atan2(x, -y) * 0.15


@njit(cache=True)
def _around_leg(x: float, y: float, z: float) -> float:
    """Return the angle around a leg: 0 in front, pi / 2 at its outside, pi behind; negative at its inside."""
    return math.atan2(abs(x) - (0.2 - 0.09 * z), -0.02 - y)  # at rest the legs lean outward


@njit(cache=True)
def _fold(x: float, y: float, z: float, n: npt.NDArray[np.float64]) -> float:
    """Return the brightness of wrinkles in the cloth, a factor near 1."""
    wave, turn = n[FOLDS], 0.001 * n[FRONT]  # the print's bits give each person folds of their own
    coarse = math.sin(0.5 * wave * z + 13 * x + turn) * math.sin(19 * x - 9 * z + 15 * y + 2 * turn)
    fine = math.sin(wave * z + 23 * x - 17 * y) * math.sin(41 * x - 19 * z + 27 * y + turn)
    return 1 + float(n[DEPTH]) * (0.6 * coarse + 0.55 * fine)


@njit(cache=True)
def _blotched(x: float, y: float, z: float, n: npt.NDArray[np.float64]) -> bool:
    """Return whether a position is in a spot of an irregular pattern: flowers or camouflage, depending on its size."""
    f, turn = 60 / n[SCALE], 0.001 * n[FRONT]
    field = math.sin(f * x + 1.7 * math.sin(0.7 * f * z + turn)) + math.sin(f * z + 1.9 * math.sin(0.6 * f * x - turn))
    return field + math.sin(0.8 * f * y + turn) > 0.35


@njit(cache=True)
def _lettered(bits: int, across: float, down: float) -> bool:
    """Return whether a line of letters covers a position; both coordinates are 0..1."""
    row = int(down * 6)
    if (bits >> (row + 19)) & 1 == 0 or (down * 6) % 1.0 > 0.62:
        return False
    column = int(across * (9 + bits % 7))
    return ((bits * 2654435761 + row * 40503 + column * 69069) >> 7) % 3 > 0 and (across * (9 + bits % 7)) % 1.0 < 0.75


@njit(cache=True)
def _upper(x: float, y: float, z: float, along: float, arm: bool, n: npt.NDArray[np.float64]) -> int:
    """Return the color row of the upper garment at a position."""
    pattern, scale = int(n[PATTERN]), n[SCALE]
    run = 0.62 * along if arm else z  # meters along the cloth
    if pattern == _STRIPES:
        return SECOND if (run / (0.085 * scale)) % 1.0 < 0.45 else UPPER
    if pattern == _PINSTRIPES:
        return SECOND if not arm and (_around(x, y, arm) / (0.06 * scale)) % 1.0 < 0.35 else UPPER
    if pattern == _CHECKS:
        rows = (run / (0.11 * scale)) % 1.0 < 0.5
        columns = (_around(x, y, arm) / (0.11 * scale)) % 1.0 < 0.5
        return SECOND if rows != columns else UPPER
    if pattern == _PLAID:
        rows, columns = (run / (0.07 * scale)) % 1.0, (_around(x, y, arm) / (0.07 * scale)) % 1.0
        return SECOND if rows < 0.22 or columns < 0.22 else UPPER
    if pattern == _BLOTCHES:
        return SECOND if _blotched(x + 0.5 * along, y, z, n) else UPPER
    if pattern == _TWO_TONE:
        return SECOND if (not arm and z > 1.42 - 0.16 * scale) or (arm and along < 0.3 * scale) else UPPER
    if pattern == _RAGLAN:
        return SECOND if arm else UPPER
    if pattern == _OPEN:
        return SECOND if not arm and y < 0 and abs(x) < 0.035 + 0.02 * scale else UPPER
    if pattern == _BAND:
        level = 1.1 + 0.15 * (scale - 0.65)
        return SECOND if (not arm and abs(z - level) < 0.045) or (arm and 0.38 < along < 0.48) else UPPER
    if not arm:
        half = 0.075 + 0.04 * scale
        across, down = (x + half) / (2 * half), (1.42 - z) / (2 * half)
        if 0 <= across < 1 and 0 <= down < 1:
            if pattern == _PRINT and y < -0.02 and _printed(int(n[FRONT]), across, down):
                return SECOND
            if pattern == _LETTERING and y < -0.02 and _lettered(int(n[FRONT]), across, down):
                return SECOND
            if n[BACK] > 0 and y > 0.02 and _printed(int(n[BACK]), across, down):
                return SECOND
    return UPPER


@njit(cache=True)
def _strap(x: float, y: float, z: float, n: npt.NDArray[np.float64]) -> bool:
    """Return whether a bag's strap crosses the torso at a position."""
    if n[BAG_KIND] == 1:
        return z > 1.12 and y < 0.03 and abs(abs(x) - 0.105) < 0.022
    if n[BAG_KIND] == 2:  # from the far shoulder to the bag's hip
        return z > 1.0 and abs(x * n[BAG_SIDE] - (0.12 - (z - 1.05) * 0.55)) < 0.022
    return False


@njit(cache=True)
def surface_color(
    surface: int, x: float, y: float, z: float, along: float, n: npt.NDArray[np.float64]
) -> tuple[int, float]:
    """Return the color at a position on a figure.

    Args:
        surface: A value of `Surface`.
        x: Position on the average body, to the left, meters.
        y: Position to the back.
        z: Position upward.
        along: Along the arm: 0 shoulder, 0.5 elbow, 1 wrist.
        n: The figure's ``Paint.numbers``.

    Returns:
        A row of ``Paint.colors`` and a factor on it.
    """
    if surface == Surface.TORSO:
        if z > 1.49 - n[NECKLINE] and y < 0 and abs(x) < 0.05 + 0.4 * (z - 1.49 + n[NECKLINE]):
            return (SCARF, _fold(x, y, z, n)) if n[SCARFED] > 0 else (SKIN, 1.0)
        if _strap(x, y, z, n):
            return BAG, 0.8
        if z > n[HEM]:
            return _upper(x, y, z, along, False, n), _fold(x, y, z, n)
        return LOWER, _fold(x, y, z, n)
    if surface == Surface.ARM:
        if along < n[SLEEVE]:
            return _upper(x, y, z, along, True, n), _fold(x, y, z, n)
        return SKIN, 1.0
    if surface == Surface.LEG:
        if z > n[HEM]:
            return _upper(x, y, z, along, False, n), _fold(x, y, z, n)
        if z < n[BOOT]:
            return SHOES, 1.0
        if z < n[LEG_END]:
            return SKIN, 1.0
        kind = int(n[LOWER_PATTERN])
        if kind == 1 and abs(_around_leg(x, y, z) - 0.5 * math.pi) < 0.3:  # 4 cm at the thigh, 2 at the ankle
            return SECOND, 1.0
        if kind == 2:
            return LOWER, _fold(x, y, z, n) * (1 + 0.55 * math.exp(-(((z - 0.66) / 0.16) ** 2)) * (1 if y < 0 else 0.3))
        if kind == 3:
            rows, columns = (z / 0.09) % 1.0 < 0.5, (_around_leg(x, y, z) / math.pi * 3) % 1.0 < 0.5
            return LOWER, _fold(x, y, z, n) * (0.55 if rows != columns else 1.25)
        return LOWER, _fold(x, y, z, n)
    if surface == Surface.FOOT:
        return (SOLES, 1.0) if z < 0.028 else (SHOES, 1.0)
    if surface == Surface.NECK:
        return (SCARF, _fold(x, y, z, n)) if n[SCARFED] > 0 else (SKIN, 0.92)
    if surface == Surface.FACE:
        eyes = y < -0.1 and abs(z - 1.705) < 0.011 and 0.012 < abs(x) < 0.05
        mouth = y < -0.1 and abs(z - 1.632) < 0.006 and abs(x) < 0.022
        return SKIN, 0.3 if eyes else (0.55 if mouth else 1.0)
    if surface == Surface.HAIR:
        if n[HEADWEAR] > 0 and (n[HEADWEAR] == 3 or z > 1.70):
            return HAT, 1.0
        return HAIR, 1 + 0.25 * math.sin(160 * x)
    if surface == Surface.SKIRT:
        if z > n[HEM]:
            return _upper(x, y, z, along, False, n), _fold(x, y, z, n)
        return LOWER, _fold(x, y, z, n) * (1 + 0.18 * math.sin(14 * math.atan2(x, -y)))
    if surface == Surface.BAG:
        return BAG, 0.55 if abs(z - 0.25) < 0.08 else 1.0
    return HAT, 1.0


@njit(cache=True)
def shade(
    samples: tuple[Ints, Floats],
    mesh: tuple[Ints, Ints, Floats, Floats],
    paint: tuple[Floats, npt.NDArray[np.float64]],
    light: Floats,
    factor: int,
) -> Floats:
    """Color the samples of `raster.rasterise` and average them to pixels.

    Args:
        samples: Triangle rows ``(H, W)`` and corner shares ``(H, W, 3)``.
        mesh: Triangles ``(T, 3)``, surfaces ``(T,)``, coordinates ``(V, 4)`` and unit normals ``(V, 3)``.
        paint: Linear colors ``(10, 3)`` and numbers ``(17,)``.
        light: ``(5,)`` float32: unit direction towards the light, its strength, strength of the light from all sides.
        factor: Samples along a pixel's side; must divide ``H`` and ``W``.

    Returns:
        ``(H / factor, W / factor, 4)`` float32: linear RGB times coverage, and coverage 0..1.
    """
    owner, shares = samples
    triangles, surfaces, coordinates, normals = mesh
    colors, numbers = paint
    height, width = owner.shape
    pixels = np.zeros((height // factor, width // factor, 4), np.float32)
    weight = np.float32(1 / (factor * factor))
    for row in range(height):
        for column in range(width):
            t = owner[row, column]
            if t < 0:
                continue
            x = y = z = along = nx = ny = nz = 0.0
            for corner in range(3):
                v, s = triangles[t, corner], shares[row, column, corner]
                x += s * coordinates[v, 0]
                y += s * coordinates[v, 1]
                z += s * coordinates[v, 2]
                along += s * coordinates[v, 3]
                nx += s * normals[v, 0]
                ny += s * normals[v, 1]
                nz += s * normals[v, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
            lit = (nx * light[0] + ny * light[1] + nz * light[2]) / length
            sky = 0.66 + 0.34 * nz / length  # light from all sides comes rather from above
            strength = light[3] * max(0.0, lit) + light[4] * sky
            slot, tint = surface_color(surfaces[t], x, y, z, along, numbers)
            pixel = pixels[row // factor, column // factor]
            for channel in range(3):
                pixel[channel] += weight * min(1.0, colors[slot, channel] * tint) * strength
            pixel[3] += weight
    return pixels
