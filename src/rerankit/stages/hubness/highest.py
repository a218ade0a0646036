"""The highest scores of every column, from little more than one pass over a matrix.

A sample of the rows gives every column a bound below its k-th highest score; then each piece of rows is read
once, and only the few cells above their column's bound are kept and sorted.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray
from rerankit.cutting import NamedArrays, in_parts, joined
from rerankit.events import track
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores, blocks, topk_dense
from rerankit.scores.nearest import some_columns
from rerankit.scores.topk import ascending_bits, flat_nonzero, float32_of_bits
from rerankit.stages.hubness.passes import blocks_of, over_runs, with_floor
from rerankit.stages.hubness.spread import absent_levels, spread
from rerankit.threads import in_threads

_PIECE_BYTES = 12_800_000  # each piece is read once or twice, so that only its mask has to stay in the cache
_STRIP = 4096  # columns that a thread takes at once
_SAMPLE = 2  # every so many rows are read for the bound
_MOST = 16  # times k cells of a column above its bound: more say that the sample tells nothing of the rest


def column_top(scores: Scores, k: int, less: AnyArray | None = None, absent: AnyArray | None = None) -> FloatArray:
    """The k highest scores of every column (columns, k), best first; k is at most the number of rows.

    `less` (rows,) is taken from the scores of each row first. Pairs that lists leave out stand at `absent` (rows,).

    >>> from rerankit import DenseScores
    >>> column_top(DenseScores([[1, 0], [3, 1], [2, 4]]), 2)
    array([[3., 2.],
           [4., 1.]], dtype=float32)
    """
    if isinstance(scores, ListScores):
        return _of_lists(scores, k, less, absent)
    parts = in_parts("highest", partial(_highest, scores, k, less), scores.shape[1])
    return joined(parts, "highest")


def _highest(scores: Scores, k: int, less: AnyArray | None, columns: slice) -> NamedArrays:
    return {"highest": _highest_of_all(some_columns(scores, columns), k, less)}


def _highest_of_all(scores: Scores, k: int, less: AnyArray | None) -> FloatArray:
    if isinstance(scores, EmbeddingScores) and (less is None or scores.metric != "euclidean"):
        return scores.column_highest(k, less)
    shift = None if less is None else less.astype(np.float32)
    found = _streamed(scores, k, shift)
    if found is not None:
        return found
    if shift is None:
        return scores.T.topk(k)[1]
    columns = scores.T
    parts = [topk_dense(columns.rows(block) - shift, k)[1] for block in blocks(columns.shape[0], columns.shape[1] * 12)]
    return np.concatenate(parts)


def column_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every column; of all where there are fewer rows.

    Pairs that lists leave out stand at one level below the last score of their row.

    >>> from rerankit import DenseScores
    >>> column_top_mean(DenseScores([[1, 0], [3, 1], [2, 4]]), 2)
    array([2.5, 2.5], dtype=float32)
    """
    absent = absent_levels(scores, spread(scores)) if isinstance(scores, ListScores) else None
    best = column_top(scores, min(k, scores.shape[0]), absent=absent)
    mean: FloatArray = (best.sum(axis=1, dtype=np.float64) / best.shape[1]).astype(np.float32)
    return mean


def row_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every row; of fewer where lists hold fewer."""
    return top_mean(scores.topk(k)[1], k)


def top_mean(values: FloatArray, k: int) -> FloatArray:
    """Mean of the k highest values of every row; of fewer where others are −inf.

    >>> top_mean(np.float32([[1, 3, 2], [5, -np.inf, -np.inf]]), 2)
    array([2.5, 5. ], dtype=float32)
    """
    best = values if values.shape[1] <= k else np.sort(values, axis=1)[:, -k:]
    known = np.isfinite(best)
    total = np.where(known, best, 0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return with_floor(np.where(count, total / np.maximum(count, 1), -np.inf).astype(np.float32))


def _of_lists(scores: ListScores, k: int, less: AnyArray | None, absent: AnyArray | None) -> FloatArray:
    """The same of lists: the listed cells of a column, and the highest levels of rows that do not list it."""
    rows, columns = scores.shape
    assert absent is not None
    level = np.where(np.isfinite(absent), absent if less is None else absent - less, -np.inf)
    values = scores.values if less is None else scores.values - less[scores.row_of_cell]
    by_column = ListScores.from_cells(scores.columns, scores.row_of_cell, values.astype(np.float32), (columns, rows))
    listed = by_column.topk(k)[1]
    # Twice k rows are enough: a column that more than k of them list has k listed cells at least as high.
    first = np.argsort(-level, kind="stable")[: 2 * k]
    best = np.empty((columns, k), np.float32)
    for block in blocks(columns, (len(first) * 5 + 3 * k) * 8):
        items = np.arange(block.start, block.stop)
        left_out = ~np.isfinite(scores.pairs(first[:, None], items))
        rest = np.where(left_out, level[first, None], -np.inf).T.astype(np.float32)
        best[block] = -np.sort(-np.concatenate([listed[block], rest], axis=1), axis=1)[:, :k]
    known = np.isfinite(best)
    return best if known.all() else np.where(known, best, best[known].min() if known.any() else np.float32(0))


def _streamed(scores: Scores, k: int, less: FloatArray | None) -> FloatArray | None:
    """The k highest of every column; None where the columns' own order serves better: distances of vectors, transposed
    or short matrices, and those whose sample says nothing about the rest.
    """
    count, columns = scores.shape
    groups = 4 * k
    if not isinstance(scores, DenseScores) or count < 4 * groups or groups * columns * 16 > settings.memory_budget():
        return None
    if not scores.rows(slice(0, 2)).flags.c_contiguous:
        return None
    bound = _bound(scores, groups, k, less)
    found: list[NDArray[np.uint64]] = []
    for above in over_runs(scores, partial(_above, bound, less), "highest cells", _PIECE_BYTES):
        found.append(above)
        if sum(map(len, found)) > _MOST * k * columns:
            return None
    return _best(np.concatenate(found), bound, k)


def _bound(scores: DenseScores, groups: int, k: int, less: FloatArray | None) -> FloatArray:
    """A score for each column that at least k of its cells reach: the k-th highest of the groups' maxima in a sample.

    Rows are dealt to the groups in turn, so that no order of the rows fills single groups.
    """
    count, columns = scores.shape
    step = max(1, min(_SAMPLE, count // (4 * groups)))
    sample = range(0, count, step)
    highest = np.full((groups, columns), -np.inf, np.float32)
    for block in track(list(blocks_of(len(sample), columns * 4, groups)), "highest of groups"):
        here = slice(sample[block.start], sample[block.stop - 1] + 1, step)
        values = scores.rows(here) if less is None else scores.rows(here) - less[here, None]
        in_threads(partial(_raise, highest, values), range(min(groups, len(values))))
    strips = [slice(at, at + _STRIP) for at in range(0, columns, _STRIP)]
    parts = in_threads(lambda strip: np.partition(highest[:, strip].T.copy(), groups - k, axis=1)[:, -k], strips)
    return np.concatenate(parts)


def _raise(highest: FloatArray, values: FloatArray, group: int) -> None:
    np.maximum(highest[group], values[group :: len(highest)].max(axis=0), out=highest[group])


def _above(bound: FloatArray, less: FloatArray | None, pieces: list[FloatArray], first: int) -> NDArray[np.uint64]:
    """One run's cells above their column's bound, as column · 2³² + bits that fall with the score."""
    width = len(bound)
    keys, buffer, lowered = (
        [np.empty(0, np.uint64)],
        np.empty(pieces[0].shape, bool),
        np.empty(pieces[0].shape, np.float32),
    )
    for piece in pieces:
        if less is not None:
            piece = np.subtract(piece, less[first : first + len(piece), None], out=lowered[: len(piece)])
        first += len(piece)
        here = flat_nonzero(np.greater(piece, bound, out=buffer[: len(piece)]))
        columns = here - here // width * width  # a remainder, in the way that runs fast
        falling = (~ascending_bits(piece.reshape(-1).take(here))).astype(np.uint64)
        keys.append(columns.astype(np.uint64) << np.uint64(32) | falling)
    return np.concatenate(keys)


def _best(keys: NDArray[np.uint64], bound: FloatArray, k: int) -> FloatArray:
    """The k highest cells above the bound (columns, k); where there are fewer, the rest of the k stand at the bound."""
    strips = [slice(at, min(at + _STRIP, len(bound))) for at in range(0, len(bound), _STRIP)]

    def one(strip: slice) -> FloatArray:
        borders = np.arange(strip.start, strip.stop + 1, dtype=np.uint64) << np.uint64(32)
        mine = np.sort(keys[(keys >= borders[0]) & (keys < borders[-1])])
        starts = np.searchsorted(mine, borders)
        place = starts[:-1, None] + np.arange(k)
        there = place < starts[1:, None]
        mine = np.append(mine, np.uint64(0))  # something to read where nothing is
        bits = ~(mine[np.minimum(place, len(mine) - 1)] & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
        values: FloatArray = np.where(there, float32_of_bits(bits), bound[strip, None])
        return values

    return np.concatenate(in_threads(one, strips))
