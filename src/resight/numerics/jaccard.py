"""The k-reciprocal Jaccard distance, sparse from end to end, and k-reciprocal re-ranking.

For each row i, ``R(i)`` are its mutual neighbors: those j among its nearest that have i among theirs. ``H(j)`` are the
mutual neighbors on the half lists. ``R(i)`` grows by ``H(j)`` for each of its members j that shares more than two
thirds of ``H(j)`` with it. A row of V holds ``exp(-d) / sum`` over that set and 0 elsewhere. The mean of the V rows of
its first k2 neighbors then replaces the row. With ``t(i, j) = sum over c of min(V[i, c], V[j, c])`` the Jaccard
distance is ``1 - t / (2 - t)``. Rows without a common neighbor are at distance 1 and are not stored.

Two variants are in use. They differ in the length of the lists and in d, and lead to almost the same clusters:

* ``ice``: the nearest k1 rows, the row itself included; d is the squared Euclidean distance (``2 - 2 cos``
  for L2-normalized vectors).
* ``abmt``: the nearest k1 + 1 rows, the row itself included; d is the squared Euclidean distance divided by
  the row's largest, as in the re-ranking of Zhong et al.

Half lists hold ``round(k1 / 2) + 1`` rows, halves rounded to even (13 for k1 = 25, 16 for k1 = 30).

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
"""A kernel gets room for at most this many entries (32 MiB) at once, unless one row needs more."""


@dataclass(frozen=True, eq=False)
class Base:
    """A distance that replaces the squared Euclidean one.

    Attributes:
        ids: ``(N, k)`` int64, the nearest rows of each row by this distance, the row itself first.
        farthest: ``(N,)`` float32, the largest distance of each row.
        of_pairs: Returns the distances ``(P,)`` float64 of rows ``(P,)`` to rows ``(P,)``, symmetric to the last bit.
        least: No two rows are nearer than this.
    """

    ids: Ints
    farthest: Floats
    of_pairs: Callable[[Tensor, Tensor], Tensor]
    least: float = 0.0


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
    """Compute the k-reciprocal Jaccard distances below 1 between all pairs of rows.

    Time and memory grow with the number of stored pairs, a few hundred a row; nothing is ``N x N``. The
    result is symmetric to the last bit and does not depend on the number of threads. Distances below 1e-6,
    the resolution of float32 weights that sum to one, are 0.

    Args:
        vectors: ``(N, D)`` float32, meant to be L2-normalized.
        k1: Length of the neighbor lists (see the module's docstring), ``2 <= k1 < N``.
        k2: Rows averaged in the query expansion, ``1..k1``; 1 means none.
        variant: ``"ice"`` or ``"abmt"``, see the module's docstring.
        neighbors: The result of ``k_nearest(vectors, k)``, with ``k`` at least k1 (``ice``) or k1 + 1
            (``abmt``); searched here by default.
        base: A distance that replaces the squared Euclidean one as d, with lists as long as for ``neighbors``;
            `resight.numerics.spatiotemporal` has one.
        limit: Pairs at a larger distance, compared in float32, are not stored. Clusters of an eps need no pair
            beyond it, and only few of the pairs below 1 are within it.
        device: Where to compute; the result is the same to float32 rounding.

    Returns:
        ``(N, N)`` float32, sorted columns, in [0, 1). Stored zeros are distances of 0, the diagonal among
        them. Pairs that are not stored are at distance 1, or beyond the limit.

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
        ids, farthest = _check_ids(base.ids, len(rows), width), base.farthest
    elif neighbors is None:
        if variant == "abmt":
            _, ids, farthest = k_nearest_and_farthest(rows, width, device=device)
        else:
            _, ids = k_nearest(rows, width, device=device)
    else:
        ids = _check_ids(neighbors[1], len(rows), width)
    scales = np.ones(len(rows))
    if variant == "abmt":
        scales = _invert(farthest_distances(rows, device=device) if farthest is None else farthest)
    distance_fn = None if base is None else base.of_pairs
    return _graph(rows, ids, scales, k1=k1, k2=k2, limit=limit, device=device, distance_fn=distance_fn)


def blend(graph: sparse.csr_array, term: npt.ArrayLike, weight: float) -> sparse.csr_array:
    """Return the graph of ``(1 - weight) * distance + weight * term``.

    Pairs that are not stored move from distance 1 to ``1 - weight`` or more. They stay unstored, so an eps must be
    below ``1 - weight``. The diagonal gets its term like every other pair. So an image may not even count itself among
    its neighbors, as in the dense matrix.

    Args:
        graph: ``(N, N)``, as `jaccard_graph` returns it.
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
    """Return the rows and the columns, int64, of a graph's stored pairs."""
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
    """Compute the k-reciprocal re-ranked distances of queries to a gallery.

    The neighbor search runs on the joint set of queries and gallery, in the variant ``abmt``. The result is
    ``(1 - weight) * Jaccard + weight * original``. The original is the squared Euclidean distance divided by the
    query's largest in the joint set. Beyond the ``(Q, G)`` result, memory is that of blocks and sparse rows.

    Args:
        query_vectors: ``(Q, D)`` float32, meant to be L2-normalized.
        gallery_vectors: ``(G, D)`` float32.
        k1: Length of the neighbor lists, ``2 <= k1 < Q + G``.
        k2: Rows averaged in the query expansion, ``1..k1``; 1 means none.
        weight: Weight of the original distance, λ in the paper, in [0, 1].
        device: Where to compute; the result is the same to float32 rounding.

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
    scales = _invert(farthest)
    jaccard = _graph(joint, ids, scales, k1=k1, k2=k2, limit=1.0, num_queries=len(queries), device=device)
    final = _distances(queries, gallery, device)
    final *= (weight * scales[: len(queries), None]).astype(np.float32)
    np.clip(final, 0, weight, out=final)
    final += 1 - weight
    owners = np.repeat(np.arange(len(queries)), np.diff(jaccard.indptr))
    final[owners, jaccard.indices] -= (1 - weight) * (1 - jaccard.data)
    return np.clip(final, 0, 1, out=final)


def list_length(k1: int, variant: Variant) -> int:
    """Return the length of a variant's neighbor lists, the row itself included."""
    return k1 if variant == "ice" else k1 + 1


def check_settings(k1: int, k2: int, variant: str, *, images: int | None = None) -> None:
    """Check the settings of the Jaccard distance, and compare them with the number of images if it is given.

    Raises:
        ConfigError: A setting is out of range, or ``k1`` is not below the number of images.
        DataError: There are fewer than 2 images.
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


def _check_ids(ids: Ints, num_rows: int, width: int) -> Ints:
    """Return the first ``width`` columns of neighbor lists.

    Raises:
        DataError: The lists do not fit the vectors.
    """
    if ids.ndim != 2 or len(ids) != num_rows or ids.shape[1] < width:
        raise DataError(f"neighbors must have shape ({num_rows}, {width}) or wider, found {ids.shape}")
    if not (ids[:, 0] == np.arange(num_rows)).all():
        raise DataError("each row's first neighbor must be the row itself, as k_nearest returns it")
    if ids.min() < 0 or ids.max() >= num_rows:
        raise DataError(f"neighbors must be rows in 0..{num_rows - 1}")
    return ids[:, :width]


def _invert(farthest: Floats) -> Doubles:
    # If all vectors are equal, the largest distance is 0, and so are the distances that it would divide.
    scales: Doubles = 1.0 / np.where(farthest > 0, farthest, 1).astype(np.float64)
    return scales


def _distances(queries: Floats, gallery: Floats, device: torch.device | str) -> Floats:
    """Compute the squared distances ``(Q, G)``; rounding may make those near 0 negative."""
    if not gpu.used_for(device):
        return block_distances(queries, gallery, squared_lengths(gallery))
    distances = np.empty((len(queries), len(gallery)), np.float32)
    gallery_tensor = gpu.on_device(gallery, device)
    for part in gpu.blocks(*distances.shape):
        query_tensor = gpu.on_device(queries[part], device)
        distances[part] = gpu.squared_distances(query_tensor, gallery_tensor).cpu().numpy()
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
    num_queries: int | None = None,
    distance_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> sparse.csr_array:
    """Compute the graph between all rows, or between the queries, which come first, and the other rows."""
    half = min(int(np.around(k1 / 2)) + 1, ids.shape[1])
    on_gpu = gpu.used_for(device)
    weights: Any
    if on_gpu:
        tensors = (gpu.on_device(column, device) for column in (rows, ids.astype(np.int64), scales))
        weights = tensor_jaccard.weights(*tensors, half=half, k2=k2, distance_fn=distance_fn)
    else:
        weights = _weights(rows, ids.astype(np.int32), scales, half=half, k2=k2, distance_fn=distance_fn)
    left, right = (weights, weights) if num_queries is None else (weights[:num_queries], weights[num_queries:])
    if on_gpu:
        return _build_matrix(tensor_jaccard.jaccard(left, right, len(rows), limit), len(right))
    return _jaccard(left, right, limit)


def _weights(
    rows: Floats,
    lists: Columns,
    scales: Doubles,
    *,
    half: int,
    k2: int,
    distance_fn: Callable[[Tensor, Tensor], Tensor] | None,
) -> sparse.csr_array:
    """Compute V after the query expansion: ``(N, N)`` sparse, each row sums to one."""
    full, full_counts = kernels.mutual(lists, lists.shape[1])
    short, short_counts = kernels.mutual(lists, half)

    reach = np.where(np.arange(full.shape[1]) < full_counts[:, None], short_counts[full], 0)
    fill = partial(kernels.neighbor_weights, full, full_counts, short, short_counts, rows, scales)
    weights = _build_matrix(_fill_rows(full_counts + reach.sum(axis=1), len(rows), fill), len(rows))
    if distance_fn is not None:  # the same entries, weighted by another distance
        owners, columns = entries(weights)
        raw = np.exp(-distance_fn(torch.from_numpy(owners), torch.from_numpy(columns)).numpy() * scales[owners])
        weights.data = (raw / np.bincount(owners, raw)[owners]).astype(np.float32)
    if k2 == 1:
        return weights
    room = np.diff(weights.indptr)[lists[:, :k2]].sum(axis=1)
    fill = partial(kernels.mean_rows, weights.indptr, weights.indices, weights.data, lists, k2)
    return _build_matrix(_fill_rows(room, len(rows), fill), len(rows))


def _jaccard(left: sparse.csr_array, right: sparse.csr_array, limit: float) -> sparse.csr_array:
    """Compute the Jaccard distances below 1 and within a limit between the rows of two weight matrices."""
    by_column = right.tocsc()
    right_columns = (by_column.indptr, by_column.indices, by_column.data, right.shape[0])
    fill = partial(kernels.jaccard_rows, left.indptr, left.indices, left.data, *right_columns, float(np.float32(limit)))
    per_column = np.diff(by_column.indptr).astype(np.int64)
    reach = np.concatenate([[0], np.cumsum(per_column[left.indices])])
    room = reach[left.indptr[1:]] - reach[left.indptr[:-1]]
    return _build_matrix(_fill_rows(room, right.shape[0], fill), right.shape[0])


Part = tuple[npt.NDArray[Any], ...]
"""The number of entries of each of successive rows (int64), and the columns (int32) and values (float32) of all."""


def _fill_rows(room: Ints, width: int, fill: Callable[..., None]) -> Iterator[Part]:
    """Let a kernel fill rows of unknown length, each at most ``room`` and ``width`` long, and yield them in parts."""
    ends = np.concatenate([[0], np.cumsum(np.minimum(room, width), dtype=np.int64)])
    longest = int(np.diff(ends).max(initial=0))
    columns = np.empty(min(ends[-1], max(FILL_ENTRIES, longest)), np.int32)
    values = np.empty(len(columns), np.float32)
    low = 0
    while low < len(room):
        high = max(low + 1, int(np.searchsorted(ends, ends[low] + FILL_ENTRIES, side="right")) - 1)
        starts, counts = ends[low:high] - ends[low], np.empty(high - low, np.int64)
        fill(low, starts, columns, values, counts)
        yield counts, *kernels.pack_rows(starts, counts, columns, values)
        low = high


def _build_matrix(parts: Iterable[Part], width: int) -> sparse.csr_array:
    """Build a sparse matrix from its rows, part by part."""
    counts, columns, values = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32)
    arrays: tuple[npt.NDArray[Any], ...] = (counts, columns, values)
    for part in parts:
        for array, more in zip(arrays, part, strict=True):
            # Arrays grow in place: joining all parts in the end would need twice the memory.
            array.resize(len(array) + len(more), refcheck=False)
            array[len(array) - len(more) :] = more
    pointers = np.concatenate([[0], np.cumsum(counts)])
    if pointers[-1] < 2**31:
        pointers = pointers.astype(np.int32)  # scipy widens the columns to the type of the pointers
    matrix = sparse.csr_array((values, columns, pointers), shape=(len(counts), width))
    matrix.has_canonical_format = True
    return matrix
