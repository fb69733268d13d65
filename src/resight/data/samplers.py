"""Sample batches, of P identities with K images each or of single images, as arrays of rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from resight.arrays import id_column
from resight.errors import DataError, RunError
from resight.records import ImageTable, Ints

logger = logging.getLogger(__name__)

Pick = Callable[[Ints, Ints, int, np.random.Generator], Ints]
"""Choose K of an identity's rows: (rows, camera ids, K, generator) -> ``(K,)`` rows."""


def pick_camera_diverse(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose one random image of each camera, then fill up with others, or drop cameras, to exactly K.

    References:
        The sampler of ICE. It draws with replacement only if the identity has fewer than K images.
    """
    order = generator.permutation(len(rows))
    shuffled = rows[order]
    _, first = np.unique(cameras[order], return_index=True)
    chosen = shuffled[first]
    if len(chosen) >= count:
        subset: Ints = chosen[generator.permutation(len(chosen))[:count]]
        return subset
    rest = np.delete(shuffled, first)
    num_missing = count - len(chosen)
    if len(rest) >= num_missing:
        return np.concatenate([chosen, rest[:num_missing]])
    pool = rest if len(rest) else chosen
    return np.concatenate([chosen, generator.choice(pool, num_missing, replace=True)])


def pick_other_cameras(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose a random anchor, then images of other cameras if there are any, else other images.

    References:
        The sampler of MMT, ABMT and SpCL, with two corrections. The authors' code returns an identity's only image once
        instead of K times, and draws with replacement even if there are exactly enough images.
    """
    anchor = int(generator.integers(len(rows)))
    candidates = np.flatnonzero(cameras != cameras[anchor])
    if len(candidates) == 0:
        candidates = np.delete(np.arange(len(rows)), anchor)
    if len(candidates) == 0:
        candidates = np.array([anchor])
    positives = generator.choice(candidates, count - 1, replace=len(candidates) < count - 1)
    chosen: Ints = rows[np.concatenate([[anchor], positives])]
    return chosen


def pick_random(rows: Ints, cameras: Ints, count: int, generator: np.random.Generator) -> Ints:
    """Choose images regardless of cameras; an image repeats only if there are fewer than K.

    References:
        The sampler of SCR. It repeats the images of a short identity, then draws without replacement.
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
    domains: Ints | None = None,
) -> Iterator[Ints]:
    """Yield endless batches, in passes with a new random order of the identities each.

    An identity occurs at most once in a pass. A pass leaves out the identities that do not fill a last batch.

    Args:
        labels: ``(N,)`` identities; rows with -1 are left out.
        cameras: ``(N,)`` camera ids.
        shape: (P, K): identities in a batch and images of each. With fewer than P identities, a batch contains all of
            them, and a warning says so.
        generator: The random number generator.
        pick: Chooses the K images of an identity.
        domains: ``(N,)`` domain ids; no identity is in two of them. Each batch is then of a single domain, because
            people before the same cameras are harder to tell apart.

    Yields:
        ``(P * K,)`` rows, the K of an identity next to each other.

    Raises:
        RunError: There are fewer than two identities.
        DataError: ``labels`` or ``cameras`` are not ``N`` whole numbers, or have masked values.
    """
    for name, ids in (("labels", labels), ("cameras", cameras)):
        if np.ma.is_masked(ids):
            raise DataError(f"{name} must not have masked values: write -1 for unknown ones, {name}.filled(-1)")
    labels = id_column(labels, "labels")
    cameras = id_column(cameras, "cameras", len(labels))
    if domains is not None and len(np.unique(domains)) > 1:
        numbers = np.unique(domains, return_inverse=True)[1]
        yield from _domain_batches(labels, cameras, shape, generator, pick=pick, groups=numbers)
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
            "%d identities are fewer than the %d of a batch: each batch has all of them, %d images instead of %d",
            *(len(groups), identities, len(groups) * images, identities * images),
        )
        identities = len(groups)
    while True:
        queue = generator.permutation(len(groups))
        for start in range(0, len(groups) - identities + 1, identities):
            yield np.concatenate(
                [pick(groups[g], cameras[groups[g]], images, generator) for g in queue[start : start + identities]]
            )


def _domain_batches(
    labels: Ints, cameras: Ints, shape: tuple[int, int], generator: np.random.Generator, *, pick: Pick, groups: Ints
) -> Iterator[Ints]:
    """Yield batches of one group each, a group as often as its share of the identities; none of a single identity."""
    own_labels = [np.where(groups == group, labels, -1) for group in range(groups.max() + 1)]
    counts = np.array([len(np.setdiff1d(own, -1)) for own in own_labels])
    counts[counts < 2] = 0
    if not counts.any():
        yield from identity_batches(labels, cameras, shape, generator, pick=pick)
    streams = [identity_batches(own, cameras, shape, generator, pick=pick) for own in own_labels]
    while True:
        yield next(streams[generator.choice(len(streams), p=counts / counts.sum())])


def hybrid_batches(
    labels: Ints,
    cameras: Ints,
    shape: tuple[int, int],
    generator: np.random.Generator,
    *,
    domains: Ints | None = None,
) -> Iterator[Ints]:
    """Yield endless batches of identities, K images each, and of images that are alone, one each.

    In a pass, each identity and each image that is alone comes once, in a new random order. The passes follow each
    other without a gap and are cut into batches, so an identity may lie in two of them.

    Args:
        labels: ``(N,)`` identities; a row with -1 is an identity of its own, and so is the only row of an identity.
        cameras: ``(N,)`` camera ids; the K images come from other cameras than the first of them if there are any.
        shape: (P, K): a batch has P * K rows, of P identities or more.
        generator: The random number generator.
        domains: ``(N,)`` domain ids; each batch is of a single domain, as for `identity_batches`.

    Yields:
        ``(P * K,)`` rows.

    Raises:
        RunError: There are fewer than two identities.
        DataError: ``labels`` or ``cameras`` are not ``N`` whole numbers.

    References:
        The batches of SpCL (Ge et al. 2020, section 4.1), with the sampler `pick_other_cameras`.
    """
    labels, cameras = id_column(labels, "labels"), id_column(cameras, "cameras", len(labels))
    numbers = np.zeros_like(labels) if domains is None else np.unique(domains, return_inverse=True)[1]

    def passes(groups: list[Ints]) -> Iterator[int]:
        while True:
            for number in generator.permutation(len(groups)):
                rows = groups[number]
                chosen = rows if len(rows) == 1 else pick_other_cameras(rows, cameras[rows], shape[1], generator)
                yield from chosen.tolist()

    by_domain = [_groups(np.where(numbers == domain, labels, -2)) for domain in range(numbers.max(initial=-1) + 1)]
    by_domain = [groups for groups in by_domain if len(groups) > 1]
    if not by_domain:
        raise RunError("one cluster holds all images, training needs two or more: lower --cluster.eps")
    streams, counts = [passes(groups) for groups in by_domain], np.array([len(groups) for groups in by_domain])
    while True:
        stream = streams[generator.choice(len(streams), p=counts / counts.sum())]
        yield np.fromiter(islice(stream, shape[0] * shape[1]), np.int64)


def _groups(labels: Ints) -> list[Ints]:
    """Return the rows of each identity, and each row with -1 on its own; without other negative rows."""
    order = np.argsort(labels, kind="stable")
    order = order[np.searchsorted(labels[order], -1) :]
    ends = np.flatnonzero((np.diff(labels[order]) > 0) | (labels[order[:-1]] == -1)) + 1
    return np.split(order, ends) if len(order) else []


def shuffled_batches(rows: Ints, size: int, generator: np.random.Generator) -> Iterator[Ints]:
    """Yield endless batches of single images, in passes with a new random order each.

    An image occurs at most once in a pass. A pass leaves out the images that do not fill a last batch.

    Args:
        rows: ``(N,)`` the images, at least one.
        size: Images of a batch. With fewer images, a batch has all of them.
        generator: The random number generator.

    Yields:
        ``(size,)`` of the rows.
    """
    size = min(size, len(rows))
    while True:
        order = generator.permutation(rows)
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def tracklet_batches(table: ImageTable, shape: tuple[int, int], generator: np.random.Generator) -> Iterator[Ints]:
    """Yield endless batches of tracklets of one camera that follow each other in time.

    In each pass, every camera's tracklets are cut into batches from another place on; the batches of all cameras come
    in a new random order.

    Args:
        table: The images; tracklets and cameras are known. Tracklets of unknown frames follow each other by their ids.
        shape: (P, K): tracklets in a batch and frames of each. A camera with fewer than P tracklets gives batches of
            them all; one with a single tracklet gives none.
        generator: The random number generator.

    Yields:
        ``(P * K,)`` rows, the K of a tracklet next to each other.

    Raises:
        RunError: No camera has two tracklets.
    """
    tracklets, images = shape
    order = np.lexsort((table.frame_ids, table.tracklet_ids))
    groups = np.split(order, np.flatnonzero(np.diff(table.tracklet_ids[order])) + 1)
    groups.sort(key=lambda rows: int(table.frame_ids[rows[0]]))  # stable
    cameras = np.array([table.camera_ids[rows[0]] for rows in groups])
    by_camera = [np.flatnonzero(cameras == camera) for camera in np.unique(cameras)]
    by_camera = [members for members in by_camera if len(members) > 1]
    if not by_camera:
        raise RunError("no camera has two tracklets, so no two people can be told apart")
    while True:
        batches = []
        for members in by_camera:
            turned = np.roll(members, generator.integers(len(members)))
            size = min(tracklets, len(members))
            batches += [turned[start : start + size] for start in range(0, len(turned) - size + 1, size)]
        for number in generator.permutation(len(batches)):
            chosen = (pick_random(groups[group], table.camera_ids, images, generator) for group in batches[number])
            yield np.concatenate(list(chosen))
