"""The Jaccard graph of `jaccard` on a GPU, from neighbors to sparse rows.

A block of rows is dense while it is computed, which sorts its columns and joins equal ones; then only its entries
remain. When many threads add to one number, they add integers: the sum of integers does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resight.numerics.gpu import blocks, pair_distances
from resight.numerics.jaccard_kernels import RESOLUTION
from resight.numerics.kernels import Columns
from resight.records import Floats, Ints

PAIRS = 2**23
"""Pairs of weights to compare at once."""

UNIT = 2.0**60
"""Integers stand for sums of weights, which are at most 1: this integer stands for 1."""


@dataclass(frozen=True, eq=False)
class Sparse:
    """Rows of a sparse matrix.

    Attributes:
        pointers: ``(R + 1,)`` int64; row r has the entries from ``pointers[r]`` to ``pointers[r + 1]``.
        columns: ``(E,)`` int64, ascending in a row.
        values: ``(E,)`` float32.
    """

    pointers: Tensor
    columns: Tensor
    values: Tensor

    def __len__(self) -> int:
        return len(self.pointers) - 1

    def __getitem__(self, rows: slice) -> Sparse:
        """Return consecutive rows."""
        low, high, _ = rows.indices(len(self))
        first, last = self.pointers[[low, high]].tolist()
        return Sparse(self.pointers[low : high + 1] - first, self.columns[first:last], self.values[first:last])

    def entries(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the entries of rows: for each entry the index of its row in ``rows``, and the entry's index."""
        starts, counts = self.pointers[rows], self.pointers[rows + 1] - self.pointers[rows]
        owners = torch.repeat_interleave(counts)
        skipped = counts.cumsum(0) - counts
        return owners, torch.arange(len(owners), device=rows.device) + (starts - skipped)[owners]

    def transpose(self, width: int) -> Sparse:
        """Return the transpose of the matrix, which has ``width`` columns."""
        columns, order = self.columns.sort(stable=True)
        owners = torch.repeat_interleave(self.pointers.diff())
        starts = torch.searchsorted(columns, torch.arange(width + 1, device=columns.device))
        return Sparse(starts, owners[order], self.values[order])


def weights(
    rows: Tensor,
    ids: Tensor,
    scales: Tensor,
    *,
    half: int,
    k2: int,
    distance_fn: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Sparse:
    """Compute V after the query expansion, see `jaccard`.

    Args:
        rows: ``(N, D)`` float32.
        ids: ``(N, W)`` int64 neighbors, each row's first the row itself.
        scales: ``(N,)`` float64; d is the squared distance times the scale of the row.
        half: Length of the half lists, ``1..W``.
        k2: Rows averaged in the query expansion, ``1..W``.
        distance_fn: Returns the distances between ``(P,)`` rows and ``(P,)`` rows, instead of squared distances.

    Returns:
        ``N`` rows that sum to one.
    """
    full, short = mutual(ids), mutual(ids[:, :half])
    expansions = []
    for part in blocks(len(ids), max(len(ids), ids.shape[1] * half)):
        row, column = _expand(ids, full, short, part).nonzero(as_tuple=True)
        owners = row + part.start
        distances = distance_fn(owners, column) if distance_fn else pair_distances(rows, owners, rows, column)
        raw = torch.exp(-distances * scales[part][row])
        total = raw.new_zeros(part.stop - part.start, len(ids))
        total[row, column] = raw
        normalized = (raw / total.sum(1)[row]).float()
        expansions.append(_select(normalized > 0, row, column, normalized, len(total)))  # a weight may underflow
    expanded = _join(expansions)
    return expanded if k2 == 1 else _average(expanded, ids[:, :k2])


def mutual(ids: Tensor) -> Tensor:
    """Return which of ``(N, W)`` neighbors are mutual: entry ``(i, a)`` equals ``i in ids[ids[i, a]]``."""
    is_mutual = torch.empty(ids.shape, dtype=torch.bool, device=ids.device)
    for part in blocks(len(ids), ids.shape[1] ** 2):
        own = torch.arange(part.start, part.stop, device=ids.device)
        is_mutual[part] = (ids[ids[part]] == own[:, None, None]).any(2)
    return is_mutual


def _expand(ids: Tensor, full: Tensor, short: Tensor, part: slice) -> Tensor:
    """Mark the columns of some rows of V, ``(B, N)``: the members of R(i), and what H(j) of each member adds."""
    near, half_lists, in_half = ids[part], ids[ids[part], : short.shape[1]], short[ids[part]]
    rows = torch.arange(len(near), device=ids.device)[:, None]
    marks = torch.zeros(len(near), len(ids), dtype=torch.bool, device=ids.device)
    marks[rows, near] = full[part]
    common = marks[rows[:, :, None], half_lists] & in_half
    joins = full[part] & (3 * common.sum(2) > 2 * in_half.sum(2))
    added = joins[:, :, None] & in_half
    marks[added.nonzero()[:, 0], half_lists[added]] = True
    return marks


def _average(matrix: Sparse, near: Tensor) -> Sparse:
    """Average the rows ``near``, ``(N, K)``, of a matrix: row i equals ``V[near[i]].mean(0)``."""
    averages = []
    for part in blocks(len(near), len(near)):
        total = torch.zeros(part.stop - part.start, len(near), dtype=torch.float64, device=near.device)
        for rows in near[part].T:  # one neighbor of each row at a time, so no two threads add to the same number
            owner, entry = matrix.entries(rows)
            total[owner, matrix.columns[entry]] += matrix.values[entry]
        row, column = total.nonzero(as_tuple=True)
        means = (total[row, column] / near.shape[1]).float()
        averages.append(_select(means > 0, row, column, means, len(total)))
    return _join(averages)


def jaccard(left: Sparse, right: Sparse, width: int, limit: float = 1.0) -> Iterator[tuple[Ints, Columns, Floats]]:
    """Compute the Jaccard distances below 1 and within a limit between the rows of two matrices of ``width`` columns.

    Entry ``(i, j)`` equals that of `jaccard_kernels.jaccard_rows`. It comes from a sum of integers, so ``(i, j)`` and
    ``(j, i)`` are the same number.

    Yields:
        For each block of rows of ``left``: each row's number of entries, and the columns and values of all entries.
    """
    by_column = right.transpose(width)
    for part in blocks(len(left), len(right)):
        rows = left[part]
        total = torch.zeros(len(rows) * len(right), dtype=torch.int64, device=rows.columns.device)
        starts = torch.repeat_interleave(rows.pointers.diff()) * len(right)
        for piece in _pieces(by_column.pointers.diff()[rows.columns], PAIRS):
            owner, entry = by_column.entries(rows.columns[piece])
            smaller = torch.minimum(rows.values[piece][owner], by_column.values[entry])
            total.scatter_add_(0, starts[piece][owner] + by_column.columns[entry], (smaller.double() * UNIT).long())
        total = total.view(len(rows), len(right))
        row, column = total.nonzero(as_tuple=True)
        overlap = total[row, column].double() / UNIT
        distances = (1 - overlap / (2 - overlap)).float()
        distances[distances < RESOLUTION] = 0
        within = (distances < 1) & (distances <= torch.tensor(limit, device=distances.device))
        counts, columns, values = _select(within, row, column, distances, len(rows))
        yield counts.cpu().numpy(), columns.int().cpu().numpy(), values.cpu().numpy()


def _pieces(sizes: Tensor, most: int) -> Iterator[slice]:
    """Cut a list into runs whose sizes add up to at most ``most``, unless a single size is larger."""
    ends = sizes.cumsum(0).cpu()
    low = start = 0
    while low < len(ends):
        high = max(low + 1, int(torch.searchsorted(ends, start + most, right=True)))
        yield slice(low, high)
        low, start = high, int(ends[high - 1])


Part = tuple[Tensor, Tensor, Tensor]
"""The number of entries of each row, and the columns and values of all entries."""


def _select(mask: Tensor, row: Tensor, column: Tensor, values: Tensor, height: int) -> Part:
    return torch.bincount(row[mask], minlength=height), column[mask], values[mask]


def _join(parts: list[Part]) -> Sparse:
    counts, columns, values = (torch.cat(column) for column in zip(*parts, strict=True))
    return Sparse(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), columns, values)
