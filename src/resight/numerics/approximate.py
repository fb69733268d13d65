"""Nearest neighbours of sets so large that the whole product would take hours.

An inverted file proposes and exact distances decide among what it proposes, so what is missed is all that can be wrong.
How much that is gets measured on a sample, and more of the file is searched until it is little enough.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from resight.errors import DataError
from resight.numerics.distances import as_vectors
from resight.numerics.kernels import measure_held
from resight.numerics.neighbours import k_nearest, search_for
from resight.progress import progress
from resight.records import Floats, Ints

BATCH = 16_384
"""Vectors that search the file at once."""

TRAINING = 64
"""Vectors for each list of the file that its lists are made from."""

CODES = 256 * TRAINING
"""Vectors that codes can be learned from, at least: each has 8 bits."""


@dataclass(frozen=True, eq=False)
class Approximate:
    """Neighbours that were found, and how many were missed.

    Attributes:
        distances: ``(N, k)`` float32 squared Euclidean distances, ascending, ties by id; a vector's own row first.
        ids: ``(N, k)`` int64 rows.
        recall: The share of the true neighbours that is among them, measured on a sample, 0..1.
        probed: The share of the lists that was searched for each vector, 0..1.
        compressed: Whether the file held codes in place of vectors.
    """

    distances: Floats
    ids: Ints
    recall: float
    probed: float
    compressed: bool


def k_nearest_approximate(
    vectors: npt.ArrayLike,
    k: int,
    *,
    recall: float = 0.95,
    sample: int = 1000,
    compressed: bool | None = None,
    seed: int = 0,
) -> Approximate:
    """Find most of the ``k`` nearest vectors of each vector.

    About ``4 sqrt(N)`` lists hold the vectors by the nearest of as many centres (k-means); a vector looks through the
    lists nearest to it. How many lists is found on a sample, whose true neighbours are searched exactly: the fewest, of
    the powers of two, that reach the recall.

    Args:
        vectors: ``(N, D)``, at least 2.
        k: How many to find, the vector itself among them, ``1..N``.
        recall: The least share of true neighbours to find, in (0, 1].
        sample: Vectors that the recall is measured on, at least 1.
        compressed: Hold product-quantised codes in place of vectors, and propose four times as many; by default where a
            copy of the vectors would take more than a third of the machine's memory, if they are enough to learn codes.
        seed: Of the centres and the sample.

    Returns:
        The neighbours and the recall that was reached.

    Raises:
        DataError: ``k``, ``recall`` or ``sample`` is out of range, or the vectors are too few or not finite.

    References:
        Jégou et al., Product quantization for nearest neighbor search, 2011 (inverted file, asymmetric distances).
    """
    rows = as_vectors(vectors)
    if len(rows) < 2:
        raise DataError(f"vectors that search themselves must be 2 or more, found {len(rows)}")
    if not 1 <= k <= len(rows):
        raise DataError(f"k must be in 1..{len(rows)}, the number of vectors, found {k}")
    if not 0 < recall <= 1 or sample < 1:
        raise DataError(f"recall must be in (0, 1] and sample 1 or more, found {recall} and {sample}")
    if compressed is None:
        compressed = 3 * rows.nbytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    compressed = compressed and len(rows) >= CODES
    index = _index(rows, compressed, seed)
    width = min(len(rows), 4 * k if compressed else k)
    asked = np.sort(np.random.default_rng(seed).permutation(len(rows))[:sample])
    reached, probes = 0.0, 0
    farthest = k_nearest(rows, k, queries=rows[asked])[0][:, -1:]
    while reached < recall and probes < index.nlist:
        probes = min(max(1, 2 * probes), index.nlist)
        index.nprobe = probes
        found, _ = _searched(index, rows, asked, (k, width))
        # By distance, not by id: of equal vectors any will do.
        reached = float((found <= farthest).mean())
    distances, ids = _searched(index, rows, np.arange(len(rows)), (k, width))
    return Approximate(distances, ids, reached, probes / index.nlist, compressed)


def _index(rows: Floats, compressed: bool, seed: int) -> faiss.IndexIVF:
    size, dim = rows.shape
    lists = max(1, min(2 ** round(math.log2(4 * math.sqrt(size))), size // TRAINING))
    centres = faiss.IndexFlatL2(dim)
    index: faiss.IndexIVF = faiss.IndexIVFFlat(centres, dim, lists)
    if compressed:
        pieces = max(p for p in range(1, min(dim, 128) + 1) if dim % p == 0)
        coded = faiss.IndexIVFPQ(centres, dim, lists, pieces, 8)
        coded.pq.cp.seed = seed
        index = coded
    index.cp.seed, index.cp.niter = seed, 10
    index.cp.max_points_per_centroid = TRAINING
    chosen = np.sort(np.random.default_rng(seed).permutation(size)[: max(TRAINING * lists, CODES)])
    index.train(np.ascontiguousarray(rows[chosen]))
    for low in progress(range(0, size, BATCH), "filing vectors"):
        index.add(rows[low : low + BATCH])
    return index


def _searched(index: faiss.IndexIVF, rows: Floats, asked: Ints, widths: tuple[int, int]) -> tuple[Floats, Ints]:
    """Search the file for some of the rows, and measure what it proposes."""
    k, width = widths
    distances, ids = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
    for low in progress(range(0, len(asked), BATCH), "neighbours"):
        part = slice(low, low + BATCH)
        own = asked[part]
        _, proposed = index.search(np.ascontiguousarray(rows[own]), width)
        other = (proposed >= 0) & (proposed != own[:, None])
        front = np.argsort(~other, axis=1, kind="stable")
        candidates = np.take_along_axis(proposed, front, 1).astype(np.int32)
        counts = other.sum(1)
        counts[counts < k - 1] = -1  # the lists that were searched held too few
        measure_held(rows, own, candidates, counts, distances[part], ids[part])
        short = np.flatnonzero(counts < 0)
        if len(short):
            distances[low + short], ids[low + short] = search_for(rows[own[short]], rows, k, own=own[short])
    return distances, ids
