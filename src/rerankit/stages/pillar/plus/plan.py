"""Sums over the cells of a row or a column, and the transport plan on them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

_TINY = 1e-30


class Grid(Protocol):
    """Cells of a matrix."""

    @property
    def row(self) -> Tensor:
        """Row numbers (cells,)."""

    @property
    def column(self) -> Tensor:
        """Column numbers (cells,)."""

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's rows and columns."""


class Factors(NamedTuple):
    """What a plan adds to the logs of a kernel: the log plan of a cell is logit − `top` + its row's + its column's."""

    top: Tensor
    of_rows: Tensor
    of_columns: Tensor

    def plan(self, grid: Grid, logits: Tensor) -> Tensor:
        """The log plan (cells,)."""
        return logits - self.top + self.of_rows[grid.row] + self.of_columns[grid.column]


def sinkhorn(grid: Grid, logits: Tensor, rounds: int) -> Tensor:
    """The log of the plan nearest to exp(logits) whose rows sum to 1, and columns to rows/columns.

    >>> from types import SimpleNamespace
    >>> four = SimpleNamespace(row=torch.tensor([0, 0, 1, 1]), column=torch.tensor([0, 1, 0, 1]), shape=(2, 2))
    >>> sinkhorn(four, torch.tensor([3.0, 0.0, 2.0, 2.0]), 50).exp().round(decimals=2).tolist()
    [0.8199999928474426, 0.18000000715255737, 0.18000000715255737, 0.8199999928474426]
    """
    return factors(grid, logits, rounds).plan(grid, logits)


def factors(grid: Grid, logits: Tensor, rounds: int) -> Factors:
    """What makes that plan of the logits."""
    rows, columns = grid.shape
    top = logits.max()
    kernel = (logits - top).exp()
    of_column = kernel.new_ones(columns)
    for _ in range(rounds):
        of_row = 1 / _sums(kernel * of_column[grid.column], grid.row, rows)
        of_column = (rows / columns) / _sums(kernel * of_row[grid.row], grid.column, columns)
    of_row = 1 / _sums(kernel * of_column[grid.column], grid.row, rows)
    return Factors(top, of_row.log(), of_column.log())


def log_share(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """The log of each cell's share of its group's Σ exp(values); differentiable."""
    top = values.new_full((groups,), -1e4).scatter_reduce(0, group, values.detach(), "amax")
    centred = values - top[group]
    return centred - values.new_zeros(groups).index_add(0, group, centred.exp()).clamp_min(_TINY).log()[group]


def log_total(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """The log of each group's Σ exp(values) (groups,); a group without cells has one of −10,000."""
    top = values.new_full((groups,), -1e4).scatter_reduce(0, group, values, "amax")
    total = values.new_zeros(groups).index_add(0, group, (values - top[group]).exp())
    return torch.where(total > 0, top + total.clamp_min(_TINY).log(), -1e4)


def over_rows(grid: Grid, plan: Tensor) -> Tensor:
    """log p(row | column) under a log plan."""
    return log_share(plan, grid.column, grid.shape[1])


def over_columns(grid: Grid, plan: Tensor) -> Tensor:
    """log p(column | row) under a log plan."""
    return log_share(plan, grid.row, grid.shape[0])


class CellShares(NamedTuple):
    """Shares of cells under a plan: of the row among its column's cells (p), of the column among its row's (q).

    The logs are of a grid's own cells; the shares may have other cells before those, which its pillars are, too.
    """

    p_log: Tensor
    q_log: Tensor
    p: Tensor
    q: Tensor


def shares_of(grid: Grid, plan: Tensor) -> CellShares:
    """The shares of a log plan."""
    p_log, q_log = over_rows(grid, plan), over_columns(grid, plan)
    return CellShares(p_log, q_log, p_log.exp(), q_log.exp())


def places(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """Each cell's place, from 0, in its group's order of falling values; equal values stand in cell order."""
    order = values.argsort(descending=True, stable=True)
    order = order[group[order].argsort(stable=True)]
    counts = torch.bincount(group, minlength=groups)
    found = torch.empty_like(order)
    found[order] = torch.arange(len(group), device=group.device) - (counts.cumsum(0) - counts)[group[order]]
    return found


def _sums(values: Tensor, group: Tensor, groups: int) -> Tensor:
    return values.new_zeros(groups).index_add_(0, group, values).clamp_min_(_TINY)
