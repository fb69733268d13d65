"""The numerics on a GPU: distances, nearest neighbors and ranks of blocks of rows, as dense tensors.

Results equal those of the CPU's kernels, and they do not depend on the order in which a GPU adds. The public functions
of `neighbors`, `jaccard` and `metrics` document and check the arguments, and call this module for a GPU. Everything
here runs on any device with float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from resight.errors import ConfigError, shown
from resight.records import UNKNOWN, Floats, Ints, Mask

ENTRIES = 2**26
"""Numbers in the largest tensor of a block of rows (256 MiB of float32); a few tensors of that size live at once."""

BY_BACKEND = hasattr(torch.backends.cuda.matmul, "fp32_precision")
"""Whether each backend has its own switch for the precision of products (torch 2.9 and later) or all share one."""


def used_for(device: torch.device | str) -> bool:
    """Return whether this module does the work for a device; the CPU has kernels of its own.

    Raises:
        ConfigError: There is no such device.
    """
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError):
        raise ConfigError(f"device must be cpu or cuda, found {shown(device)}") from None
    return kind != "cpu"


def on_device(values: npt.NDArray[Any], device: torch.device | str) -> Tensor:
    """Copy an array to a device.

    Raises:
        ConfigError: There is no GPU, or torch has no such device.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch finds no GPU: use cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"device is {device}, but torch finds none: use cpu") from None
    return torch.tensor(values, device=device)


def blocks(count: int, entries: int, most: int | None = None) -> Iterator[slice]:
    """Cut ``count`` rows of ``entries`` numbers each into blocks that fit, of ``most`` rows at most."""
    step = max(1, min(most or count, ENTRIES // max(1, entries)))
    for low in range(0, count, step):
        yield slice(low, min(low + step, count))


@contextmanager
def multiplying(precision: Literal["ieee", "tf32"], device: torch.device) -> Iterator[None]:
    """Multiply float32 matrices as they are (``ieee``) or rounded to 11 bits (``tf32``), whatever the process has set.

    Args:
        precision: ``"tf32"`` only has an effect on processors that support it.
        device: Device of the matrices; autocast is off there.
    """
    if BY_BACKEND:
        switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
        previous = [switch.fp32_precision for switch in switches]
        for switch in switches:
            switch.fp32_precision = precision
    else:
        shared_setting = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if BY_BACKEND:
            for switch, setting in zip(switches, previous, strict=True):
                switch.fp32_precision = setting
        else:
            torch.set_float32_matmul_precision(shared_setting)


# -- distances ---------------------------------------------------------------------------------------------------------


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Compute `distances.squared_distances` of ``(A, D)`` and ``(B, D)`` float32, to a few roundings of the lengths."""
    with multiplying("ieee", a.device):
        distances = a @ b.T
    distances *= -2
    distances += a.square().sum(1)[:, None]
    distances += b.square().sum(1)
    return distances.clamp_(min=0)


def pair_distances(a: Tensor, rows: Tensor, b: Tensor, columns: Tensor) -> Tensor:
    """Compute ``((a[rows].double() - b[columns]) ** 2).sum(1)`` of ``P`` pairs; exactly 0 for equal rows."""
    distances = torch.empty(len(rows), dtype=torch.float64, device=a.device)
    for part in blocks(len(rows), a.shape[1]):
        difference = a[rows[part]].double() - b[columns[part]]
        distances[part] = difference.square_().sum(1)
    return distances


# -- nearest neighbors ------------------------------------------------------------------------------------------------


def k_nearest(
    vectors: Tensor, k: int, *, queries: Tensor | None = None, block: int = 2048, farthest: bool = False
) -> tuple[Floats, Ints, Floats]:
    """Find the ``k`` nearest ``(N, D)`` vectors of each of ``(Q, D)`` queries, or of the vectors themselves, exactly.

    A product of rounded vectors gives each distance within a bound. The k nearest are no farther than the k-th smallest
    of these distances plus twice the bound. All candidates within that limit are measured exactly, and the first k of
    them are the result.

    Args:
        vectors: Float32, finite.
        k: ``1..N``.
        queries: Float32, finite; without them, each vector comes first among its own neighbors.
        block: Queries to handle at once, at most.
        farthest: Whether to find the farthest vectors too, in the same way.

    Returns:
        Distances ``(Q, k)`` and ids ``(Q, k)`` as `neighbors.k_nearest` returns them, and ``(Q,)`` float32, the largest
        distance of each query; 0 without ``farthest``.
    """
    mean = vectors.mean(0, dtype=torch.float64)
    rounded = _round(vectors, mean)
    sought, rounded_queries = (vectors, rounded) if queries is None else (queries, _round(queries, mean))
    slack = 2 * _bound_errors(rounded_queries, rounded)[:, None]
    squares = rounded.lengths.square().float()
    distances, ids = np.empty((len(sought), k), np.float32), np.empty((len(sought), k), np.int64)
    largest = np.zeros(len(sought), np.float32)
    for part in blocks(len(sought), len(vectors), block):
        with multiplying("tf32", vectors.device):
            values = rounded_queries.factor[part] @ rounded.factor.T
        # Squared distances without the query's own length, which does not change the order.
        torch.sub(squares, values, alpha=2, out=values)
        if farthest:
            row, column = (values >= values.amax(1, keepdim=True) - slack[part]).nonzero(as_tuple=True)
            exact = pair_distances(sought[part], row, vectors, column).float()
            largest[part] = exact.new_zeros(len(values)).scatter_reduce(0, row, exact, "amax").cpu().numpy()
        limit = values.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True) + slack[part]
        row, column = (values <= limit).nonzero(as_tuple=True)
        exact = pair_distances(sought[part], row, vectors, column).float()
        if queries is None:
            exact[row + part.start == column] = -1  # before its duplicates
        best = first_of_each(row, exact, len(values), k)
        distances[part], ids[part] = exact[best].clamp_(min=0).cpu().numpy(), column[best].cpu().numpy()
    return distances, ids, largest


def first_of_each(row: Tensor, values: Tensor, height: int, k: int) -> Tensor:
    """Return the positions ``(height, k)`` of each row's ``k`` smallest values; ``row`` ascends, ties stay in order."""
    order = values.argsort(stable=True)
    order = order[row[order].argsort(stable=True)]
    first = torch.searchsorted(row, torch.arange(height, device=row.device))
    return order[first[:, None] + torch.arange(k, device=row.device)]


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Centered vectors, rounded to the 11 bits of TF32.

    Attributes:
        factor: ``(N, D)`` float32, the rounded vectors.
        lengths: ``(N,)`` float64, lengths of the centered vectors before rounding.
        errors: ``(N,)`` float64, lengths of the rounding errors.
    """

    factor: Tensor
    lengths: Tensor
    errors: Tensor


def _round(vectors: Tensor, mean: Tensor) -> _Rounded:
    """Round vectors so that TF32 multiplies them without a further loss.

    Centering first changes no distance and makes the rounding errors smaller.
    """
    factor = torch.empty_like(vectors)
    lengths, errors = torch.empty((2, len(vectors)), dtype=torch.float64, device=vectors.device)
    for part in blocks(*vectors.shape):
        centered = vectors[part] - mean
        bits = centered.float().view(torch.int32)
        factor[part] = ((bits + 2**12) & -(2**13)).view(torch.float32)
        lengths[part] = centered.square().sum(1).sqrt()
        errors[part] = (centered - factor[part]).square_().sum(1).sqrt()
    return _Rounded(factor, lengths, errors)


def _bound_errors(queries: _Rounded, rounded: _Rounded) -> Tensor:
    """Return ``(Q,)`` float32 bounds of the error of squared distances computed from rounded vectors."""
    longest = rounded.lengths.max()
    # a b - a' b' = a (b - b') + (a - a') b', each at most a product of lengths (Cauchy-Schwarz); a' is no longer than
    # a plus its error. Then the sum of D products in float32: a tensor core truncates digits that it should round.
    query_reach, reach = queries.lengths + queries.errors, longest + rounded.errors.max()
    terms = rounded.factor.shape[1] + 8
    product = queries.lengths * rounded.errors.max() + queries.errors * reach + terms * 2.0**-22 * query_reach * reach
    # Then the rounding errors of additions, comparisons and the result; and numbers too small for float32.
    product += 8 * 2.0**-24 * (queries.lengths.square() + longest.square()) + terms * torch.finfo(torch.float32).tiny
    return 2 * product.float()


# -- ranks -------------------------------------------------------------------------------------------------------------


def positive_ranks(
    distances: Tensor,
    query_people: Ints,
    query_cameras: Ints,
    gallery_people: Ints,
    gallery_cameras: Ints,
    *,
    same_camera: bool,
    distractor_id: int | None,
) -> tuple[Ints, Ints, Mask]:
    """Compute the ranks of `metrics.positive_ranks` by a stable sort of each row.

    Args:
        distances: ``(Q, G)``.
        query_people: ``(Q,)``.
        query_cameras: ``(Q,)``.
        gallery_people: ``(G,)``.
        gallery_cameras: ``(G,)``.
        same_camera: Whether gallery images of the query's person by the query's camera are invalid.
        distractor_id: The person id of distractors, if any.

    Returns:
        Ranks and offsets as in `metrics.positive_ranks`, and a mask ``(Q,)`` of the rows that hold nan.
    """
    people, cameras = (on_device(column[:, None], distances.device) for column in (query_people, query_cameras))
    results, result_cameras = (on_device(column, distances.device) for column in (gallery_people, gallery_cameras))
    ranks, counts, has_nan = [np.empty(0, np.int64)], [np.zeros(1, np.int64)], [np.empty(0, np.bool_)]
    for part in blocks(*distances.shape):
        rows = distances[part].float() + 0.0  # a radix sort may tell -0.0 from 0.0
        matches, valid = people[part] == results, (results != UNKNOWN).expand(rows.shape)
        if same_camera:
            valid = valid & ~(matches & (cameras[part] == result_cameras) & (result_cameras != UNKNOWN))
        positive = matches & valid
        if distractor_id is not None:
            positive &= people[part] != distractor_id
        order = rows.argsort(dim=1, stable=True)
        valid_ranks = valid.gather(1, order).cumsum(1, dtype=torch.int32) - 1
        hits = positive.gather(1, order)
        ranks.append(valid_ranks[hits].long().cpu().numpy())
        counts.append(hits.sum(1).cpu().numpy())
        has_nan.append(rows.isnan().any(1).cpu().numpy())
    return np.concatenate(ranks), np.concatenate(counts).cumsum(), np.concatenate(has_nan)
