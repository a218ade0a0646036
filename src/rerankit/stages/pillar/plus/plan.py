"""Sums over the cells of a row or a column, and the transport plan on them."""

from __future__ import annotations

from typing import Protocol

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


def sinkhorn(grid: Grid, logits: Tensor, rounds: int) -> Tensor:
    """The log of the plan nearest to exp(logits) whose rows sum to 1, and columns to rows/columns.

    >>> from types import SimpleNamespace
    >>> four = SimpleNamespace(row=torch.tensor([0, 0, 1, 1]), column=torch.tensor([0, 1, 0, 1]), shape=(2, 2))
    >>> sinkhorn(four, torch.tensor([3.0, 0.0, 2.0, 2.0]), 50).exp().round(decimals=2).tolist()
    [0.8199999928474426, 0.18000000715255737, 0.18000000715255737, 0.8199999928474426]
    """
    rows, columns = grid.shape
    logits = logits - logits.max()
    kernel = logits.exp()
    of_column = kernel.new_ones(columns)
    for _ in range(rounds):
        of_row = 1 / _sums(kernel * of_column[grid.column], grid.row, rows)
        of_column = (rows / columns) / _sums(kernel * of_row[grid.row], grid.column, columns)
    of_row = 1 / _sums(kernel * of_column[grid.column], grid.row, rows)
    return logits + of_row.log()[grid.row] + of_column.log()[grid.column]


def log_share(values: Tensor, group: Tensor, groups: int) -> Tensor:
    """The log of each cell's share of its group's Σ exp(values); differentiable."""
    top = values.new_full((groups,), -1e4).scatter_reduce(0, group, values.detach(), "amax")
    centred = values - top[group]
    return centred - values.new_zeros(groups).index_add(0, group, centred.exp()).clamp_min(_TINY).log()[group]


def over_rows(grid: Grid, plan: Tensor) -> Tensor:
    """log p(row | column) under a log plan."""
    return log_share(plan, grid.column, grid.shape[1])


def over_columns(grid: Grid, plan: Tensor) -> Tensor:
    """log p(column | row) under a log plan."""
    return log_share(plan, grid.row, grid.shape[0])


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
