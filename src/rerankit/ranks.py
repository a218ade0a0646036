"""Ranks: the places of scores among other scores, from 1, tied ones sharing the mean of their places."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.scores import Scores, blocks
from rerankit.threads import in_threads


def shared_ranks(values: FloatArray) -> FloatArray:
    """Places along the last axis, best first; NaN has none and stays NaN.

    >>> shared_ranks(np.float32([[5, np.nan, 7, 5]]))
    array([[2.5, nan, 1. , 2.5]], dtype=float32)
    """
    size = values.shape[-1]
    flat = values.reshape(-1, size)
    by_score = np.argsort(-flat, axis=1, kind="stable")  # NaN sorts last
    ordered = np.take_along_axis(flat, by_score, axis=1)
    place = np.arange(size)
    starts = np.ones(flat.shape, bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(flat.shape, bool)
    ends[:, :-1] = starts[:, 1:]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, size - 1)[:, ::-1], axis=1)[:, ::-1]
    shared = np.empty(flat.shape, np.float32)
    np.put_along_axis(shared, by_score, ((first + last) / 2 + 1).astype(np.float32), axis=1)
    result: FloatArray = np.where(np.isnan(flat), np.float32(np.nan), shared).reshape(values.shape)
    return result


def ranks_among(
    others: Scores,
    items: IntArray,
    scores: FloatArray,
    rows: IntArray | None = None,
    *,
    less: AnyArray | None = None,
    absent: AnyArray | None = None,
) -> FloatArray:
    """For each candidate (queries, K): the rank its score would have among the item's scores in `others`.

    `scores` belong to the pairs (query, item); `others` (rows, gallery) is read column by column, in blocks,
    and each column is sorted once. A score that is itself among the others counts once: `rows`, which broadcasts to
    (queries, K), then says in which row it stands, and it is read there. `less` (rows,) is taken from the others'
    scores of each row (and must have been taken from `scores`); pairs that lists leave out stand at `absent` (rows,).
    """
    own_rows = None if rows is None else np.broadcast_to(rows, items.shape).reshape(-1)
    flat_items, flat_scores = items.reshape(-1), scores.reshape(-1)
    by_item = np.argsort(flat_items, kind="stable")
    counts = np.bincount(flat_items, minlength=others.shape[1])
    wanted = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[wanted])])
    columns = others.T
    ranks = np.empty(len(flat_items), np.float32)
    # A cell costs 4 bytes as read, 4 turned and 4 sorted.
    for block in track(list(blocks(len(wanted), others.shape[0] * 12)), "ranks among the queries"):
        levels = columns.rows(wanted[block])
        if absent is not None:
            levels = np.where(np.isfinite(levels), levels, absent.astype(np.float32))
        if less is not None:
            levels = levels - less.astype(np.float32)
        cells = by_item[starts[block.start] : starts[block.stop]]
        line = np.repeat(np.arange(len(levels)), counts[wanted[block]])
        values = flat_scores[cells]
        if own_rows is not None:
            there = levels[line, own_rows[cells]]
            values = np.where(np.isfinite(there), there, values)  # top-k lists lack some
        ranks[cells] = (
            _ranks_of_one(levels, values) if len(cells) == len(levels) else _ranks_in_rows(levels, line, values)
        )
    return ranks.reshape(items.shape)


def _sorted_rows(block: FloatArray) -> FloatArray:
    pieces = np.array_split(block, max(1, min(16, len(block) // 64)))
    return np.concatenate(in_threads(lambda piece: np.sort(piece, axis=1), pieces))


def _ranks_of_one(levels: FloatArray, values: FloatArray) -> FloatArray:
    """The rank of one value among each row of levels, which are counted and need no order."""
    above = np.count_nonzero(levels > values[:, None], axis=1)
    equal = np.count_nonzero(levels == values[:, None], axis=1)
    ranks: FloatArray = (1 + above + np.maximum(equal - 1, 0) / 2).astype(np.float32)
    return ranks


def _ranks_in_rows(levels: FloatArray, rows: IntArray, values: FloatArray) -> FloatArray:
    """The rank of each value among one row of levels."""
    ascending = _sorted_rows(levels)
    not_above = _count(ascending, rows, values, np.less_equal)
    equal = not_above - _count(ascending, rows, values, np.less)
    above = ascending.shape[1] - not_above
    ranks: FloatArray = (1 + above + np.maximum(equal - 1, 0) / 2).astype(np.float32)
    return ranks


def _count(ascending: FloatArray, rows: IntArray, values: FloatArray, test: np.ufunc) -> IntArray:
    """How many levels of its row pass the test against each value: one binary search for all at once."""
    width = ascending.shape[1]
    count = np.zeros(len(values), np.int64)
    step = 1 << (width.bit_length() - 1)
    while step:
        further = np.minimum(count + step, width)
        passed = test(ascending[rows, further - 1], values) & (further == count + step)
        count = np.where(passed, further, count)
        step //= 2
    return count
