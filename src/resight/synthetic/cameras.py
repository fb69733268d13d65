"""Synthetic cameras: the viewpoint, the light, and the conversion of light to pixels.

Colors are linear light until `develop` converts them to an sRGB image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from resight.numerics.compiled import njit
from resight.records import Floats

Pixels = npt.NDArray[np.uint8]


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
        contrast: Steepness of its tone curve in the middle grays, 1 is none.
        haze: Share of gray veil, 0..1.
        blur: Standard deviation of its blur, crop pixels.
        sharpening: Share by which it lifts edges after that, 0 is none.
        noise: Standard deviation of its noise, share of full scale.
        quality: JPEG quality.
        umbrellas: Share of visits with an open umbrella.
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
    contrast: float
    haze: float
    blur: float
    sharpening: float
    noise: float
    quality: int
    umbrellas: float
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
    night, rain = rng.random() < 0.06 * variation, rng.random() < 0.08 * variation
    dark = 0.65 if night else 1.0
    return Camera(
        pitch=float(rng.uniform(0.05, 0.55)),
        distance=float(rng.uniform(5, 13)),
        person_pixels=float(math.exp(rng.uniform(math.log(60), math.log(170)))),
        heading=float(rng.uniform(0, math.pi)),
        scatter=float(rng.uniform(0.25, 0.7)),
        light=light,
        sun=float(max(0.0, sun)),
        sky=float(0.95 - 0.6 * sun),
        gains=(math.exp(warm + 0.1 * night), math.exp(tint), math.exp(-warm - 0.12 * night)),
        exposure=dark * math.exp(-0.02 + variation * rng.normal(0, 0.16)),
        gamma=math.exp(variation * rng.normal(0, 0.05)),
        saturation=float((0.75 + variation * rng.uniform(-0.2, 0.2)) * (0.6 if night else 1)),
        contrast=math.exp(0.3 + variation * rng.normal(0, 0.12)),
        haze=float(max(0.0, variation * rng.uniform(-0.03, 0.03))),
        blur=float(rng.uniform(0.2, 0.6)),
        sharpening=float(max(0.0, rng.uniform(-0.3, 1.4))),
        noise=float(rng.uniform(0.003, 0.012) * (3 if night else 1)),
        quality=int(rng.integers(65, 93)),
        umbrellas=float(rng.uniform(0.1, 0.5)) if rain else 0.005,
        horizon=float(rng.uniform(0.2, 0.5)),
        site_seed=site_seed,
        scene_seed=int(rng.integers(1 << 31)),
    )


AIM = 0.9
"""Height at which cameras aim, meters above the ground."""


def project(positions: Floats, pitch: float, distance: float) -> Floats:
    """Project positions onto the image plane of a camera.

    Args:
        positions: ``(V, 3)`` meters: to the right of where the camera aims, behind it, above it.
        pitch: Angle at which the camera looks down, radians.
        distance: From the camera to where it aims, meters.

    Returns:
        ``(V, 3)`` float32: right and down at a distance of 1, and 1 / depth.
    """
    sine, cosine = math.sin(pitch), math.cos(pitch)
    depth = positions[:, 1] * cosine - positions[:, 2] * sine + distance
    up = positions[:, 1] * sine + positions[:, 2] * cosine
    points: Floats = np.stack([positions[:, 0] / depth, -up / depth, 1 / depth], axis=1).astype(np.float32)
    return points


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
    exposed = np.maximum(exposed, 0)
    exposed = exposed * (1 + exposed / 6) / (1 + exposed) * np.float32(1.55)  # compress highlights instead of clipping
    tones = np.clip(np.power(exposed, np.float32(camera.gamma / 2.2)), 0, 1)
    steep = np.float32(camera.contrast)
    tones = np.power(tones, steep) / (np.power(tones, steep) + np.power(1 - tones, steep))
    tones += np.float32(camera.noise) * rng.standard_normal(tones.shape, np.float32)
    if camera.sharpening:
        tones += np.float32(camera.sharpening) * (tones - soften(tones, 1.0))
    image = tones * np.float32(1 - camera.haze) + np.float32(0.5 * camera.haze)
    pixels: Pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return pixels
