"""How far queries are from their candidates by the weights that both have of the same items."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, IntArray
from rerankit.events import track
from rerankit.stages.neighbours.both_sides import sparse_rows
from rerankit.threads import in_threads

_WHOLE_ROWS = 32_768  # items of which a query's sums are kept for all; of more, for its candidates


def jaccard_distances(queries: Any, holders: Any, items: IntArray) -> AnyArray:
    """1 − Σ min / Σ max of sparse weights that sum to 1 for each query and gallery item, for each query's candidates
    (queries, K); `holders` (items of all, gallery) say which gallery items have weights of an item.
    """
    counts = np.diff(holders.indptr)[queries.indices]
    reach = np.concatenate([[0], np.cumsum(counts)])[queries.indptr]
    result = np.empty(items.shape, np.float32)
    parts = _parts_of(reach, items.shape[1], holders.shape[1])

    def one(part: int) -> None:
        rows = slice(*parts[part])
        found = _shared_weight(queries[rows], holders, items[rows])
        result[rows] = 1 - found / (2 - found)

    for group in track([range(at, min(at + 8, len(parts))) for at in range(0, len(parts), 8)], "shared neighbours"):
        in_threads(one, group)
    return result


def _parts_of(reach: IntArray, width: int, gallery: int) -> list[tuple[int, int]]:
    """Runs of queries whose work fits a share of the memory budget, and the cache."""
    limit = min(settings.memory_budget() // 8, 16_000_000)
    cost = np.diff(reach) * 32 + (gallery * 12 if gallery <= _WHOLE_ROWS else 0) + width * 16
    parts, start, used = [], 0, 0
    for row, one in enumerate(cost.tolist()):
        if row > start and used + one > limit:
            parts.append((start, row))
            start, used = row, 0
        used += one
    return [*parts, (start, len(cost))]


def _shared_weight(queries: Any, holders: Any, items: IntArray) -> AnyArray:
    """Σ min(weights) between rows of queries and their candidates (queries, K)."""
    counts = np.diff(holders.indptr)[queries.indices]
    cells = np.repeat(np.arange(queries.nnz), counts)
    ends = np.cumsum(counts)
    at = np.arange(len(cells)) + np.repeat(holders.indptr[queries.indices] - (ends - counts), counts)
    weights, holding = np.minimum(queries.data[cells], holders.data[at]), holders.indices[at]
    rows, gallery = queries.shape[0], holders.shape[1]
    if gallery > _WHOLE_ROWS:
        borders = np.concatenate([[0], ends])[queries.indptr]
        return _sums_of_some(weights, holding, borders, items, gallery)
    target = (sparse_rows(queries) * gallery)[cells] + holding
    every = np.bincount(target, weights, minlength=rows * gallery).reshape(rows, gallery)
    found: AnyArray = np.take_along_axis(every, items, axis=1)
    return found


def _sums_of_some(weights: AnyArray, holding: IntArray, borders: IntArray, items: IntArray, gallery: int) -> AnyArray:
    """The sums (queries, K) of the weights that each candidate holds, where most items of the gallery hold none;
    `borders` (queries + 1,) say which weights are those of a query.
    """
    found, place = np.empty(items.shape), np.full(gallery, -1, np.int32)
    every = np.arange(items.shape[1], dtype=np.int32)
    for row, wanted in enumerate(items):
        mine = slice(borders[row], borders[row + 1])
        place[wanted] = every
        there = place[holding[mine]]
        hits = np.flatnonzero(there >= 0)
        sums = np.bincount(there[hits], weights[mine][hits], minlength=len(every))
        found[row] = sums[place[wanted]]  # padding may name an item twice
        place[wanted] = -1
    return found
