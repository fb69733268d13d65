"""Synthetic cameras: the viewpoint, the light, the conversion of light to pixels, and the background.

Colors are linear light until `develop` converts them to an sRGB image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from resight.numerics.compiled import njit
from resight.records import Floats

Pixels = npt.NDArray[np.uint8]

SCENE_HEIGHT, SCENE_WIDTH = 320, 560
"""The size of a camera's view in its own pixels."""


@dataclass(frozen=True)
class Camera:
    """One camera of a site.

    Attributes:
        pitch: Angle at which it looks down at people, radians; 0 is level.
        distance: Distance to people in the middle of its view, meters.
        person_pixels: Height of an average person there, in the camera's pixels; below 128 crops are enlarged.
        heading: Direction in which most people walk, radians, 0 towards the camera; half of them walk the other way.
        scatter: Standard deviation around that direction, radians.
        light: Unit direction towards the light; x right, y away from the camera, z up.
        sun: Strength of the light from there.
        sky: Strength of the light from all sides.
        gains: White balance of red, green and blue.
        exposure: Factor on all light.
        gamma: Exponent on the finished image, 1 is none.
        saturation: 1 is true, 0 gray.
        haze: Share of gray veil, 0..1.
        blur: Standard deviation of its blur, crop pixels.
        noise: Standard deviation of its noise, share of full scale.
        quality: JPEG quality.
        horizon: Row of the scene where ground and wall meet, share of its height.
        site_seed: The seed of the colors that all cameras of a site share.
        scene_seed: The seed of its background.
    """

    pitch: float
    distance: float
    person_pixels: float
    heading: float
    scatter: float
    light: tuple[float, float, float]
    sun: float
    sky: float
    gains: tuple[float, float, float]
    exposure: float
    gamma: float
    saturation: float
    haze: float
    blur: float
    noise: float
    quality: int
    horizon: float
    site_seed: int
    scene_seed: int


def sample_camera(rng: np.random.Generator, *, site_seed: int = 0, variation: float = 1.0) -> Camera:
    """Sample a camera.

    Args:
        rng: The random number generator; the same state gives the same camera.
        site_seed: The same number for all cameras of a site.
        variation: How far light and colors differ from the average, 0 (not at all) to 3.

    Returns:
        The camera.
    """
    azimuth, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 1.2)
    light = (math.cos(azimuth) * math.cos(height), math.sin(azimuth) * math.cos(height), math.sin(height))
    warm, tint = variation * rng.normal(0, 0.065), variation * rng.normal(0, 0.018)
    sun = 0.45 + variation * rng.uniform(-0.35, 0.35)
    return Camera(
        pitch=float(rng.uniform(0.05, 0.55)),
        distance=float(rng.uniform(5, 13)),
        person_pixels=float(rng.uniform(75, 150)),
        heading=float(rng.uniform(0, math.pi)),
        scatter=float(rng.uniform(0.25, 0.7)),
        light=light,
        sun=float(max(0.0, sun)),
        sky=float(0.95 - 0.6 * sun),
        gains=(math.exp(warm), math.exp(tint), math.exp(-warm)),
        exposure=math.exp(variation * rng.normal(0, 0.11)),
        gamma=math.exp(variation * rng.normal(0, 0.05)),
        saturation=float(0.95 + variation * rng.uniform(-0.2, 0.15)),
        haze=float(variation * rng.uniform(0, 0.05)),
        blur=float(rng.uniform(0.25, 0.75)),
        noise=float(rng.uniform(0.004, 0.016)),
        quality=int(rng.integers(65, 93)),
        horizon=float(rng.uniform(0.2, 0.5)),
        site_seed=site_seed,
        scene_seed=int(rng.integers(1 << 31)),
    )


def draw_scene(camera: Camera) -> Floats:
    """Draw the background of a camera.

    Args:
        camera: The camera.

    Returns:
        ``(SCENE_HEIGHT, SCENE_WIDTH, 3)`` float32 linear RGB.
    """
    site, rng = np.random.default_rng(camera.site_seed), np.random.default_rng(camera.scene_seed)
    # A site has one kind of pavement and a few kinds of wall, so that the backgrounds of its cameras are similar.
    shared = np.clip(site.uniform(55, 185, (7, 1)) + site.normal(0, 10, (7, 3)), 8, 247)
    pavement = site.uniform(95, 135) + site.normal(0, 5, 3)

    def dull() -> tuple[int, int, int]:
        color = shared[rng.integers(len(shared))] + rng.normal(0, 12) + rng.normal(0, 4, 3)
        return _to_rgb(color)

    def ground(spread: float) -> tuple[int, int, int]:
        return _to_rgb(pavement + rng.normal(0, spread) + rng.normal(0, 3, 3))

    horizon = int(camera.horizon * SCENE_HEIGHT)
    image = Image.new("RGB", (SCENE_WIDTH, SCENE_HEIGHT), dull())
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(8, 16))):  # walls, doors, shop windows
        width, left = rng.uniform(20, 110), rng.uniform(-40, SCENE_WIDTH)
        pen.rectangle([left, rng.uniform(-30, 0.6 * horizon), left + width, horizon], fill=dull())
    for _ in range(int(rng.integers(8, 20))):  # signs, posters, panes
        width, height = rng.uniform(6, 40), rng.uniform(8, 40)
        left, top = rng.uniform(0, SCENE_WIDTH), rng.uniform(0, horizon)
        bright = _to_rgb(rng.uniform(10, 245, 3))
        pen.rectangle([left, top, left + width, min(top + height, horizon)], fill=bright)
    pen.rectangle([0, horizon, SCENE_WIDTH, SCENE_HEIGHT], fill=ground(8))
    for _ in range(30):  # mended and worn patches
        width = rng.uniform(20, 160)
        left, top = rng.uniform(-40, SCENE_WIDTH), rng.uniform(horizon, SCENE_HEIGHT)
        pen.rectangle([left, top, left + width, top + 0.35 * width], fill=ground(22))
    if rng.random() < 0.7:  # slabs, towards a vanishing point
        line, middle = ground(35), rng.uniform(0, SCENE_WIDTH)
        for column in np.arange(-3, 4, rng.uniform(0.12, 0.35)):
            end = middle + column * SCENE_WIDTH
            pen.line([middle + 0.15 * (end - middle), horizon, end, SCENE_HEIGHT], fill=line, width=1)
        depth = 6.0
        while depth < SCENE_HEIGHT:
            pen.line([0, horizon + depth, SCENE_WIDTH, horizon + depth], fill=line, width=1)
            depth *= rng.uniform(1.2, 1.45)
    for _ in range(int(rng.integers(4, 12))):  # planters, bins, parked things
        width, height = rng.uniform(15, 80), rng.uniform(20, 70)
        left, foot = rng.uniform(0, SCENE_WIDTH), rng.uniform(horizon + 5, SCENE_HEIGHT - 60)
        pen.rounded_rectangle([left, foot - height, left + width, foot], radius=5, fill=dull())
        pen.rectangle([left, foot - height / 3, left + width, foot], fill=dull())
    for _ in range(int(rng.integers(0, 4))):  # hedges
        left, green = rng.uniform(-60, SCENE_WIDTH), rng.uniform(50, 110)
        leaves = _to_rgb(green * np.array([0.75, 1, 0.45]))
        pen.ellipse([left, horizon - 35, left + rng.uniform(60, 200), horizon + 15], fill=leaves)
    values = np.asarray(image.filter(ImageFilter.GaussianBlur(0.9)), np.float32) / 255
    # Dirt at every scale, then light: a gradient over the view, and soft shadows of trees and roofs.
    dirt = sum(size * _clouds(rng, cells) for cells, size in ((8, 0.16), (32, 0.14), (110, 0.14)))
    shade = 1 - 0.5 / (1 + np.exp(-6 * (_clouds(rng, 6) + 0.5 * _clouds(rng, 25) - rng.uniform(0.2, 1.2))))
    slope = np.linspace(-0.5, 0.5, SCENE_WIDTH) * rng.normal(0, 0.3)
    lit = values**2.2 * (np.exp(dirt + slope) * shade)[..., None]
    scene: Floats = np.clip(lit, 0, 1).astype(np.float32)
    return scene


def _to_rgb(color: npt.ArrayLike) -> tuple[int, int, int]:
    """Return a color as whole numbers in 4..250."""
    red, green, blue = np.clip(np.asarray(color), 4, 250).astype(int).tolist()
    return red, green, blue


def _clouds(rng: np.random.Generator, cells: int) -> Floats:
    """Return smooth noise of unit variance over the scene, with about ``cells`` lumps across."""
    grain = rng.normal(0, 1, (max(2, cells * SCENE_HEIGHT // SCENE_WIDTH), cells)).astype(np.float32)
    size = (SCENE_WIDTH, SCENE_HEIGHT)
    clouds: Floats = np.asarray(Image.fromarray(grain).resize(size, Image.Resampling.BICUBIC))
    return clouds


@njit(cache=True)
def look(scene: Floats, window: Floats, height: int, width: int) -> Floats:
    """Return a window of a scene.

    Args:
        scene: ``(H, W, 3)`` float32.
        window: ``(4,)`` float32: left, top, right and bottom in scene pixels; the edge repeats outside.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        ``(height, width, 3)`` float32, interpolated linearly.
    """
    rows, columns = scene.shape[0], scene.shape[1]
    cut = np.empty((height, width, 3), np.float32)
    for i in range(height):
        y = window[1] + (i + 0.5) / height * (window[3] - window[1]) - 0.5
        y = min(max(y, 0.0), rows - 1.001)
        top = int(y)
        for j in range(width):
            x = window[0] + (j + 0.5) / width * (window[2] - window[0]) - 0.5
            x = min(max(x, 0.0), columns - 1.001)
            left = int(x)
            dy, dx = y - top, x - left
            for channel in range(3):
                above = scene[top, left, channel] * (1 - dx) + scene[top, left + 1, channel] * dx
                below = scene[top + 1, left, channel] * (1 - dx) + scene[top + 1, left + 1, channel] * dx
                cut[i, j, channel] = above * (1 - dy) + below * dy
    return cut


@njit(cache=True)
def soften(image: Floats, sigma: float) -> Floats:
    """Blur an image with a Gaussian of three standard deviations a side, its edges repeated.

    Args:
        image: ``(H, W, 3)`` float32.
        sigma: Standard deviation in pixels, above 0.

    Returns:
        ``(H, W, 3)`` float32.
    """
    reach = max(4, math.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2).astype(np.float32)
    taps /= taps.sum()
    height, width = image.shape[0], image.shape[1]
    across = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            for k in range(-reach, reach + 1):
                source = min(max(j + k, 0), width - 1)
                for channel in range(3):
                    across[i, j, channel] += taps[k + reach] * image[i, source, channel]
    blurred = np.zeros_like(image)
    for i in range(height):
        for k in range(-reach, reach + 1):
            source = min(max(i + k, 0), height - 1)
            for j in range(width):
                for channel in range(3):
                    blurred[i, j, channel] += taps[k + reach] * across[source, j, channel]
    return blurred


def develop(light: Floats, camera: Camera, exposure: float, blur: float, rng: np.random.Generator) -> Pixels:
    """Convert light to the image of a camera.

    Args:
        light: ``(H, W, 3)`` float32 linear RGB, 1 is white in an average light.
        camera: The camera, for its colors, tone and noise.
        exposure: Factor of this moment, 1 is the camera's own.
        blur: Standard deviation of the blur, pixels.
        rng: The source of the noise.

    Returns:
        ``(H, W, 3)`` uint8 sRGB.
    """
    exposed = soften(light, max(blur, 0.2)) * np.array(camera.gains, np.float32)
    exposed = exposed * np.float32(camera.exposure * exposure)
    gray = exposed @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposed = gray[..., None] + np.float32(camera.saturation) * (exposed - gray[..., None])
    exposed = exposed * np.float32(1 - camera.haze) + np.float32(0.5 * camera.haze)
    exposed = np.maximum(exposed, 0)
    exposed = exposed * (1 + exposed / 6) / (1 + exposed) * np.float32(1.55)  # compress highlights instead of clipping
    image = np.power(exposed, np.float32(camera.gamma / 2.2))
    image += np.float32(camera.noise) * rng.standard_normal(image.shape, np.float32)
    pixels: Pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels
