"""What is known of a cell, as columns: 14 that never change, and 14 that its pillars say under the current plan."""

from __future__ import annotations

import torch
from torch import Tensor

from rerankit.stages.pillar.plus.cells import CellGraph
from rerankit.stages.pillar.plus.plan import CellShares, shares_of

FIXED = (
    *("score", "plan_soft", "plan", "plan_sharp", "hub_row", "hub_column", "gap_row", "gap_column"),
    *("rank_row", "rank_column", "near_1", "near_3", "near_8", "balance"),
)
MESSAGES = (
    *("plan_now", "p_log", "q_log", "vote_16", "vote_4", "vote_low", "vote_max", "rivals"),
    *("likely_columns", "likely_mean", "likely_rows", "claims", "p_now", "q_now"),
)
COLUMNS = FIXED + MESSAGES


def messages(cells: CellGraph, plan: Tensor, shares: CellShares) -> Tensor:
    """What the pillars of each cell say under a log plan and its shares: (cells, 14).

    p(row | column) of the columns near a column vote for a row; q(column | row) of the same row for near columns
    are claims, and of near rows for the same column are rivals; a row's likely columns should be like this one.
    """
    own, p, q = slice(len(shares.p) - len(cells), None), shares.p, shares.q
    votes = cells.column_weights * _of(p, cells.near_columns)
    vote, first = votes.sum(dim=1), votes[:, :4].sum(dim=1) / cells.column_weights[:, :4].sum(dim=1).clamp_min(1e-6)
    claims = (cells.column_weights * _of(q, cells.near_columns)).sum(dim=1)
    rivals = (cells.row_weights * _of(q, cells.near_rows)).sum(dim=1)
    likely = _of(q, cells.likely_columns)[cells.row]
    like_columns = (likely * cells.column_likeness).sum(dim=1)
    weight = (likely * (cells.column_likeness != 0)).sum(dim=1)
    like_rows = (_of(p, cells.likely_rows)[cells.column] * cells.row_likeness).sum(dim=1)
    return torch.stack(
        [
            *(plan, shares.p_log, shares.q_log),
            *((vote + 0.03).log(), (first + 0.03).log(), (vote + 0.003).log(), votes.amax(dim=1)),
            *((rivals + 0.01).log(), like_columns, like_columns / weight.clamp_min(1e-3), like_rows),
            *((claims + 0.003).log(), p[own], q[own]),
        ],
        dim=1,
    )


def first_messages(cells: CellGraph) -> Tensor:
    """Messages under the first plan; they never change, so training computes them once for each problem."""
    if "_first_messages" not in cells.__dict__:
        cells.__dict__["_first_messages"] = messages(cells, cells.first_plan, shares_of(cells, cells.first_plan))
    found: Tensor = cells.__dict__["_first_messages"]
    return found


def kept(names: tuple[str, ...]) -> Tensor:
    """1 for every column to use, 0 for those whose name begins with one of `names`."""
    return torch.tensor([0.0 if column.startswith(names) else 1.0 for column in COLUMNS])


def _of(values: Tensor, numbers: Tensor) -> Tensor:
    """Values of cells by number; 0 for a cell that does not exist."""
    return torch.cat([values, values.new_zeros(1)])[numbers]
