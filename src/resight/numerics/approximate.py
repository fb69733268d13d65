"""Nearest neighbors of sets so large that the full product would take hours.

Vectors are sorted into lists around centers. Each vector is compared with those of its nearest lists only. Distances
are exact, so missed neighbors are the only errors. The search first measures on a sample how many lists it must compare
to reach a recall.
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
"""Rounds of k-means that find the centers, and the training vectors per center."""

WIDTH = 16_384
"""Vectors to compare with a list at once, at most."""

LISTS = 64
"""Lists whose distances to all vectors are in memory at once."""


@dataclass(frozen=True, eq=False)
class Approximate:
    """Approximate neighbors and their recall.

    Attributes:
        distances: ``(N, k)`` float32 squared Euclidean distances, ascending, ties by id; a vector's own row first.
        ids: ``(N, k)`` int64 rows.
        recall: The share of the true neighbors among them, measured on a sample, 0..1; a vector is not its own
            neighbor.
        compared: The share of all pairs that the search compares, 0..1.
    """

    distances: Floats
    ids: Ints
    recall: float
    compared: float


def k_nearest_approximate(
    vectors: npt.ArrayLike, k: int, *, recall: float = 0.95, sample: int = 2000, seed: int = 0
) -> Approximate:
    """Find most of the ``k`` nearest vectors of each vector.

    K-means finds about ``4 sqrt(N)`` centers, and each vector joins the list of its nearest center. A vector searches
    its nearest lists, the same number for each vector. An exact search for the neighbors of a sample decides how many:
    the fewest that reach the recall. Next to the vectors, memory is that of a copy in bfloat16 (none if the
    processor does not multiply in bfloat16) and of 128 candidates per vector.

    Args:
        vectors: ``(N, D)``, at least 2.
        k: Number of neighbors, the vector itself among them, ``1..N``.
        recall: The least share of true neighbors to find, the vector itself not counted, in (0, 1].
        sample: Number of vectors on which to measure the recall, at least 1.
        seed: Seed of the centers and the sample.

    Returns:
        The neighbors and their recall.

    Raises:
        DataError: ``k``, ``recall`` or ``sample`` is out of range, or the vectors are too few or not finite.

    References:
        Sivic and Zisserman, "Video Google: a text retrieval approach to object matching in videos", ICCV 2003 (inverted
            lists). Here all vectors that search a list do so at once, so that a matrix product compares them.
    """
    rows = as_vectors(vectors)
    if len(rows) < 2:
        raise DataError(f"vectors that search themselves must be 2 or more, found {len(rows)}")
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    if not 0 < recall <= 1 or sample < 1:
        raise DataError(f"recall must be in (0, 1] and sample 1 or more, found {recall} and {sample}")
    centers, owners = _build_lists(rows, seed)
    sampled = np.sort(np.random.default_rng(seed).permutation(len(rows))[:sample])
    true = search_for(rows[sampled], rows, k, own_rows=sampled)[1]
    true = true[:, 1:] if k > 1 else true  # a vector's own row comes first, and is always found
    order = np.argsort(_distances_to_centers(rows[sampled], centers), axis=1, kind="stable")
    # A search of the n nearest lists finds the true neighbors in the lists whose rank is below n.
    ranks = np.sort(np.take_along_axis(np.argsort(order, axis=1), owners[true], 1), axis=None)
    nprobe = int(ranks[math.ceil(recall * ranks.size) - 1]) + 1
    sizes = np.bincount(owners, minlength=len(centers))
    compared = float(sizes[order[:, :nprobe]].sum(1).mean()) / len(rows)
    reached = float((ranks < nprobe).mean())
    logger.info("comparing %.1f %% of the pairs finds %.1f %% of the neighbors", 100 * compared, 100 * reached)
    distances, ids = search_itself(rows, k, _tiles(rows, centers, owners, nprobe))
    return Approximate(distances, ids, reached, compared)


def _build_lists(rows: Floats, seed: int) -> tuple[Floats, Ints]:
    """Return centers ``(L, D)`` and the nearest center of each vector ``(N,)``."""
    size, dim = rows.shape
    count = max(1, min(round(4 * math.sqrt(size)), size // LEARNERS))
    learners = np.sort(np.random.default_rng(seed).permutation(size)[: LEARNERS * count])
    kmeans = faiss.Kmeans(dim, count, niter=ROUNDS, seed=seed, min_points_per_centroid=1)
    kmeans.train(rows[learners])
    starts = progress(range(0, size, WIDTH), "sorting vectors into lists")
    owners = [kmeans.index.search(rows[low : low + WIDTH], 1)[1][:, 0] for low in starts]
    return np.asarray(kmeans.centroids), np.concatenate(owners)


def _distances_to_centers(rows: Floats, centers: Floats, *, transposed: bool = False) -> Floats:
    """Compute squared distances ``(N, L)`` to centers, or ``(L, N)``, without the row's own squared length."""
    lengths = squared_lengths(centers)
    distances: Floats = centers @ rows.T if transposed else rows @ centers.T
    distances *= -2
    distances += lengths[:, None] if transposed else lengths
    return distances


def _tiles(rows: Floats, centers: Floats, owners: Ints, nprobe: int) -> Iterator[Tile]:
    """Yield each list with the vectors that search it: it is among their ``nprobe`` nearest lists."""
    limits = np.empty(len(rows), np.float32)
    for low in progress(range(0, len(rows), WIDTH), "choosing lists"):
        distances = _distances_to_centers(rows[low : low + WIDTH], centers)
        distances.partition(nprobe - 1, axis=1)
        limits[low : low + WIDTH] = distances[:, nprobe - 1]
    lists = np.split(np.argsort(owners, kind="stable"), np.cumsum(np.bincount(owners, minlength=len(centers)))[:-1])
    for members in lists:  # the nearest first: then few of the later vectors become candidates
        yield from _cut(members, members)
    for first in progress(range(0, len(centers), LISTS), "neighbors"):
        distances = _distances_to_centers(rows, centers[first : first + LISTS], transposed=True)
        for number, members in enumerate(lists[first : first + LISTS], first):
            yield from _cut(np.flatnonzero((distances[number - first] <= limits) & (owners != number)), members)


def _cut(searching: Ints, members: Ints) -> Iterator[Tile]:
    for low in range(0, len(searching) if len(members) else 0, WIDTH):
        yield searching[low : low + WIDTH], members, False
