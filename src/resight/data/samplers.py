"""Batches of P identities with K images each, as arrays of rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np

from resight.errors import RunError
from resight.records import Ints

logger = logging.getLogger(__name__)

Pick = Callable[[Ints, Ints, int, np.random.Generator], Ints]
"""Choose K of an identity's rows: (rows, their cameras, K, generator) -> ``(K,)`` rows."""


def pick_camera_diverse(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose one random image of each camera; fill up, or choose among the cameras, to exactly K.

    References:
        methods §2.4, the sampler of ICE: the rest is drawn with replacement only where the identity is short.
    """
    order = generator.permutation(len(rows))
    shuffled = rows[order]
    _, first = np.unique(cameras[order], return_index=True)
    chosen = shuffled[first]
    if len(chosen) >= count:
        kept: Ints = chosen[generator.permutation(len(chosen))[:count]]
        return kept
    rest = np.delete(shuffled, first)
    missing = count - len(chosen)
    if len(rest) >= missing:
        return np.concatenate([chosen, rest[:missing]])
    pool = rest if len(rest) else chosen
    return np.concatenate([chosen, generator.choice(pool, missing, replace=True)])


def pick_other_cameras(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose a random anchor, then images of other cameras where there are any, else other images.

    References:
        methods §2.4, the sampler of MMT, ABMT and SpCL, but for two slips: it gives an identity of one image that image
        once, and draws with replacement where there are just enough images.
    """
    anchor = int(generator.integers(len(rows)))
    others = np.flatnonzero(cameras != cameras[anchor])
    if len(others) == 0:
        others = np.delete(np.arange(len(rows)), anchor)
    if len(others) == 0:
        others = np.array([anchor])
    picked = generator.choice(others, count - 1, replace=len(others) < count - 1)
    chosen: Ints = rows[np.concatenate([[anchor], picked])]
    return chosen


def pick_random(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose images without regard to cameras; one comes twice only where there are fewer than K.

    References:
        methods §2.4, the sampler of SCR: short identities are repeated, then drawn from without replacement.
    """
    pool = rows if len(rows) >= count else np.tile(rows, count)
    chosen: Ints = pool[generator.permutation(len(pool))[:count]]
    return chosen


def identity_batches(
    labels: Ints,
    cameras: Ints,
    shape: tuple[int, int],
    generator: np.random.Generator,
    *,
    pick: Pick = pick_camera_diverse,
) -> Iterator[Ints]:
    """Give batches without end, pass after pass, each in a new random order of the identities.

    In a pass an identity comes once at most: those that do not fill a last batch are left out of it.

    Args:
        labels: ``(N,)`` identities; rows with -1 are left out.
        cameras: ``(N,)`` camera ids.
        shape: (P, K): identities in a batch and images of each. With fewer than P identities a batch
            holds all of them, and a warning says so.
        generator: Where the numbers come from.
        pick: How the K images of an identity are chosen.

    Yields:
        ``(P * K,)`` rows, the K of an identity side by side.

    Raises:
        RunError: There are fewer than two identities to tell apart.
    """
    identities, images = shape
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], 0) :]
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    if len(groups) < 2:
        raise RunError(
            f"found {len(groups)} cluster(s), training needs two or more: raise --cluster.eps if most images are "
            "outliers, lower it if one cluster holds them all"
        )
    if len(groups) < identities:
        logger.warning(
            "%d identities are fewer than the %d of a batch: each batch has all of them, %d images in place of %d",
            *(len(groups), identities, len(groups) * images, identities * images),
        )
        identities = len(groups)
    while True:
        queue = generator.permutation(len(groups))
        for start in range(0, len(groups) - identities + 1, identities):
            yield np.concatenate(
                [pick(groups[g], cameras[groups[g]], images, generator) for g in queue[start : start + identities]]
            )
