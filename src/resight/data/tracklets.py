"""Tracklets: the images of one person on one walk past one camera, as rows of a table.

A table has one row per image; its column ``tracklet_ids`` groups them. Sample a few frames of each tracklet, embed
them, and pool the embeddings into one row per tracklet. Ranking and evaluation then work as for images.

With every method of sampling, a tracklet that is too short gives all its frames in order and repeats the last one. An
image of unknown tracklet is a tracklet of one frame.

References:
    Hao Chen, "Towards unsupervised person re-identification", 2022, section 3.4.3 (temporal pooling).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from resight.arrays import whole_numbers
from resight.config.types import check_types
from resight.errors import ConfigError, DataError, check_most, nearest
from resight.numerics.distances import normalize, squared_distances, sum_of_part_distances
from resight.records import UNKNOWN, Features, Floats, ImageTable, Ints

Sampling = Literal["even", "random", "restricted", "consecutive"]
Pooling = Literal["mean", "max", "tpp"]

SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

PARTS = 3
"""The parts of temporal partition pooling in the thesis: beginning, middle and end."""


@dataclass(frozen=True)
class TrackletSettings:
    """How to pool a tracklet into an embedding, and how to compare two of them; images are not affected.

    Attributes:
        num_frames: Number of frames to embed of each tracklet.
        sampling: How to choose frames: `even`, `random`, `restricted` (one of each of equal chunks) or `consecutive`.
        pooling: How to pool their embeddings: `mean`, `max`, or `tpp`, the means of beginning, middle and end.
        distance: Between rows of `tpp`: `sum` adds the nine distances between parts (the authors' code);
            `concatenated` is the distance of the concatenated parts (the thesis).
        seed: Seed of random frames.
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
        """The function for distances ``(A, B)`` between rows ``(A, D)`` and ``(B, D)``, for `evaluate` and `rank`."""
        summed = self.pooling == "tpp" and self.distance == "sum"
        return sum_of_part_distances if summed else squared_distances

    def choose(self, table: ImageTable) -> Ints:
        """Sample rows ``(K, num_frames)`` as `sample_tracklets` does; the same seed gives the same rows."""
        return sample_tracklets(table, self.num_frames, self.sampling, random=np.random.default_rng(self.seed))


def group_tracklets(table: ImageTable) -> list[Ints]:
    """Group the images of a table by tracklet.

    Args:
        table: ``N`` images.

    Returns:
        The rows of each tracklet, in the order of their frames (equal and unknown frames in the table's order). The
        tracklets are in the order of their first rows.

    Raises:
        DataError: A tracklet has images of two people or of two cameras.
    """
    if not len(table):
        return []
    tracklet_ids, codes = tracklet_codes(table)
    rows = np.lexsort((table.frame_ids, codes))
    starts = np.searchsorted(codes[rows], np.arange(len(tracklet_ids)))
    for name, column in (("people", table.person_ids[rows]), ("cameras", table.camera_ids[rows])):
        low, high = np.minimum.reduceat(column, starts), np.maximum.reduceat(column, starts)
        for group in np.flatnonzero(low != high)[:1]:
            raise DataError(
                f"tracklet {tracklet_ids[group]} has images of two {name}, {low[group]} and {high[group]}: a tracklet "
                "is of one person by one camera; give each tracklet its own id"
            )
    return np.split(rows, starts[1:])


def tracklet_codes(table: ImageTable) -> tuple[Ints, Ints]:
    """Number the tracklets of a table in the order of their first rows.

    Args:
        table: ``N`` images.

    Returns:
        The ids ``(K,)`` of the tracklets, with ``-1`` for each image of unknown tracklet, and for each image the index
        ``(N,)`` of its tracklet among them.
    """
    unknown = table.tracklet_ids == UNKNOWN
    keys = np.where(unknown, UNKNOWN - 1 - np.arange(len(table)), table.tracklet_ids)  # one key per unknown image
    unique_keys, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    code_of_key = np.empty(len(unique_keys), np.int64)
    code_of_key[order] = np.arange(len(unique_keys))
    return np.maximum(unique_keys[order], UNKNOWN), code_of_key[inverse]


def sample_frames(
    size: int, count: int, how: Sampling = "even", *, random: np.random.Generator | None = None, stride: int = 1
) -> Ints:
    """Sample frames of a tracklet.

    The methods:

    - ``even``: drop the last ``size mod count`` frames, cut the rest into ``count`` equal segments, and take the first
      frame of each. E in the thesis' tables, as in the authors' code.
    - ``random``: ``count`` different frames, sorted. R in the thesis' tables, as in the authors' code.
    - ``restricted``: one random frame from each of ``count`` chunks of (nearly) equal length that cover the tracklet
      (Li et al., CVPR 2018).
    - ``consecutive``: ``count`` frames at distance ``stride`` from a random start. If they do not fit, the largest
      stride that fits.

    Args:
        size: Number of frames of the tracklet.
        count: Number of frames to sample.
        how: The method.
        random: The random number generator; ``even`` needs none.
        stride: Distance between frames, for ``consecutive``.

    Returns:
        ``(count,)`` int64 indices in ``0..size-1``, ascending.

    Raises:
        DataError: The tracklet is empty.
        ConfigError: The method is unknown, the generator is missing, or ``count`` or ``stride`` is below 1.
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
    """Sample frames of every tracklet of a table with `sample_frames`.

    Args:
        table: The images.
        count: Number of frames of each tracklet.
        how: As in `sample_frames`.
        random: As in `sample_frames`; the same state gives the same frames.

    Returns:
        ``(K, count)`` int64 rows of the table, the tracklets in the order of `group_tracklets`. Extract features of
        ``table[rows.ravel()]``.

    Raises:
        DataError: A tracklet has images of two people or of two cameras.
        ConfigError: As in `sample_frames`.
    """
    samples = [rows[sample_frames(len(rows), count, how, random=random)] for rows in group_tracklets(table)]
    return np.array(samples, np.int64).reshape(-1, count)


def pool_tracklets(
    features: Features, how: Pooling = "mean", *, parts: int = PARTS, chosen: Ints | None = None
) -> Features:
    """Pool the embeddings of each tracklet into one.

    The methods:

    - ``mean`` and ``max``: over the frames, then L2-normalized.
    - ``tpp``, temporal partition pooling: cut the frames in order into ``parts`` parts of (nearly) equal length, and
      concatenate the means of the parts, not normalized again. With 15 frames and 3 parts, the parts are frames 1-5,
      6-10 and 11-15.

    Two distances between ``tpp`` rows are in use. The *thesis* uses the Euclidean distance of the concatenated rows,
    the default of `evaluate` and `rank`. The *code* behind its table 3.5 adds the Euclidean distances between all parts
    of one row and all parts of the other: ``evaluate(..., distance_fn=sum_of_part_distances)``.

    Args:
        features: ``N`` embeddings of dimension ``D``, L2-normalized; frames in any order.
        how: The method.
        parts: Number of parts of ``tpp``.
        chosen: ``(K, F)`` rows to pool of each tracklet, with repetitions, as from `sample_tracklets`; all rows once if
            absent.

    Returns:
        ``K`` embeddings of dimension ``D``, or ``parts * D`` for ``tpp``. The table has the first frame of each
        tracklet.

    Raises:
        DataError: A tracklet has images of two people or of two cameras, or ``chosen`` is not rows of ``features``.
        ConfigError: The method is unknown, or ``parts`` is below 1.
    """
    if how not in POOLINGS:
        raise ConfigError(f"tracklets are pooled by {', '.join(POOLINGS)}; found '{how}'{nearest(how, POOLINGS)}")
    if parts < 1:
        raise ConfigError(f"the parts of a tracklet must be 1 or more, found {parts}")
    groups = group_tracklets(features.table) if chosen is None else list(_check_rows(chosen, len(features)))
    first_rows = np.array([rows[0] for rows in groups], np.int64)
    if how == "tpp":
        pooled = [_part_means(features.embeddings[rows], parts) for rows in groups]
        dim = features.embeddings.shape[1] * parts
    else:
        pool = np.mean if how == "mean" else np.max
        pooled = [pool(features.embeddings[rows], axis=0) for rows in groups]
        dim = features.embeddings.shape[1]
    embeddings: Floats = np.array(pooled, np.float32).reshape(-1, dim)
    if how != "tpp":
        embeddings = normalize(embeddings)
    return Features(features.table[first_rows], embeddings, features.encoder)


def _check_rows(chosen: Any, count: int) -> Ints:
    """Return ``(K, F)`` rows of ``count`` images as an array, or raise `DataError`."""
    if np.ma.is_masked(chosen):
        raise DataError("chosen must not have masked values: repeat rows instead")
    rows = whole_numbers(chosen, "chosen")
    if rows.ndim != 2 or (len(rows) and not rows.shape[1]):
        raise DataError(f"chosen must have shape (K, F) with F of 1 or more, found {rows.shape}")
    if rows.size and not 0 <= rows.min() <= rows.max() < count:
        raise DataError(f"chosen must be rows in 0..{count - 1}, found {rows.min()}..{rows.max()}")
    return rows


def _part_means(embeddings: Floats, parts: int) -> Floats:
    if len(embeddings) < parts:
        embeddings = embeddings[np.minimum(np.arange(parts), len(embeddings) - 1)]
    edges = np.arange(parts + 1) * len(embeddings) // parts
    means: Floats = np.concatenate([embeddings[edges[part] : edges[part + 1]].mean(axis=0) for part in range(parts)])
    return means
