"""The Jaccard graph on a GPU, from neighbors to sparse rows; `jaccard` says what it is.

A block of rows is dense while it is made, which sorts its columns and joins equal ones, and is kept as its entries.
What many threads add at once are whole numbers, whose sum has no order.
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
"""Pairs of weights that are compared at once."""

UNIT = 2.0**60
"""Whole numbers stand for sums of weights, which are 1 at most, in units of one part in so many."""


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
        """Give successive rows."""
        low, high, _ = rows.indices(len(self))
        first, last = self.pointers[[low, high]].tolist()
        return Sparse(self.pointers[low : high + 1] - first, self.columns[first:last], self.values[first:last])

    def entries(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """List the entries of rows: the place of each one's row in ``rows``, and the entry."""
        starts, counts = self.pointers[rows], self.pointers[rows + 1] - self.pointers[rows]
        owners = torch.repeat_interleave(counts)
        before = counts.cumsum(0) - counts
        return owners, torch.arange(len(owners), device=rows.device) + (starts - before)[owners]

    def turned(self, width: int) -> Sparse:
        """Give the matrix, of so many columns, by columns."""
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
    measure: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Sparse:
    """Give V after the query expansion, as `jaccard` describes it.

    Args:
        rows: ``(N, D)`` float32.
        ids: ``(N, W)`` int64 neighbors, each row's first the row itself.
        scales: ``(N,)`` float64; d is the squared distance times the row's.
        half: Length of the half lists, ``1..W``.
        k2: Rows averaged in the query expansion, ``1..W``.
        measure: What gives d in place of the squared distance, of ``(P,)`` rows and ``(P,)`` others.

    Returns:
        ``N`` rows that sum to one.
    """
    full, short = mutual(ids), mutual(ids[:, :half])
    found = []
    for part in blocks(len(ids), max(len(ids), ids.shape[1] * half)):
        row, column = _expanded(ids, full, short, part).nonzero(as_tuple=True)
        owners = row + part.start
        distances = measure(owners, column) if measure else pair_distances(rows, owners, rows, column)
        raw = torch.exp(-distances * scales[part][row])
        total = raw.new_zeros(part.stop - part.start, len(ids))
        total[row, column] = raw
        shares = (raw / total.sum(1)[row]).float()
        found.append(_kept(shares > 0, row, column, shares, len(total)))  # a weight may underflow
    first = _joined(found)
    return first if k2 == 1 else _averaged(first, ids[:, :k2])


def mutual(ids: Tensor) -> Tensor:
    """Say of ``(N, W)`` neighbors which are mutual: entry ``(i, a)`` equals ``i in ids[ids[i, a]]``."""
    found = torch.empty(ids.shape, dtype=torch.bool, device=ids.device)
    for part in blocks(len(ids), ids.shape[1] ** 2):
        own = torch.arange(part.start, part.stop, device=ids.device)
        found[part] = (ids[ids[part]] == own[:, None, None]).any(2)
    return found


def _expanded(ids: Tensor, full: Tensor, short: Tensor, part: slice) -> Tensor:
    """Mark the columns of some rows of V, ``(B, N)``: the members of R(i) and what H(j) of each adds to them."""
    near, theirs, held = ids[part], ids[ids[part], : short.shape[1]], short[ids[part]]
    rows = torch.arange(len(near), device=ids.device)[:, None]
    marks = torch.zeros(len(near), len(ids), dtype=torch.bool, device=ids.device)
    marks[rows, near] = full[part]
    common = marks[rows[:, :, None], theirs] & held
    joins = full[part] & (3 * common.sum(2) > 2 * held.sum(2))
    added = joins[:, :, None] & held
    marks[added.nonzero()[:, 0], theirs[added]] = True
    return marks


def _averaged(plain: Sparse, near: Tensor) -> Sparse:
    """Average the rows ``near``, ``(N, K)``, of a matrix: row i equals ``V[near[i]].mean(0)``."""
    found = []
    for part in blocks(len(near), len(near)):
        total = torch.zeros(part.stop - part.start, len(near), dtype=torch.float64, device=near.device)
        for rows in near[part].T:  # one row for each, so no two threads add to the same number
            owner, entry = plain.entries(rows)
            total[owner, plain.columns[entry]] += plain.values[entry]
        row, column = total.nonzero(as_tuple=True)
        means = (total[row, column] / near.shape[1]).float()
        found.append(_kept(means > 0, row, column, means, len(total)))
    return _joined(found)


def jaccard(left: Sparse, right: Sparse, width: int, limit: float = 1.0) -> Iterator[tuple[Ints, Columns, Floats]]:
    """Give the Jaccard distances below 1 and within a limit between the rows of two matrices of ``width`` columns.

    Entry ``(i, j)`` equals that of `kernels.jaccard_rows`; its sum is one of whole numbers, and so that of ``(j, i)``.

    Yields:
        For each block of rows of ``left``: how many entries each row has, and the columns and values of all of them.
    """
    turned = right.turned(width)
    for part in blocks(len(left), len(right)):
        rows = left[part]
        total = torch.zeros(len(rows) * len(right), dtype=torch.int64, device=rows.columns.device)
        starts = torch.repeat_interleave(rows.pointers.diff()) * len(right)
        for piece in _pieces(turned.pointers.diff()[rows.columns], PAIRS):
            owner, entry = turned.entries(rows.columns[piece])
            smaller = torch.minimum(rows.values[piece][owner], turned.values[entry])
            total.scatter_add_(0, starts[piece][owner] + turned.columns[entry], (smaller.double() * UNIT).long())
        total = total.view(len(rows), len(right))
        row, column = total.nonzero(as_tuple=True)
        shared = total[row, column].double() / UNIT
        distances = (1 - shared / (2 - shared)).float()
        distances[distances < RESOLUTION] = 0
        within = (distances < 1) & (distances <= torch.tensor(limit, device=distances.device))
        counts, columns, values = _kept(within, row, column, distances, len(rows))
        yield counts.cpu().numpy(), columns.int().cpu().numpy(), values.cpu().numpy()


def _pieces(sizes: Tensor, most: int) -> Iterator[slice]:
    """Cut a list into runs whose sizes add up to ``most``, unless one alone is larger."""
    ends = sizes.cumsum(0).cpu()
    low = before = 0
    while low < len(ends):
        high = max(low + 1, int(torch.searchsorted(ends, before + most, right=True)))
        yield slice(low, high)
        low, before = high, int(ends[high - 1])


Part = tuple[Tensor, Tensor, Tensor]
"""How many entries each of some rows has, and the columns and values of all of them."""


def _kept(keep: Tensor, row: Tensor, column: Tensor, values: Tensor, height: int) -> Part:
    return torch.bincount(row[keep], minlength=height), column[keep], values[keep]


def _joined(parts: list[Part]) -> Sparse:
    counts, columns, values = (torch.cat(column) for column in zip(*parts, strict=True))
    return Sparse(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), columns, values)
