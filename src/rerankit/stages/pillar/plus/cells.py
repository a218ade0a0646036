"""Candidate cells of a problem and what their pillars are.

A cell (row, column) is a pair worth looking at: rows are the i2t direction's queries. Its pillars are the columns
nearest to its column, the rows nearest to its row, the likeliest columns of its row, the likeliest rows of its column.
Everything is read from top lists and single pairs: memory is of the order of the cells, never of the matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rerankit.arrays import FloatArray, IntArray
from rerankit.problem import Problem
from rerankit.scores import Scores, blocks
from rerankit.stages.pillar.plus.near import PLAN_ROUNDS, Near, nearest_of
from rerankit.stages.pillar.plus.plan import Factors, factors, places, sinkhorn
from rerankit.stages.pillar.plus.scale import Scale
from rerankit.stages.pillar.plus.settings import PlusSettings
from rerankit.stages.pillar.relations import Relations, outer

SPREADS = (0.5, 1.0, 1.5)  # sharpness of the soft, the usual and the sharp plan, times the settings' own


@dataclass(frozen=True)
class Toplists:
    """Best columns of every row, best rows of every column: indices and scores, padded −1 and −inf."""

    columns: tuple[IntArray, FloatArray]
    rows: tuple[IntArray, FloatArray]


@dataclass(frozen=True)
class CellGraph:
    """Cells in the order of their keys row · columns + column, with fixed facts and the cells whose votes they take.

    `near_columns` (cells, pillars) holds for every cell the number of the cell (row, near column), and the number of
    cells where there is none; `column_weights` how much each counts. `near_rows` alike. `likely_columns` (rows, n)
    and `likely_rows` (columns, n) are cell numbers, `column_likeness` (cells, n) the similarity of the cell's column to
    its row's likely columns, 0 to itself; `row_likeness` alike. `fixed` (cells, columns) are the fixed columns,
    `scales` those of the similarities among rows and among columns.
    """

    row: Tensor
    column: Tensor
    shape: tuple[int, int]
    first_plan: Tensor
    fixed: Tensor
    near_columns: Tensor
    column_weights: Tensor
    near_rows: Tensor
    row_weights: Tensor
    likely_columns: Tensor
    column_likeness: Tensor
    likely_rows: Tensor
    row_likeness: Tensor
    scales: tuple[Scale, Scale]

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def keys(self) -> Tensor:
        """row · columns + column, ascending."""
        return self.row * self.shape[1] + self.column

    def find(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The number of each cell; the number of cells where there is none."""
        return find(self.keys, rows * self.shape[1] + columns)

    def to(self, device: torch.device) -> CellGraph:
        """The same cells on a device."""
        if device == self.row.device:
            return self
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: value.to(device) for name, value in given.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True)
class Picked:
    """Cells without their pillars."""

    row: Tensor
    column: Tensor
    score: Tensor
    shape: tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What is read of a problem in the i2t orientation before its cells are described.

    `least` are the plans below which a cell is kept by neither its row (rows,) nor its column (columns,); `plans` are
    the soft, the usual and the sharp one.
    """

    relations: Relations
    scale: Scale
    lists: Toplists
    picked: Picked
    least: tuple[Tensor, Tensor]
    plans: list[Factors]
    rows: Near
    columns: Near


def cells_of(problem: Problem, settings: PlusSettings) -> CellGraph:
    """The cells of a problem in the i2t orientation."""
    return described(seen_in(problem, settings), settings)


def seen_in(problem: Problem, settings: PlusSettings) -> Seen:
    """The cells to look at, and everyone's nearest."""
    relations = Relations.of(problem)
    lists = Toplists(relations.scores.topk(settings.cells_seen[0]), relations.others.topk(settings.cells_seen[1]))
    scale = Scale.of(lists.columns[1], lists.rows[1])
    lists = Toplists(*((ids, scale.apply(values)) for ids, values in (lists.columns, lists.rows)))
    picked, least = _pick(relations, lists, scale, settings)
    plans = [factors(picked, spread * settings.sharpness * picked.score, PLAN_ROUNDS) for spread in SPREADS]
    near = [nearest_of(one, settings) for one in (relations.across, relations.gallery)]
    return Seen(relations, scale, lists, picked, least, plans, *near)


def described(seen: Seen, settings: PlusSettings) -> CellGraph:
    """The cells with what is known of each and the cells whose votes they take."""
    picked, width = seen.picked, seen.picked.shape[1]
    keys = picked.row * width + picked.column
    plans = [
        each.plan(picked, spread * settings.sharpness * picked.score)
        for each, spread in zip(seen.plans, SPREADS, strict=True)
    ]
    likely_columns = likely_of(plans[1], picked.row, picked.column, picked.shape[0], settings.likely[0])
    likely_rows = likely_of(plans[1], picked.column, picked.row, picked.shape[1], settings.likely[1])
    rows, columns = (torch.arange(size)[:, None] for size in picked.shape)
    near_row, near_column = (one.weights(one.similarities, one.ids, one.factors) for one in (seen.rows, seen.columns))
    like_columns = _likeness(seen.relations.gallery, seen.columns.scale, picked.row, picked.column, likely_columns)
    like_rows = _likeness(seen.relations.across, seen.rows.scale, picked.column, picked.row, likely_rows)
    of_rows, of_columns = (Summary.of(values) for values in (seen.lists.columns[1], seen.lists.rows[1]))
    return CellGraph(
        row=picked.row,
        column=picked.column,
        shape=picked.shape,
        first_plan=plans[1],
        fixed=fixed_columns(picked, plans, (of_rows, of_columns), seen.columns.similarities, picked.shape),
        near_columns=find(keys, keys_of(picked.row[:, None], seen.columns.ids[picked.column], width)),
        column_weights=near_column[picked.column],
        near_rows=find(keys, keys_of(seen.rows.ids[picked.row], picked.column[:, None], width)),
        row_weights=near_row[picked.row],
        likely_columns=find(keys, keys_of(rows, likely_columns, width)),
        column_likeness=like_columns,
        likely_rows=find(keys, keys_of(likely_rows, columns, width)),
        row_likeness=like_rows,
        scales=(seen.rows.scale, seen.columns.scale),
    )


def find(keys: Tensor, wanted: Tensor) -> Tensor:
    """Places of wanted keys among ascending keys; the number of keys where one is absent."""
    at = torch.searchsorted(keys, wanted.contiguous()).clamp_max_(len(keys) - 1)
    return torch.where(keys[at] == wanted, at, len(keys))


def _pick(
    relations: Relations, lists: Toplists, scale: Scale, settings: PlusSettings
) -> tuple[Picked, tuple[Tensor, Tensor]]:
    """The union of both sides' best, thinned out by the first plan; and the least plans that rows and columns keep."""
    rows, columns = relations.scores.shape
    by_row, by_column = lists.columns[0], lists.rows[0]
    keys = np.concatenate(
        [
            (np.arange(rows)[:, None] * columns + by_row)[by_row >= 0],
            (by_column * columns + np.arange(columns)[:, None])[by_column >= 0],
        ]
    )
    keys = np.unique(keys)
    row, column = keys // columns, keys % columns
    score = torch.from_numpy(scale.apply(relations.scores.pairs(row, column)))
    wide = Picked(torch.from_numpy(row), torch.from_numpy(column), score, (rows, columns))
    plan = sinkhorn(wide, settings.sharpness * score, PLAN_ROUNDS)
    keep, least = torch.zeros(len(plan), dtype=torch.bool), []
    for group, groups, count in zip((wide.row, wide.column), wide.shape, settings.cells_kept, strict=True):
        place = places(plan, group, groups)
        keep |= place < count
        last = place == count - 1
        least.append(plan.new_full((groups,), -torch.inf).index_copy(0, group[last], plan[last]))
    return Picked(wide.row[keep], wide.column[keep], score[keep], (rows, columns)), (least[0], least[1])


def likely_of(plan: Tensor, group: Tensor, item: Tensor, groups: int, count: int) -> Tensor:
    """The likeliest items (groups, count) of every group, padded with −1."""
    place = places(plan, group, groups)
    found = torch.full((groups, count), -1)
    use = place < count
    found[group[use], place[use]] = item[use]
    return found


def keys_of(rows: Tensor, columns: Tensor, width: int) -> Tensor:
    return torch.where((rows < 0) | (columns < 0), -1, rows * width + columns)


def _likeness(scores: Scores, scale: Scale, group: Tensor, item: Tensor, likely: Tensor) -> Tensor:
    """Similarities (cells, n) of each cell's item to its group's likely items; 0 to itself and to padding."""
    groups, items, pillars = group.numpy(), item.numpy(), likely.numpy()
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(len(pillars) + 1))
    result = np.zeros((len(items), pillars.shape[1]), np.float32)
    widest = int(np.diff(starts).max())
    for block in blocks(len(pillars), widest * (pillars.shape[1] * 16 + 8), share=0.5):
        cells = order[starts[block.start] : starts[block.stop]]
        owner = groups[cells] - block.start
        place = np.arange(len(cells)) - (starts[groups[cells]] - starts[block.start])
        grid = np.zeros((block.stop - block.start, int(place.max(initial=0)) + 1), np.int64)
        grid[owner, place] = items[cells]
        result[cells] = scale.apply(outer(scores, grid, np.maximum(pillars[block], 0))[owner, place])
    unknown = (pillars[groups] < 0) | (pillars[groups] == items[:, None]) | ~np.isfinite(result)
    result[unknown] = 0.0
    return torch.from_numpy(result)


def fixed_columns(
    picked: Picked, plans: list[Tensor], sides: tuple[Summary, Summary], column_near: Tensor, shape: tuple[int, int]
) -> Tensor:
    """The columns that never change (cells, 14), of rows and columns of a problem of a shape; see `columns.FIXED`."""
    row, column, score = picked.row, picked.column, picked.score
    of_rows, of_columns = sides
    near = column_near[:, [min(at, column_near.shape[1] - 1) for at in (0, 2, 7)]][column]
    return torch.stack(
        [
            score,
            *plans,
            of_rows.hub[row],
            of_columns.hub[column],
            score - of_rows.best[row],
            score - of_columns.best[column],
            of_rows.places(row, score).log1p(),
            of_columns.places(column, score).log1p(),
            *near.T,
            torch.full_like(score, math.log(shape[1] / shape[0])),
        ],
        dim=1,
    )


@dataclass(frozen=True)
class Summary:
    """A side's best scores (items, k), the highest of each, and how much of a hub each is."""

    values: Tensor
    best: Tensor
    hub: Tensor

    @classmethod
    def of(cls, values: FloatArray) -> Summary:
        """Of best scores (items, k), best first."""
        listed = torch.from_numpy(np.ascontiguousarray(values))
        real = listed[:, :16].isfinite()
        hub = torch.where(real, listed[:, :16], 0.0).sum(dim=1) / real.sum(dim=1).clamp_min(1)
        return cls(listed, torch.where(real[:, 0], listed[:, 0], 0.0), hub)

    def places(self, items: Tensor, scores: Tensor) -> Tensor:
        """How many of an item's listed scores are higher: its place in the list, or the list's length."""
        scores = scores + 1e-4  # a pair's own entry in the list may differ by rounding
        found = torch.empty(len(items))
        for block in blocks(len(items), self.values.shape[1] * 8):
            found[block] = (self.values[items[block]] > scores[block, None]).sum(dim=1).float()
        return found
