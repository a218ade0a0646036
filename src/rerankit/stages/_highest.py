"""Means of the highest scores of every column and of every row, from little more than one pass over a matrix.

A sample of the rows gives every column a bound below its k-th highest score; then each piece of rows is read
once, and only the few cells above their column's bound are kept and sorted.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.scores import DenseScores, Scores
from rerankit.scores.topk import ascending_bits, flat_nonzero, float32_of_bits
from rerankit.stages._passes import blocks_of, over_runs, with_floor
from rerankit.threads import in_threads

_PIECE_BYTES = 12_800_000  # each piece is read once or twice, so that only its mask has to stay in the cache
_STRIP = 4096  # columns that a thread takes at once
_SAMPLE = 2  # every so many rows are read for the bound
_FEW = 64  # a column in so many with a bound above the rows' may be read down to theirs
_MOST = 16  # times k cells of a column above its bound: more say that the sample tells nothing of the rest


def column_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every column; of fewer where lists hold fewer.

    >>> from rerankit import DenseScores
    >>> column_top_mean(DenseScores([[1, 0], [3, 1], [2, 4]]), 2)
    array([2.5, 2.5], dtype=float32)
    """
    found = _streamed(scores, k, None)
    return row_top_mean(scores.T, k) if found is None else found[0]


def row_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every row."""
    best = scores.topk(k)[1]
    known = np.isfinite(best)
    total = np.where(known, best, 0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return with_floor(np.where(count, total / np.maximum(count, 1), -np.inf).astype(np.float32))


def top_means(scores: Scores, k: int, known: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """`column_top_mean` and `row_top_mean` of one matrix, read together.

    `known` may hold different cells of every row (rows, some): the higher they are, the less is looked through.

    >>> from rerankit import DenseScores
    >>> top_means(DenseScores([[1, 0], [3, 1], [2, 4]]), 2)
    (array([2.5, 2.5], dtype=float32), array([0.5, 2. , 3. ], dtype=float32))
    """
    found = _streamed(scores, k, _Rows(min(k, scores.shape[1]), known))
    return (row_top_mean(scores.T, k), row_top_mean(scores, k)) if found is None else found


class _Rows:
    """Bounds of rows: at least k of a row's cells reach its bound."""

    def __init__(self, k: int, known: FloatArray | None) -> None:
        self.k = k
        enough = known is not None and known.shape[1] >= k
        self.known = np.partition(known, known.shape[1] - k, axis=1)[:, -k] if known is not None and enough else None

    def bound(self, piece: FloatArray, first: int) -> FloatArray:
        """Of the rows of a piece that begins at row `first`."""
        if self.known is not None:
            return self.known[first : first + len(piece)]
        rows, columns = piece.shape
        groups = 4 * self.k
        if columns > 2 * groups:
            members = columns // groups
            piece = piece[:, : groups * members].reshape(rows, groups, members).max(axis=2)
        low: FloatArray = np.partition(piece, piece.shape[1] - self.k, axis=1)[:, -self.k]
        return low


class _Above(NamedTuple):
    """Of one run: its cells above their column's bound, as column · 2³² + bits that fall with the score; and the means
    of the rows' highest.
    """

    keys: NDArray[np.uint64]
    rows: FloatArray


def _streamed(scores: Scores, k: int, rows: _Rows | None) -> tuple[FloatArray, FloatArray] | None:
    """Means of the columns and, where asked for, of the rows; None where the columns' own order serves better:
    embeddings, lists, transposed or short matrices, and those whose sample says nothing about the rest.
    """
    count, columns = scores.shape
    groups = 4 * k
    if not isinstance(scores, DenseScores) or count < 4 * groups or groups * columns * 16 > settings.memory_budget():
        return None
    if not scores.rows(slice(0, 2)).flags.c_contiguous:
        return None
    bound = _bound(scores, groups, k)
    found: list[_Above] = []
    for above in over_runs(scores, partial(_above, bound, rows), "highest cells", _PIECE_BYTES):
        found.append(above)
        if sum(len(one.keys) for one in found) > _MOST * k * columns:
            return None
    return _means(np.concatenate([one.keys for one in found]), bound, k), np.concatenate([one.rows for one in found])


def _bound(scores: DenseScores, groups: int, k: int) -> FloatArray:
    """A score for each column that at least k of its cells reach: the k-th highest of the groups' maxima in a sample.

    Rows are dealt to the groups in turn, so that no order of the rows fills single groups.
    """
    count, columns = scores.shape
    step = max(1, min(_SAMPLE, count // (4 * groups)))
    sample = range(0, count, step)
    highest = np.full((groups, columns), -np.inf, np.float32)
    for block in track(list(blocks_of(len(sample), columns * 4, groups)), "highest of groups"):
        values = scores.rows(slice(sample[block.start], sample[block.stop - 1] + 1, step))
        in_threads(partial(_raise, highest, values), range(min(groups, len(values))))
    strips = [slice(at, at + _STRIP) for at in range(0, columns, _STRIP)]
    parts = in_threads(lambda strip: np.partition(highest[:, strip].T.copy(), groups - k, axis=1)[:, -k], strips)
    return np.concatenate(parts)


def _raise(highest: FloatArray, values: FloatArray, group: int) -> None:
    np.maximum(highest[group], values[group :: len(highest)].max(axis=0), out=highest[group])


def _above(bound: FloatArray, of_rows: _Rows | None, pieces: list[FloatArray], first: int) -> _Above:
    width = len(bound)
    cells, values, lows, start = [], [], [np.empty(0, np.float32)], 0
    room = np.empty(pieces[0].shape, bool)
    for piece in pieces:
        wanted = room[: len(piece)]
        if of_rows is None:
            np.greater(piece, bound, out=wanted)
        else:
            lows.append(of_rows.bound(piece, first + start // width))
            _mark_above(piece, bound, lows[-1], wanted)
        here = flat_nonzero(wanted)
        values.append(piece.reshape(-1).take(here))
        cells.append(here + start)
        start += piece.size
    found, scores, low = np.concatenate(cells), np.concatenate(values), np.concatenate(lows)
    rows = found // width
    columns = found - rows * width  # a remainder, in the way that runs fast
    falling = (~ascending_bits(scores)).astype(np.uint64)
    if of_rows is None:
        return _Above(_keys(columns, falling), low)
    of_column, of_row = scores > bound[columns], scores > low[rows]
    means = _means(_keys(rows[of_row], falling[of_row]), low, of_rows.k)
    return _Above(_keys(columns[of_column], falling[of_column]), means)


def _mark_above(piece: FloatArray, of_columns: FloatArray, of_rows: FloatArray, out: NDArray[np.bool_]) -> None:
    """Mark in `out` the cells above their column's or their row's bound, and few others."""
    lowest = of_rows.min()
    if np.count_nonzero(of_columns > lowest) * _FEW <= len(of_columns):  # one look at the piece instead of two
        np.greater(piece, np.minimum(of_columns, lowest), out=out)
    else:
        np.greater(piece, of_columns, out=out)
        out |= piece > of_rows[:, None]


def _keys(lines: IntArray, falling: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys: NDArray[np.uint64] = lines.astype(np.uint64) << np.uint64(32) | falling
    return keys


def _means(keys: NDArray[np.uint64], bound: FloatArray, k: int) -> FloatArray:
    """Means of the k highest cells above the bound; where there are fewer, the rest of the k stand at the bound."""
    strips = [slice(at, min(at + _STRIP, len(bound))) for at in range(0, len(bound), _STRIP)]

    def one(strip: slice) -> FloatArray:
        borders = np.arange(strip.start, strip.stop + 1, dtype=np.uint64) << np.uint64(32)
        mine = np.sort(keys[(keys >= borders[0]) & (keys < borders[-1])])
        starts = np.searchsorted(mine, borders)
        place = starts[:-1, None] + np.arange(k)
        there = place < starts[1:, None]
        mine = np.append(mine, np.uint64(0))  # something to read where nothing is
        bits = ~(mine[np.minimum(place, len(mine) - 1)] & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
        values: AnyArray = np.where(there, float32_of_bits(bits), bound[strip, None])
        return _mean(values)

    return np.concatenate(in_threads(one, strips))


def _mean(best: AnyArray) -> FloatArray:
    mean: FloatArray = (best.sum(axis=1, dtype=np.float64) / best.shape[1]).astype(np.float32)
    return mean
