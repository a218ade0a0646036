"""Ranks: the places of scores among other scores, from 1, tied ones sharing the mean of their places."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.cutting import NamedArrays, in_parts, joined
from rerankit.events import track
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.threads import in_threads

_FEW_OF = 8  # candidates are few where there are so many times as many cells: those need not be put in order
_STEP = 1.2  # from one place to the next, behind those that are all told apart


class Levels(NamedTuple):
    """The scores at some places among each item's scores: enough to say near which place another score would be.

    >>> levels = Levels.at(np.array([1, 2, 4]), np.float32([[5, 9, 7, 1]]))
    >>> levels.values.tolist(), levels.ranks(np.array([0, 0, 0]), np.float32([7, 6, 3])).tolist()
    ([[9.0, 7.0, 1.0]], [2.0, 3.1666667461395264, 3.6666667461395264])
    """

    places: IntArray
    """Ascending places (places,), the first and the last among them."""
    values: FloatArray
    """Each item's scores there (items, places), which fall."""

    @classmethod
    def at(cls, places: IntArray, scores: FloatArray) -> Levels:
        """Those of scores (items, others)."""
        ascending = _sorted_rows(scores)
        return cls(places, ascending[:, ascending.shape[1] - places])

    def ranks(self, items: IntArray, scores: FloatArray) -> FloatArray:
        """The rank of each score (…,) among those of its item; between two places, in proportion to their levels."""
        flat, own = items.reshape(-1), scores.reshape(-1, 1)
        ranks = np.empty(len(flat), np.float32)
        for block in blocks(len(flat), len(self.places) * 6):
            ranks[block] = self._ranks(self.values.take(flat[block], axis=0), own[block])
        return ranks.reshape(items.shape)

    def _ranks(self, levels: FloatArray, scores: FloatArray) -> FloatArray:
        above, equal = np.count_nonzero(levels > scores, axis=1), levels == scores
        not_below = above + np.count_nonzero(equal, axis=1) if equal.any() else above
        places = np.concatenate([[0], self.places, self.places[-1:] + 1])
        first, following, last = places[above], places[above + 1], places[not_below]
        line, end = np.arange(len(levels)), levels.shape[1] - 1
        upper, lower = levels[line, np.maximum(above - 1, 0)], levels[line, np.minimum(above, end)]
        with np.errstate(invalid="ignore", divide="ignore"):  # where one of them is no level between two places
            between = (following - first - 1) * ((upper - scores[:, 0]) / (upper - lower))
        inside = np.where(following - first > 1, between, 0)
        ranks: FloatArray = np.where(not_below > above, (following + last) / 2, 1 + first + inside).astype(np.float32)
        return ranks


def told_apart(count: int, least: int) -> IntArray:
    """Places from 1 to `count`: the first `least`, and then each a fifth further than the one before.

    >>> told_apart(40, 20).tolist()
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 24, 29, 35, 40]
    """
    found = list(range(1, min(count, least) + 1))
    while found[-1] < count:
        found.append(min(count, max(found[-1] + 1, round(found[-1] * _STEP))))
    return np.array(found)


def shared_ranks(values: FloatArray) -> FloatArray:
    """Places along the last axis, best first; NaN has none and stays NaN.

    >>> shared_ranks(np.float32([[5, np.nan, 7, 5]]))
    array([[2.5, nan, 1. , 2.5]], dtype=float32)
    """
    size = values.shape[-1]
    if size > 1 and (values[..., 1:] < values[..., :-1]).all():  # candidates as they come, and none is NaN
        return np.tile(np.arange(1, size + 1, dtype=np.float32), (*values.shape[:-1], 1))
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
    places: IntArray | None = None,
) -> FloatArray:
    """For each candidate (queries, K): the rank its score would have among the item's scores in `others`.

    `scores` belong to the pairs (query, item); `others` (rows, gallery) is read column by column, in blocks,
    and each column is sorted once. A score that is itself among the others counts once: `rows`, which broadcasts to
    (queries, K), then says in which row it stands, and it is read there (of vectors it is as given). `less` (rows,) is
    taken from the others' scores of each row (and must have been taken from `scores`); pairs that lists leave out
    stand at `absent` (rows,).
    With `places` the ranks are those that `levels_among` of the same places would give.
    """
    own_rows = None if rows is None else np.broadcast_to(rows, items.shape).reshape(-1)
    flat_items, flat_scores = items.reshape(-1), scores.reshape(-1)
    by_item = np.argsort(flat_items, kind="stable")
    counts = np.bincount(flat_items, minlength=others.shape[1])
    wanted = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[wanted])])
    ranks = np.empty(len(flat_items), np.float32)
    few = len(flat_items) * _FEW_OF <= others.shape[0] * others.shape[1]
    if few and isinstance(others, EmbeddingScores) and others.metric != "euclidean" and places is None:
        own = None if own_rows is None else own_rows[by_item]
        above, equal = others.counts_above(flat_items[by_item], flat_scores[by_item], less, own)
        ranks[by_item] = _ranks(above, equal)
        return ranks.reshape(items.shape)
    for block, levels in _columns_of(others, wanted, less, absent):
        cells = by_item[starts[block.start] : starts[block.stop]]
        line = np.repeat(np.arange(len(levels)), counts[wanted[block]])
        values = flat_scores[cells]
        if own_rows is not None:
            there = levels[line, own_rows[cells]]
            values = np.where(np.isfinite(there), there, values)  # top-k lists lack some
        if places is not None:
            ranks[cells] = Levels.at(places, levels).ranks(line, values)
        elif len(cells) == len(levels):
            ranks[cells] = _ranks_of_one(levels, values)
        else:
            ranks[cells] = _ranks_in_rows(levels, line, values)
    return ranks.reshape(items.shape)


def levels_among(others: Scores, places: IntArray, less: AnyArray | None, absent: AnyArray | None) -> Levels:
    """The levels of every item among its scores in `others` (rows, gallery), which are read as by `ranks_among`."""
    work = partial(_levels_of_some, others, places, less, absent)
    return Levels(places, joined(in_parts("levels", work, others.shape[1]), "levels"))


def _levels_of_some(
    others: Scores, places: IntArray, less: AnyArray | None, absent: AnyArray | None, items: slice
) -> NamedArrays:
    chosen = np.arange(items.start, items.stop)
    values = np.empty((len(chosen), len(places)), np.float32)
    for block, scores in _columns_of(others, chosen, less, absent):
        values[block] = Levels.at(places, scores).values
    return {"levels": values}


def _columns_of(
    others: Scores, items: IntArray, less: AnyArray | None, absent: AnyArray | None
) -> Iterator[tuple[slice, FloatArray]]:
    """Blocks of some items, and their scores (block, rows)."""
    columns = others.T
    # A cell costs 4 bytes as read, 4 turned and 4 sorted.
    for block in track(list(blocks(len(items), others.shape[0] * 12)), "ranks among the queries"):
        scores = columns.rows(items[block])
        if absent is not None:
            scores = np.where(np.isfinite(scores), scores, absent.astype(np.float32))
        if less is not None:
            scores = scores - less.astype(np.float32)
        yield block, scores


def _sorted_rows(block: FloatArray) -> FloatArray:
    pieces = np.array_split(block, max(1, min(16, len(block) // 64)))
    return np.concatenate(in_threads(lambda piece: np.sort(piece, axis=1), pieces))


def _ranks_of_one(levels: FloatArray, values: FloatArray) -> FloatArray:
    """The rank of one value among each row of levels, which are counted and need no order."""
    above = np.count_nonzero(levels > values[:, None], axis=1)
    equal = np.count_nonzero(levels == values[:, None], axis=1)
    return _ranks(above, equal)


def _ranks_in_rows(levels: FloatArray, rows: IntArray, values: FloatArray) -> FloatArray:
    """The rank of each value among one row of levels."""
    ascending = _sorted_rows(levels)
    not_above = _count(ascending, rows, values, np.less_equal)
    equal = not_above - _count(ascending, rows, values, np.less)
    return _ranks(ascending.shape[1] - not_above, equal)


def _ranks(above: IntArray, equal: IntArray) -> FloatArray:
    """The ranks of values that so many are above and so many equal, themselves counted or not."""
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
