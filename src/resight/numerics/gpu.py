"""The numerics on a GPU: distances, nearest neighbors and ranks of blocks of rows, as dense tensors.

What is found is what the CPU's kernels find, and it does not depend on the order in which a GPU happens to add. The
public functions of `neighbors`, `jaccard` and `metrics` say what goes in and what comes out; they check what they are
given and come here where that is for a GPU. Everything here runs on any device that has float64.
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
"""Numbers in the largest tensor of a block of rows (256 MiB of float32); a few of that size live at once."""

BY_BACKEND = hasattr(torch.backends.cuda.matmul, "fp32_precision")
"""Whether each backend has a switch for the precision of products, as in torch from 2.9 on; before, they share one."""


def used_for(device: torch.device | str) -> bool:
    """Say whether the work for a device is done here: the CPU has kernels of its own.

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
        ConfigError: It is a GPU, and there is none, or torch has no such device.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but torch finds no GPU: use cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"device is {device}, but torch finds none: use cpu") from None
    return torch.tensor(values, device=device)


def blocks(count: int, entries: int, most: int | None = None) -> Iterator[slice]:
    """Cut ``count`` rows, of so many entries each, into blocks that fit, of ``most`` rows at most."""
    step = max(1, min(most or count, ENTRIES // max(1, entries)))
    for low in range(0, count, step):
        yield slice(low, min(low + step, count))


@contextmanager
def multiplying(precision: Literal["ieee", "tf32"], device: torch.device) -> Iterator[None]:
    """Multiply float32 matrices as they are (``ieee``) or rounded to 11 bits, whatever the process has set.

    Args:
        precision: ``"tf32"`` is for processors that multiply so; on others it is ``"ieee"``.
        device: Where; autocast is off there.
    """
    if BY_BACKEND:
        switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
        before = [switch.fp32_precision for switch in switches]
        for switch in switches:
            switch.fp32_precision = precision
    else:
        whole = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if BY_BACKEND:
            for switch, setting in zip(switches, before, strict=True):
                switch.fp32_precision = setting
        else:
            torch.set_float32_matmul_precision(whole)


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
    """Measure ``P`` pairs: equal ``((a[rows].double() - b[columns]) ** 2).sum(1)``, exactly 0 for equal rows."""
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

    A product of rounded vectors gives each distance to within a bound. The k nearest are not farther than the k-th
    smallest of these and twice the bound; whatever is no farther is measured, and the k first of it are the result.

    Args:
        vectors: Float32, finite.
        k: ``1..N``.
        queries: Likewise; without them each vector comes first among its own neighbors.
        block: Queries to handle at once, at most.
        farthest: Whether to find the farthest vectors too, in the same way.

    Returns:
        Distances ``(Q, k)`` and ids ``(Q, k)`` as `neighbors.k_nearest` gives them, and ``(Q,)`` float32, the largest
        distance of each query; 0 where it is not asked for.
    """
    mean = vectors.mean(0, dtype=torch.float64)
    held = _rounded(vectors, mean)
    asked, sought = (vectors, held) if queries is None else (queries, _rounded(queries, mean))
    slack = 2 * _bound(sought, held)[:, None]
    squares = held.lengths.square().float()
    distances, ids = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
    most = np.zeros(len(asked), np.float32)
    for part in blocks(len(asked), len(vectors), block):
        with multiplying("tf32", vectors.device):
            values = sought.factor[part] @ held.factor.T
        torch.sub(squares, values, alpha=2, out=values)  # but for the query's own length, which orders nothing
        if farthest:
            row, column = (values >= values.amax(1, keepdim=True) - slack[part]).nonzero(as_tuple=True)
            measured = pair_distances(asked[part], row, vectors, column).float()
            most[part] = measured.new_zeros(len(values)).scatter_reduce(0, row, measured, "amax").cpu().numpy()
        limit = values.topk(k, largest=False, sorted=False).values.amax(1, keepdim=True) + slack[part]
        row, column = (values <= limit).nonzero(as_tuple=True)
        measured = pair_distances(asked[part], row, vectors, column).float()
        if queries is None:
            measured[row + part.start == column] = -1  # before its duplicates
        best = first_of_each(row, measured, len(values), k)
        distances[part], ids[part] = measured[best].clamp_(min=0).cpu().numpy(), column[best].cpu().numpy()
    return distances, ids, most


def first_of_each(row: Tensor, values: Tensor, height: int, k: int) -> Tensor:
    """Give the places ``(height, k)`` of the ``k`` smallest values of each row; rows ascend, ties keep their order."""
    order = values.argsort(stable=True)
    order = order[row[order].argsort(stable=True)]
    first = torch.searchsorted(row, torch.arange(height, device=row.device))
    return order[first[:, None] + torch.arange(k, device=row.device)]


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Vectors about a mean, ``(N, D)`` float32 of 11 bits, their lengths before that, and those of what was lost."""

    factor: Tensor
    lengths: Tensor
    lost: Tensor


def _rounded(vectors: Tensor, mean: Tensor) -> _Rounded:
    """Round vectors so that TF32 multiplies them without a further loss.

    They are centered first, which changes no distance and makes the roundings smaller.
    """
    factor = torch.empty_like(vectors)
    lengths, lost = torch.empty((2, len(vectors)), dtype=torch.float64, device=vectors.device)
    for part in blocks(*vectors.shape):
        centered = vectors[part] - mean
        bits = centered.float().view(torch.int32)
        factor[part] = ((bits + 2**12) & -(2**13)).view(torch.float32)
        lengths[part] = centered.square().sum(1).sqrt()
        lost[part] = (centered - factor[part]).square_().sum(1).sqrt()
    return _Rounded(factor, lengths, lost)


def _bound(asked: _Rounded, held: _Rounded) -> Tensor:
    """Bound, ``(Q,)`` float32, how far off a squared distance of a query is that is made of rounded vectors."""
    longest = held.lengths.max()
    # a b - a' b' = a (b - b') + (a - a') b', each at most a product of lengths (Cauchy-Schwarz); a' is no longer than
    # a and what it lost. Then the sum of D products in float32, of which a tensor core cuts off digits it should round.
    whole, largest = asked.lengths + asked.lost, longest + held.lost.max()
    terms = held.factor.shape[1] + 8
    product = asked.lengths * held.lost.max() + asked.lost * largest + terms * 2.0**-22 * whole * largest
    # Then the roundings of what is added to it, compared with it and found; and what is too small for float32.
    product += 8 * 2.0**-24 * (asked.lengths.square() + longest.square()) + terms * torch.finfo(torch.float32).tiny
    return 2 * product.float()


# -- ranks -------------------------------------------------------------------------------------------------------------


def positive_ranks(
    distances: Tensor,
    query_people: Ints,
    query_cameras: Ints,
    gallery_people: Ints,
    gallery_cameras: Ints,
    *,
    same: bool,
    distractor_id: int | None,
) -> tuple[Ints, Ints, Mask]:
    """Rank the positives of `metrics.positive_ranks` by a stable sort of each row.

    Args:
        distances: ``(Q, G)``.
        query_people: ``(Q,)``.
        query_cameras: ``(Q,)``.
        gallery_people: ``(G,)``.
        gallery_cameras: ``(G,)``.
        same: Whether images of the query's person by its own camera are not valid.
        distractor_id: The person id that is nobody's, if any.

    Returns:
        Ranks and offsets as there, and which rows ``(Q,)`` hold nan.
    """
    people, cameras = (on_device(column[:, None], distances.device) for column in (query_people, query_cameras))
    held, held_cameras = (on_device(column, distances.device) for column in (gallery_people, gallery_cameras))
    ranks, counts, broken = [np.empty(0, np.int64)], [np.zeros(1, np.int64)], [np.empty(0, np.bool_)]
    for part in blocks(*distances.shape):
        rows = distances[part].float() + 0.0  # a radix sort may tell -0.0 from 0.0
        matches, valid = people[part] == held, (held != UNKNOWN).expand(rows.shape)
        if same:
            valid = valid & ~(matches & (cameras[part] == held_cameras) & (held_cameras != UNKNOWN))
        positive = matches & valid
        if distractor_id is not None:
            positive &= people[part] != distractor_id
        order = rows.argsort(dim=1, stable=True)
        places = valid.gather(1, order).cumsum(1, dtype=torch.int32) - 1
        hits = positive.gather(1, order)
        ranks.append(places[hits].long().cpu().numpy())
        counts.append(hits.sum(1).cpu().numpy())
        broken.append(rows.isnan().any(1).cpu().numpy())
    return np.concatenate(ranks), np.concatenate(counts).cumsum(), np.concatenate(broken)
