"""Tracklets: the images of one person on one walk past one camera, as the rows of a table.

A table keeps one row an image; its ``tracklets`` column says which belong together. From it, a few frames of
each tracklet are sampled, and their vectors are pooled into one row a tracklet, so that ranking and evaluation
need to know nothing of video.

A tracklet shorter than asked for gives all its frames in order, and then its last one again, whatever the way
of sampling. An image of unknown tracklet stands alone, as a tracklet of one frame.

References:
    Hao Chen, "Towards unsupervised person re-identification", 2022, section 3.4.3 (temporal pooling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from resight.config.types import check_types
from resight.errors import ConfigError, DataError, check_most, nearest
from resight.numerics.distances import normalize, squared_distances, sum_of_part_distances
from resight.records import UNKNOWN, Features, Floats, ImageTable, Ints

Sampling = Literal["even", "random", "restricted", "consecutive"]
Pooling = Literal["mean", "max", "tpp"]

SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

PARTS = 3
"""Beginning, middle and end: the parts of temporal partition pooling in the thesis."""


@dataclass(frozen=True)
class TrackletSettings:
    """How a tracklet becomes a vector, and how two of these are compared; images are not affected.

    Attributes:
        num_frames: Frames of each tracklet that are embedded.
        sampling: Which frames: `even`, `random`, `restricted` (one of each of equal chunks) or `consecutive`.
        pooling: How their vectors become one: `mean`, `max`, or `tpp`, the means of beginning, middle and end.
        distance: Between rows of `tpp`: `sum` adds the nine distances of every part to every part (the released code),
            `concatenated` is that of the parts as one vector (the thesis).
        seed: Of the frames that are drawn.
    """

    num_frames: int = 15
    sampling: Sampling = "even"
    pooling: Pooling = "mean"
    distance: Literal["sum", "concatenated"] = "sum"
    seed: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        if self.num_frames < 1:
            raise ConfigError(f"the frames of a tracklet must be 1 or more, found {self.num_frames}")
        check_most(self, 10_000, "num_frames")
        if self.seed < 0:
            raise ConfigError(f"the seed of a tracklet's frames must be 0 or more, found {self.seed}")

    @property
    def distance_fn(self) -> Callable[[Floats, Floats], Floats]:
        """What gives the distances ``(A, B)`` between rows ``(A, D)`` and ``(B, D)``, for `evaluate` and `rank`."""
        summed = self.pooling == "tpp" and self.distance == "sum"
        return sum_of_part_distances if summed else squared_distances

    def choose(self, table: ImageTable) -> Ints:
        """Choose the frames of every tracklet: rows ``(K, frames)``, as `sample_tracklets`; a seed gives the same."""
        return sample_tracklets(table, self.num_frames, self.sampling, random=np.random.default_rng(self.seed))


def group_tracklets(table: ImageTable) -> list[Ints]:
    """Find the images of each tracklet.

    Args:
        table: ``N`` images.

    Returns:
        The rows of each tracklet, in the order of their frames (equal and unknown ones in the table's order); the
        tracklets in the order in which the table first names them.

    Raises:
        DataError: A tracklet holds images of two people or of two cameras.
    """
    if not len(table):
        return []
    numbers, codes = tracklet_codes(table)
    rows = np.lexsort((table.frame_ids, codes))
    starts = np.searchsorted(codes[rows], np.arange(len(numbers)))
    for name, column in (("people", table.person_ids[rows]), ("cameras", table.camera_ids[rows])):
        low, high = np.minimum.reduceat(column, starts), np.maximum.reduceat(column, starts)
        for group in np.flatnonzero(low != high)[:1]:
            raise DataError(
                f"tracklet {numbers[group]} holds images of two {name}, {low[group]} and {high[group]}: a tracklet is "
                "of one person by one camera; give each tracklet an id of its own"
            )
    return np.split(rows, starts[1:])


def tracklet_codes(table: ImageTable) -> tuple[Ints, Ints]:
    """Number the tracklets of a table in the order in which it first names them.

    Args:
        table: ``N`` images.

    Returns:
        The ids of the ``K`` tracklets, ``-1`` for each image of unknown tracklet, and for each image the place
        ``(N,)`` of its tracklet among them.
    """
    alone = table.tracklet_ids == UNKNOWN
    keys = np.where(alone, UNKNOWN - 1 - np.arange(len(table)), table.tracklet_ids)
    found, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(found), np.int64)
    place[order] = np.arange(len(found))
    return np.maximum(found[order], UNKNOWN), place[inverse]


def sample_frames(
    size: int, count: int, how: Sampling = "even", *, random: np.random.Generator | None = None, stride: int = 1
) -> Ints:
    """Choose frames of a tracklet.

    The ways:

    - ``even``: the tracklet without its last ``size mod count`` frames is cut into ``count`` equal segments; the
      first frame of each. What the thesis' tables call E, as its code does it.
    - ``random``: any ``count`` different frames, sorted; R in the thesis' tables, as its code does it.
    - ``restricted``: one random frame from each of ``count`` chunks of (nearly) equal length, which cover the whole
      tracklet (Li et al., CVPR 2018).
    - ``consecutive``: ``count`` frames ``stride`` apart from a random start; where they do not fit, the largest
      stride that does.

    Args:
        size: The frames that there are.
        count: The frames to choose.
        how: The way.
        random: What draws; ``even`` needs none.
        stride: Frames from one to the next, for ``consecutive``.

    Returns:
        ``(count,)`` int64 places in ``0..size-1``, ascending.

    Raises:
        DataError: The tracklet is empty.
        ConfigError: There is no such way, nothing draws, or ``count`` or ``stride`` is below 1.
    """
    if how not in SAMPLINGS:
        raise ConfigError(f"frames are sampled {', '.join(SAMPLINGS)}; found '{how}'{nearest(how, SAMPLINGS)}")
    if count < 1 or stride < 1:
        raise ConfigError(f"count and stride must be 1 or more, found {count} and {stride}")
    if size < 1:
        raise DataError("the tracklet is empty: there is no frame to sample")
    if size <= count:
        return np.minimum(np.arange(count), size - 1)
    if how == "even":
        return np.arange(count) * (size // count)
    if random is None:
        raise ConfigError(f"sampling '{how}' needs a generator: random=np.random.default_rng(seed)")
    if how == "random":
        return np.sort(random.choice(size, count, replace=False))
    if how == "restricted":
        edges = np.arange(count + 1) * size // count
        return random.integers(edges[:-1], edges[1:])
    step = min(stride, (size - 1) // max(1, count - 1))
    span = (count - 1) * step + 1
    return int(random.integers(size - span + 1)) + step * np.arange(count)


def sample_tracklets(
    table: ImageTable, count: int, how: Sampling = "even", *, random: np.random.Generator | None = None
) -> Ints:
    """Choose frames of every tracklet of a table, as `sample_frames` does.

    Args:
        table: The images.
        count: The frames of each tracklet.
        how: As in `sample_frames`.
        random: As in `sample_frames`; the same state gives the same frames.

    Returns:
        ``(K, count)`` int64 rows of the table, the tracklets in the order of `group_tracklets`. ``table[rows.ravel()]``
        is what to extract.

    Raises:
        DataError: A tracklet holds images of two people or of two cameras.
        ConfigError: As in `sample_frames`.
    """
    chosen = [rows[sample_frames(len(rows), count, how, random=random)] for rows in group_tracklets(table)]
    return np.array(chosen, np.int64).reshape(-1, count)


def pool_tracklets(
    features: Features, how: Pooling = "mean", *, parts: int = PARTS, chosen: Ints | None = None
) -> Features:
    """Make one vector of each tracklet.

    The ways:

    - ``mean`` and ``max``: over the frames, then L2-normalized.
    - ``tpp``, temporal partition pooling: the frames in their order are cut into ``parts`` parts of (nearly) equal
      length, and the means of these stand one after the other, not normalized again. With 15 frames and 3 parts
      these are frames 1-5, 6-10 and 11-15.

    Two distances between ``tpp`` rows are in use. The *thesis* concatenates: that is the Euclidean distance of the
    rows, as `evaluate` and `rank` take it. The *code* behind its table 3.5 adds the Euclidean distances of every
    part of one to every part of the other: ``evaluate(..., distance=sum_of_part_distances)``.

    Args:
        features: ``N`` vectors of dimension ``D``, L2-normalized; frames in any order.
        how: The way.
        parts: The parts of ``tpp``.
        chosen: ``(K, F)`` the rows that count of each tracklet, each as often as it stands there, as `sample_tracklets`
            gives them; all of its rows once where absent.

    Returns:
        ``K`` vectors of dimension ``D``, for ``tpp`` of ``parts * D``; a tracklet's row of the table is that of its
        first frame.

    Raises:
        DataError: A tracklet holds images of two people or of two cameras.
        ConfigError: There is no such way, or ``parts`` is below 1.
    """
    if how not in POOLINGS:
        raise ConfigError(f"tracklets are pooled by {', '.join(POOLINGS)}; found '{how}'{nearest(how, POOLINGS)}")
    if parts < 1:
        raise ConfigError(f"the parts of a tracklet must be 1 or more, found {parts}")
    groups = group_tracklets(features.table) if chosen is None else list(chosen)
    heads = np.array([rows[0] for rows in groups], np.int64)
    if how == "tpp":
        pooled = [_part_means(features.embeddings[rows], parts) for rows in groups]
        width = features.embeddings.shape[1] * parts
    else:
        pool = np.mean if how == "mean" else np.max
        pooled = [pool(features.embeddings[rows], axis=0) for rows in groups]
        width = features.embeddings.shape[1]
    vectors: Floats = np.array(pooled, np.float32).reshape(-1, width)
    return Features(features.table[heads], vectors if how == "tpp" else normalize(vectors), features.encoder)


def _part_means(vectors: Floats, parts: int) -> Floats:
    if len(vectors) < parts:
        vectors = vectors[np.minimum(np.arange(parts), len(vectors) - 1)]
    edges = np.arange(parts + 1) * len(vectors) // parts
    means: Floats = np.concatenate([vectors[edges[part] : edges[part + 1]].mean(axis=0) for part in range(parts)])
    return means
