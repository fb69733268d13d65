"""The k-reciprocal Jaccard distance, sparse from end to end, and the re-ranking that stands on it.

For each row i, ``R(i)`` are its mutual neighbors: those j among its nearest that have i among theirs.
``R(i)`` is widened by the mutual neighbors on the half lists, ``H(j)``, of each of its members j that shares
more than two thirds of ``H(j)`` with it. A row of V holds ``exp(-d) / sum`` over that set and 0 elsewhere,
and is then replaced by the mean of the V rows of its first k2 neighbors. With ``t(i, j) = sum over c of
min(V[i, c], V[j, c])`` the Jaccard distance is ``1 - t / (2 - t)``. Rows without a common neighbor are at
distance 1 and are not stored.

The two readings in use differ in the length of the lists and in d; they give almost the same clusters:

* ``ice``: the nearest k1 rows, the row itself included; d is the squared Euclidean distance (``2 - 2 cos``
  for L2-normalized vectors).
* ``abmt``: the nearest k1 + 1 rows, the row itself included; d is the squared Euclidean distance divided by
  the row's largest. The re-ranking of Zhong et al. reads it so.

Half lists hold ``round(k1 / 2) + 1`` rows, halves rounded to even (k1 = 25 gives 13, k1 = 30 gives 16).

References:
    Zhong et al., "Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017, eq. 1-12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from resight.errors import ConfigError, DataError, number_within, whole_number
from resight.numerics import gpu
from resight.numerics import gpu_jaccard as tensor_jaccard
from resight.numerics import jaccard_kernels as kernels
from resight.numerics.distances import as_vectors, block_distances, squared_lengths
from resight.numerics.kernels import Columns
from resight.numerics.neighbors import farthest_distances, k_nearest, k_nearest_and_farthest
from resight.records import Doubles, Floats, Ints

Variant = Literal["ice", "abmt"]

FILL_ENTRIES = 2**22
"""Room for this many entries (32 MiB) is handed to a kernel at once, at most, unless one row needs more."""


@dataclass(frozen=True, eq=False)
class Base:
    """A distance that stands in for the squared Euclidean one.

    Attributes:
        ids: ``(N, k)`` int64, the nearest rows of each row by this distance, the row itself first.
        farthest: ``(N,)`` float32, the largest distance of each row.
        of_pairs: Gives the distances ``(P,)`` float64 of rows ``(P,)`` to rows ``(P,)``, symmetric to the last bit.
    """

    ids: Ints
    farthest: Floats
    of_pairs: Callable[[Tensor, Tensor], Tensor]


def jaccard_graph(
    vectors: npt.ArrayLike,
    *,
    k1: int = 30,
    k2: int = 6,
    variant: Variant = "ice",
    neighbors: tuple[Floats, Ints] | None = None,
    base: Base | None = None,
    limit: float = 1.0,
    device: torch.device | str = "cpu",
) -> sparse.csr_array:
    """Give the k-reciprocal Jaccard distances below 1 between all pairs of rows.

    Time and memory grow with the number of stored pairs, a few hundred a row; nothing is ``N x N``. The
    result is symmetric to the last bit and does not depend on the number of threads. Distances below 1e-6,
    the resolution of float32 weights that sum to one, are 0.

    Args:
        vectors: ``(N, D)`` float32, meant to be L2-normalized.
        k1: Length of the neighbor lists (see the module's text), ``2 <= k1 < N``.
        k2: Rows averaged in the query expansion, ``1..k1``; 1 means none.
        variant: ``"ice"`` or ``"abmt"``, see the module's text.
        neighbors: What ``k_nearest(vectors, k)`` gave, with ``k`` at least k1 (``ice``) or k1 + 1
            (``abmt``); searched here by default.
        base: A distance to use in place of the squared Euclidean one of the vectors, lists as long as for
            ``neighbors``; d is then this distance, which `resight.numerics.spatiotemporal` offers one of.
        limit: Pairs at a larger distance, compared in float32, are not stored. Clusters of an eps need no pair
            beyond it, and of all pairs below 1 few are within.
        device: Where to work it out; the result is the same to float32 rounding.

    Returns:
        ``(N, N)`` float32, sorted columns, in [0, 1). Stored zeros are distances of 0, the diagonal among
        them; what is not stored is at distance 1, or beyond the limit.

    Raises:
        ConfigError: A setting is out of range, or ``k1`` is not below the number of vectors.
        DataError: The vectors are not finite, or the neighbors do not fit them.

    References:
        Zhong et al. 2017, eq. 3-11.
    """
    rows = as_vectors(vectors)
    check_settings(k1, k2, variant, images=len(rows))
    width = list_length(k1, variant)
    farthest: Floats | None = None
    if base is not None:
        ids, farthest = _checked_ids(base.ids, len(rows), width), base.farthest
    elif neighbors is None:
        if variant == "abmt":
            _, ids, farthest = k_nearest_and_farthest(rows, width, device=device)
        else:
            _, ids = k_nearest(rows, width, device=device)
    else:
        ids = _checked_ids(neighbors[1], len(rows), width)
    scales = np.ones(len(rows))
    if variant == "abmt":
        scales = _scales(farthest_distances(rows, device=device) if farthest is None else farthest)
    measure = None if base is None else base.of_pairs
    return _graph(rows, ids, scales, k1=k1, k2=k2, limit=limit, device=device, measure=measure)


def blend(graph: sparse.csr_array, term: npt.ArrayLike, weight: float) -> sparse.csr_array:
    """Give the graph of ``(1 - weight) * distance + weight * term``.

    Pairs that are not stored, at distance 1, are at ``1 - weight`` or more from then on and stay out: an eps must be
    below that. The diagonal gets its term like every other pair, so an image may not even count itself among its
    neighbors, as in the dense matrix.

    Args:
        graph: ``(N, N)`` as `jaccard_graph` gives it.
        term: One value, 0 or more, for each stored pair, in the order of the graph's entries.
        weight: In [0, 1).

    Returns:
        ``(N, N)`` float32, the entries of the graph with other values.

    Raises:
        ConfigError: The weight is out of range.
    """
    if not 0 <= weight < 1:
        raise ConfigError(f"the weight of a term of the distance must be in [0, 1), found {weight}")
    values = (1 - weight) * graph.data.astype(np.float64) + weight * np.asarray(term, np.float64)
    return sparse.csr_array((values.astype(np.float32), graph.indices, graph.indptr), shape=graph.shape)


def entries(graph: sparse.csr_array) -> tuple[Ints, Ints]:
    """Give the rows and the columns, int64, of a graph's stored pairs."""
    return np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)), graph.indices.astype(np.int64)


def rerank(
    query_vectors: npt.ArrayLike,
    gallery_vectors: npt.ArrayLike,
    *,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
    device: torch.device | str = "cpu",
) -> Floats:
    """Give the k-reciprocal re-ranked distances of queries to a gallery.

    Neighbors are searched in the joint set of queries and gallery, with the ``abmt`` reading. The result is
    ``(1 - weight) * Jaccard + weight * original``, where the original is the squared Euclidean distance
    divided by the query's largest in the joint set. Beyond the ``(Q, G)`` result, memory is that of blocks
    and sparse rows.

    Args:
        query_vectors: ``(Q, D)`` float32, meant to be L2-normalized.
        gallery_vectors: ``(G, D)`` float32.
        k1: Length of the neighbor lists, ``2 <= k1 < Q + G``.
        k2: Rows averaged in the query expansion, ``1..k1``; 1 means none.
        weight: Share of the original distance, λ in the paper, in [0, 1].
        device: Where to work it out; the result is the same to float32 rounding.

    Returns:
        ``(Q, G)`` float32 in [0, 1].

    Raises:
        ConfigError: A setting is out of range, or ``k1`` is not below the number of vectors.
        DataError: A shape is wrong, the dimensions differ or a value is not finite.

    References:
        Zhong et al. 2017, eq. 12.
    """
    queries, gallery = (
        as_vectors(query_vectors, "query vectors"),
        as_vectors(gallery_vectors, "gallery vectors"),
    )
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"queries and gallery must have the same dimension, found {queries.shape[1]} and {gallery.shape[1]}"
        )
    weight = number_within("weight", weight, 0, 1)
    joint = as_vectors(np.concatenate([queries, gallery]))
    check_settings(k1, k2, "abmt", images=len(joint))
    _, ids, farthest = k_nearest_and_farthest(joint, list_length(k1, "abmt"), device=device)
    scales = _scales(farthest)
    jaccard = _graph(joint, ids, scales, k1=k1, k2=k2, limit=1.0, queries=len(queries), device=device)
    final = _distances(queries, gallery, device)
    final *= (weight * scales[: len(queries), None]).astype(np.float32)
    np.clip(final, 0, weight, out=final)
    final += 1 - weight
    owners = np.repeat(np.arange(len(queries)), np.diff(jaccard.indptr))
    final[owners, jaccard.indices] -= (1 - weight) * (1 - jaccard.data)
    return np.clip(final, 0, 1, out=final)


def list_length(k1: int, variant: Variant) -> int:
    """Give how many neighbors, the row itself included, a reading lists."""
    return k1 if variant == "ice" else k1 + 1


def check_settings(k1: int, k2: int, variant: str, *, images: int | None = None) -> None:
    """Check the settings of the Jaccard distance, against the number of images where it is known.

    Raises:
        ConfigError: A setting is out of range, or ``k1`` is not below the number of images.
    """
    whole_number("k1", k1, least=2)
    if whole_number("k2", k2, least=1) > k1:
        raise ConfigError(f"k2 must be in 1..k1 = 1..{k1}, found {k2}")
    if variant not in get_args(Variant):
        raise ConfigError(f"variant must be one of {', '.join(get_args(Variant))}, found '{variant}'")
    if images is not None and images < 2:
        raise DataError(f"neighbor lists need at least 2 images, found {images}")
    if images is not None and k1 >= images:
        raise ConfigError(f"k1 = {k1} must be below the number of images, {images}: lower k1 or add images")


def _checked_ids(ids: Ints, rows: int, width: int) -> Ints:
    if ids.ndim != 2 or len(ids) != rows or ids.shape[1] < width:
        raise DataError(f"neighbors must have shape ({rows}, {width}) or wider, found {ids.shape}")
    if not (ids[:, 0] == np.arange(rows)).all():
        raise DataError("each row's first neighbor must be the row itself, as k_nearest gives it")
    if ids.min() < 0 or ids.max() >= rows:
        raise DataError(f"neighbors must be rows in 0..{rows - 1}")
    return ids[:, :width]


def _scales(farthest: Floats) -> Doubles:
    # Where all vectors are equal the largest distance is 0, and so is what it would divide.
    scales: Doubles = 1.0 / np.where(farthest > 0, farthest, 1).astype(np.float64)
    return scales


def _distances(queries: Floats, gallery: Floats, device: torch.device | str) -> Floats:
    """Give the squared distances ``(Q, G)``, near 0 perhaps below it."""
    if not gpu.used_for(device):
        return block_distances(queries, gallery, squared_lengths(gallery))
    distances = np.empty((len(queries), len(gallery)), np.float32)
    held = gpu.on_device(gallery, device)
    for part in gpu.blocks(*distances.shape):
        asked = gpu.on_device(queries[part], device)
        distances[part] = gpu.squared_distances(asked, held).cpu().numpy()
    return distances


def _graph(
    rows: Floats,
    ids: Ints,
    scales: Doubles,
    *,
    k1: int,
    k2: int,
    limit: float,
    device: torch.device | str,
    queries: int | None = None,
    measure: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> sparse.csr_array:
    """Give the stored distances between all rows, or between the queries, which come first, and the others."""
    half = min(int(np.around(k1 / 2)) + 1, ids.shape[1])
    there = gpu.used_for(device)
    weights: Any
    if there:
        held, lists, factors = (gpu.on_device(column, device) for column in (rows, ids.astype(np.int64), scales))
        weights = tensor_jaccard.weights(held, lists, factors, half=half, k2=k2, measure=measure)
    else:
        weights = _weights(rows, ids.astype(np.int32), scales, half=half, k2=k2, measure=measure)
    left, right = (weights, weights) if queries is None else (weights[:queries], weights[queries:])
    if there:
        return _matrix(tensor_jaccard.jaccard(left, right, len(rows), limit), len(right))
    return _jaccard(left, right, limit)


def _weights(
    rows: Floats,
    lists: Columns,
    scales: Doubles,
    *,
    half: int,
    k2: int,
    measure: Callable[[Tensor, Tensor], Tensor] | None,
) -> sparse.csr_array:
    """Give V after the query expansion, ``(N, N)`` sparse, rows that sum to one."""
    full, full_counts = kernels.mutual(lists, lists.shape[1])
    short, short_counts = kernels.mutual(lists, half)

    reach = np.where(np.arange(full.shape[1]) < full_counts[:, None], short_counts[full], 0)
    fill = partial(kernels.neighbor_weights, full, full_counts, short, short_counts, rows, scales)
    weights = _matrix(_filled(full_counts + reach.sum(axis=1), len(rows), fill), len(rows))
    if measure is not None:  # the same entries, weighed by another distance
        owners, columns = entries(weights)
        raw = np.exp(-measure(torch.from_numpy(owners), torch.from_numpy(columns)).numpy() * scales[owners])
        weights.data = (raw / np.bincount(owners, raw)[owners]).astype(np.float32)
    if k2 == 1:
        return weights
    room = np.diff(weights.indptr)[lists[:, :k2]].sum(axis=1)
    fill = partial(kernels.mean_rows, weights.indptr, weights.indices, weights.data, lists, k2)
    return _matrix(_filled(room, len(rows), fill), len(rows))


def _jaccard(left: sparse.csr_array, right: sparse.csr_array, limit: float) -> sparse.csr_array:
    """Give the Jaccard distances below 1 and within a limit between the rows of two weight matrices."""
    columns = right.tocsc()
    held = (columns.indptr, columns.indices, columns.data, right.shape[0])
    fill = partial(kernels.jaccard_rows, left.indptr, left.indices, left.data, *held, float(np.float32(limit)))
    per_column = np.diff(columns.indptr).astype(np.int64)
    reached = np.concatenate([[0], np.cumsum(per_column[left.indices])])
    room = reached[left.indptr[1:]] - reached[left.indptr[:-1]]
    return _matrix(_filled(room, right.shape[0], fill), right.shape[0])


Part = tuple[npt.NDArray[Any], ...]
"""How many entries each of successive rows has (int64), and the columns (int32) and values (float32) of all of them."""


def _filled(room: Ints, width: int, fill: Callable[..., None]) -> Iterator[Part]:
    """Give what a kernel fills rows of unknown length with, ``room`` or ``width`` at most."""
    ends = np.concatenate([[0], np.cumsum(np.minimum(room, width), dtype=np.int64)])
    longest = int(np.diff(ends).max())
    columns = np.empty(min(ends[-1], max(FILL_ENTRIES, longest)), np.int32)
    values = np.empty(len(columns), np.float32)
    low = 0
    while low < len(room):
        high = max(low + 1, int(np.searchsorted(ends, ends[low] + FILL_ENTRIES, side="right")) - 1)
        starts, counts = ends[low:high] - ends[low], np.empty(high - low, np.int64)
        fill(low, starts, columns, values, counts)
        yield counts, *kernels.pack_rows(starts, counts, columns, values)
        low = high


def _matrix(parts: Iterable[Part], width: int) -> sparse.csr_array:
    """Build a sparse matrix from its rows, part by part."""
    counts, columns, values = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    wholes: tuple[npt.NDArray[Any], ...] = (counts, columns, values)
    for part in parts:
        for whole, more in zip(wholes, part, strict=True):
            # Large arrays grow where they are: joining parts in the end would hold everything twice.
            whole.resize(len(whole) + len(more), refcheck=False)
            whole[len(whole) - len(more) :] = more
    pointers = np.concatenate([[0], np.cumsum(counts)])
    if pointers[-1] < 2**31:
        pointers = pointers.astype(np.int32)  # scipy widens the columns to the type of the pointers
    matrix = sparse.csr_array((values, columns, pointers), shape=(len(counts), width))
    matrix.has_canonical_format = True
    return matrix
