"""Nearest neighbors of sets so large that the whole product would take hours.

Vectors are sorted into lists, each about a center, and a vector is compared with those of the lists nearest to it: by
the search that is exact where everything is compared, so what is missed is all that can be wrong. How much that is gets
measured on a sample before the search, and decides how many lists each vector looks at.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.numerics.distances import as_vectors, squared_lengths
from resight.numerics.neighbors import Tile, search_for, search_itself
from resight.progress import progress
from resight.records import Floats, Ints

logger = logging.getLogger(__name__)

ROUNDS, LEARNERS = 6, 32
"""Rounds of k-means that find the centers, and the vectors for each center that they are found from."""

WIDTH = 16_384
"""Vectors that are compared with a list at once, at most."""

LISTS = 64
"""Lists whose distances to all vectors are held at once."""


@dataclass(frozen=True, eq=False)
class Approximate:
    """Neighbors that were found, and how many were missed.

    Attributes:
        distances: ``(N, k)`` float32 squared Euclidean distances, ascending, ties by id; a vector's own row first.
        ids: ``(N, k)`` int64 rows.
        recall: The share of the true neighbors that is among them, measured on a sample, 0..1; a vector is no
            neighbor of its own.
        compared: The share of all pairs that was compared, 0..1.
    """

    distances: Floats
    ids: Ints
    recall: float
    compared: float


def k_nearest_approximate(
    vectors: npt.ArrayLike, k: int, *, recall: float = 0.95, sample: int = 2000, seed: int = 0
) -> Approximate:
    """Find most of the ``k`` nearest vectors of each vector.

    About ``4 sqrt(N)`` lists hold the vectors by the nearest of as many centers (k-means). Each vector looks at as many
    of the lists nearest to it, and how many is found on a sample, whose true neighbors are searched exactly: as few
    as reach the recall. Beside the vectors, memory is that of a copy in bfloat16 (none where the processor does not
    multiply in bfloat16) and of 128 candidates each.

    Args:
        vectors: ``(N, D)``, at least 2.
        k: How many to find, the vector itself among them, ``1..N``.
        recall: The least share of true neighbors to find, a vector itself not counted, in (0, 1].
        sample: Vectors that the recall is measured on, at least 1.
        seed: Of the centers and the sample.

    Returns:
        The neighbors and the recall that was reached.

    Raises:
        DataError: ``k``, ``recall`` or ``sample`` is out of range, or the vectors are too few or not finite.

    References:
        Sivic and Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003 (inverted
            lists). Here all vectors that look at a list do so at once, so that a matrix product compares them.
    """
    rows = as_vectors(vectors)
    if len(rows) < 2:
        raise DataError(f"vectors that search themselves must be 2 or more, found {len(rows)}")
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    if not 0 < recall <= 1 or sample < 1:
        raise DataError(f"recall must be in (0, 1] and sample 1 or more, found {recall} and {sample}")
    centers, owners = _lists(rows, seed)
    asked = np.sort(np.random.default_rng(seed).permutation(len(rows))[:sample])
    true = search_for(rows[asked], rows, k, own=asked)[1]
    true = true[:, 1:] if k > 1 else true  # a vector's own row comes first, and is always found
    order = np.argsort(_to_centers(rows[asked], centers), axis=1, kind="stable")
    # Looking at the n nearest lists finds the true neighbors whose place is below n.
    places = np.sort(np.take_along_axis(np.argsort(order, axis=1), owners[true], 1), axis=None)
    looks = int(places[math.ceil(recall * places.size) - 1]) + 1
    sizes = np.bincount(owners, minlength=len(centers))
    compared = float(sizes[order[:, :looks]].sum(1).mean()) / len(rows)
    reached = float((places < looks).mean())
    logger.info("%.1f %% of the neighbors are found by comparing %.1f %% of the pairs", 100 * reached, 100 * compared)
    distances, ids = search_itself(rows, k, _tiles(rows, centers, owners, looks))
    return Approximate(distances, ids, reached, compared)


def _lists(rows: Floats, seed: int) -> tuple[Floats, Ints]:
    """Give centers ``(L, D)`` and the nearest one of each vector ``(N,)``."""
    size, dim = rows.shape
    count = max(1, min(round(4 * math.sqrt(size)), size // LEARNERS))
    chosen = np.sort(np.random.default_rng(seed).permutation(size)[: LEARNERS * count])
    learning = faiss.Kmeans(dim, count, niter=ROUNDS, seed=seed, min_points_per_centroid=1)
    learning.train(rows[chosen])
    starts = progress(range(0, size, WIDTH), "sorting vectors into lists")
    owners = [learning.index.search(rows[low : low + WIDTH], 1)[1][:, 0] for low in starts]
    return np.asarray(learning.centroids), np.concatenate(owners)


def _to_centers(rows: Floats, centers: Floats, *, turned: bool = False) -> Floats:
    """Give the squared distances ``(N, L)`` to centers, or ``(L, N)``, without the row's own length."""
    lengths = squared_lengths(centers)
    distances: Floats = centers @ rows.T if turned else rows @ centers.T
    distances *= -2
    distances += lengths[:, None] if turned else lengths
    return distances


def _tiles(rows: Floats, centers: Floats, owners: Ints, looks: int) -> Iterator[Tile]:
    """Give each list with the vectors that look at it: those that have fewer than ``looks`` centers nearer to them."""
    limits = np.empty(len(rows), np.float32)
    for low in progress(range(0, len(rows), WIDTH), "choosing lists"):
        distances = _to_centers(rows[low : low + WIDTH], centers)
        distances.partition(looks - 1, axis=1)
        limits[low : low + WIDTH] = distances[:, looks - 1]
    members = np.split(np.argsort(owners, kind="stable"), np.cumsum(np.bincount(owners, minlength=len(centers)))[:-1])
    for held in members:  # the nearest first, after which few others are candidates
        yield from _cut(held, held)
    for first in progress(range(0, len(centers), LISTS), "neighbors"):
        distances = _to_centers(rows, centers[first : first + LISTS], turned=True)
        for own, held in enumerate(members[first : first + LISTS], first):
            yield from _cut(np.flatnonzero((distances[own - first] <= limits) & (owners != own)), held)


def _cut(looking: Ints, held: Ints) -> Iterator[Tile]:
    for low in range(0, len(looking) if len(held) else 0, WIDTH):
        yield looking[low : low + WIDTH], held, False
