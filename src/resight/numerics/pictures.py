"""How alike pictures are: structural similarity, Fréchet distance, differences on a body, colors of its parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.records import Doubles, Mask

Pixels = npt.NDArray[np.uint8]

WINDOW = 7
"""Side of the windows of `structural_similarity`, pixels."""

K1, K2 = 0.01, 0.03
"""The constants of Wang et al., which keep windows without light or contrast from dividing by zero."""

THIRDS = ("upper third", "middle third", "lower third")
"""The regions of `body_thirds`, in order from 1."""


def structural_similarity(first: Pixels, second: Pixels, mask: Mask | None = None) -> Doubles:
    """Compare each picture with its partner by SSIM.

    Windows of 7 x 7 have equal weights and unbiased variances, as in the default of scikit-image, which GCL's and
    DG-Net's protocol uses. The mean is over the windows inside the picture and over the three colors.

    Args:
        first: ``(B, H, W, 3)`` uint8.
        second: The partners, of the same shape.
        mask: ``(B, H, W)``, the pixels around which windows count; None for all.

    Returns:
        ``(B,)`` in -1..1; 1 for equal pictures, nan where no window counts.

    Raises:
        DataError: The shapes differ, or a side is below 7 pixels.

    References:
        Wang et al., Image quality assessment: from error visibility to structural similarity, 2004 (eq. 13).
    """
    _check_alike(first, second)
    if min(first.shape[1:3]) < WINDOW:
        raise DataError(f"pictures must have sides of {WINDOW} pixels or more, found {first.shape[1:3]}")
    x, y = first.astype(np.float64), second.astype(np.float64)
    mean_x, mean_y = _window_means(x), _window_means(y)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    variance_x = unbiased * (_window_means(x * x) - mean_x**2)
    variance_y = unbiased * (_window_means(y * y) - mean_y**2)
    covariance = unbiased * (_window_means(x * y) - mean_x * mean_y)
    c1, c2 = (K1 * 255) ** 2, (K2 * 255) ** 2
    light = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    similarities: Doubles = (light * contrast).mean(3)
    half = WINDOW // 2
    counted = np.ones(similarities.shape, np.bool_) if mask is None else mask[:, half:-half, half:-half]
    with np.errstate(invalid="ignore"):
        means: Doubles = np.where(counted, similarities, 0).sum((1, 2)) / counted.sum((1, 2))
    return means


def _window_means(values: Doubles) -> Doubles:
    """Return the mean of each window, ``(B, H, W, 3)`` to ``(B, H - 6, W - 6, 3)``; exact for whole numbers."""
    down = np.cumsum(np.pad(values, ((0, 0), (1, 0), (0, 0), (0, 0))), 1)
    lines = down[:, WINDOW:] - down[:, :-WINDOW]
    across = np.cumsum(np.pad(lines, ((0, 0), (0, 0), (1, 0), (0, 0))), 2)
    return (across[:, :, WINDOW:] - across[:, :, :-WINDOW]) / WINDOW**2


def frechet_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Compute the Fréchet distance between the normal distributions that fit two sets of features.

    With the features of the Inception network it is the FID. It depends on the numbers of features: with fewer than
    some thousand it is too large, so only sets of the same sizes compare.

    Args:
        first: ``(N, D)`` features, N of 2 or more.
        second: ``(M, D)`` features, M of 2 or more.

    Returns:
        ``|m1 - m2|² + tr(S1 + S2 - 2 (S1 S2)^(1/2))``, 0 or more, of means and unbiased covariances in float64.

    Raises:
        DataError: There are too few features, they differ in length, or a number is not finite.

    References:
        Dowson and Landau, The Fréchet distance between multivariate normal distributions, 1982. Heusel et al., GANs
        trained by a two time-scale update rule converge to a local Nash equilibrium, 2017 (eq. 6).
    """
    x, y = (np.asarray(features, np.float64) for features in (first, second))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise DataError(f"expected two sets of 2 or more features of one length, found {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("features hold nan or inf: see that the pictures and the network are sound")
    between = float(((x.mean(0) - y.mean(0)) ** 2).sum())
    # With S = R^T R, tr (S1 S2)^(1/2) is the sum of the singular values of R1 R2^T: no root of a matrix is needed.
    roots: list[Doubles] = [np.linalg.qr((each - each.mean(0)) / np.sqrt(len(each) - 1)).R for each in (x, y)]
    shared = float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())
    return max(0.0, between + float((roots[0] ** 2).sum() + (roots[1] ** 2).sum()) - 2 * shared)


def masked_difference(first: Pixels, second: Pixels, mask: Mask) -> Doubles:
    """Compute the mean absolute difference of each picture from its partner where a mask is true.

    Args:
        first: ``(B, H, W, 3)`` uint8.
        second: The partners, of the same shape.
        mask: ``(B, H, W)``, the pixels that count.

    Returns:
        ``(B,)`` in 0..1, where 1 is black against white; nan where no pixel counts.
    """
    _check_alike(first, second)
    differences = np.abs(first.astype(np.float64) - second).mean(3) / 255
    with np.errstate(invalid="ignore"):
        means: Doubles = np.where(mask, differences, 0).sum((1, 2)) / mask.sum((1, 2))
    return means


def region_color_error(first: Pixels, second: Pixels, regions: npt.NDArray[np.integer], count: int) -> Doubles:
    """Compute how far the mean color of each region of a picture is from that of its partner.

    Args:
        first: ``(B, H, W, 3)`` uint8.
        second: The partners, of the same shape.
        regions: ``(B, H, W)`` the region of each pixel, 1 to ``count``; 0 for none.
        count: K, the number of regions.

    Returns:
        ``(B, K)`` mean absolute difference of the three colors in 0..1; nan for a region without pixels.
    """
    _check_alike(first, second)
    difference = (first.astype(np.float64) - second) / 255
    errors = np.full((len(first), count), np.nan)
    for number in range(count):
        inside = regions == number + 1
        pixels = inside.sum((1, 2))
        seen = pixels > 0
        sums = np.einsum("bhwc,bhw->bc", difference[seen], inside[seen].astype(np.float64))
        errors[seen, number] = np.abs(sums / pixels[seen, None]).mean(1)
    return errors


def body_thirds(mask: Mask) -> npt.NDArray[np.uint8]:
    """Cut bodies into thirds of their height.

    Args:
        mask: ``(B, H, W)``, the pixels of a body.

    Returns:
        ``(B, H, W)`` 1, 2 and 3 from the top; 0 outside of the body.
    """
    thirds = np.zeros(mask.shape, np.uint8)
    for row in range(len(mask)):
        lines = np.flatnonzero(mask[row].any(1))
        if len(lines):
            top, height = lines[0], lines[-1] + 1 - lines[0]
            thirds[row] = (1 + np.clip((np.arange(mask.shape[1]) - top) * 3 // height, 0, 2))[:, None]
    return np.where(mask, thirds, 0).astype(np.uint8)


def _check_alike(first: Pixels, second: Pixels) -> None:
    if first.shape != second.shape or first.ndim != 4 or first.shape[3] != 3:
        raise DataError(f"expected two stacks of (H, W, 3) pictures of one shape, found {first.shape}, {second.shape}")
