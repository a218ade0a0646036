"""One pass over scores in blocks: column statistics without a second matrix.

Blocks are cut into pieces that stay in the cache. A piece's rows depend on the width alone and pieces are
joined in their order, so that neither the memory budget nor the number of threads changes a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray
from rerankit.events import track
from rerankit.scores import DenseScores, ListScores, Scores, blocks
from rerankit.threads import in_threads

R = TypeVar("R")
_PIECE_BYTES = 1_000_000
_STRIP = 1024  # columns that are read together, so that what is kept of them stays in the cache
_VANISHING = 1e-20
_GROUP = 64  # embeddings are multiplied in groups of this many rows


def column_softmax_level(scores: Scores, beta: float) -> FloatArray:
    """(1/β) log mean exp(β s) down every column: between the column's mean (β → 0) and its highest (β → ∞).

    A column that no list names gets the lowest level any other has.

    >>> from rerankit import DenseScores
    >>> column_softmax_level(DenseScores([[1.0, 0.0], [1.0, 1.0]]), 1.0).round(3)
    array([1.  , 0.62], dtype=float32)
    """
    highest, total = _listed(scores, beta) if isinstance(scores, ListScores) else _passed(scores, beta)
    with np.errstate(divide="ignore"):
        level = highest + (np.log(total) - np.log(scores.shape[0])) / beta
    return with_floor(level.astype(np.float32))


def column_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every column; of fewer where lists hold fewer.

    >>> from rerankit import DenseScores
    >>> column_top_mean(DenseScores([[1, 0], [3, 1], [2, 4]]), 2)
    array([2.5, 2.5], dtype=float32)
    """
    cells = _highest_cells(scores, k)
    if cells is None:
        return row_top_mean(scores.T, k)
    columns, values = cells
    by_column = np.lexsort((-values, columns))
    place = np.arange(len(columns)) - np.searchsorted(columns[by_column], columns[by_column])
    kept = by_column[place < k]
    total = np.bincount(columns[kept], values[kept], minlength=scores.shape[1])
    mean: FloatArray = (total / k).astype(np.float32)
    return mean


def row_top_mean(scores: Scores, k: int) -> FloatArray:
    """Mean of the k highest scores of every row."""
    best = scores.topk(k)[1]
    known = np.isfinite(best)
    total = np.where(known, best, 0).sum(axis=1, dtype=np.float64)
    count = known.sum(axis=1)
    return with_floor(np.where(count, total / np.maximum(count, 1), -np.inf).astype(np.float32))


def with_floor(level: FloatArray) -> FloatArray:
    """−inf (nothing known) replaced by the lowest finite level."""
    known = np.isfinite(level)
    if known.all():
        return level
    return np.where(known, level, level[known].min() if known.any() else np.float32(0))


def over_pieces(scores: Scores, work: Callable[[FloatArray, int], R], description: str) -> Iterator[R]:
    """What `work(piece, first row)` returns for every piece, in order; pieces run in threads."""
    rows, columns = scores.shape
    piece = max(8, _PIECE_BYTES // (4 * columns) // 8 * 8)
    group = max(piece, -(-_GROUP // piece) * piece)
    # Twelve bytes a cell: a block computed from embeddings, and a thread's own arrays.
    for block in track(list(blocks_of(rows, columns * 12, group)), description):
        values = scores.rows(block)
        yield from in_threads(partial(_at, work, values, block.start, piece), range(0, len(values), piece))


def _highest_cells(scores: Scores, k: int) -> tuple[AnyArray, AnyArray] | None:
    """Columns and values of cells among which are every column's k highest, from two passes over a matrix.

    None where the columns' own order serves better: embeddings, lists, transposed, short or much tied matrices.
    The k-th highest of the maxima of 4 k groups of rows is a bound that only about 1.15 k cells of a column reach.
    """
    rows, columns = scores.shape
    groups = 4 * k
    if not isinstance(scores, DenseScores) or rows < 4 * groups or groups * columns * 16 > settings.memory_budget():
        return None
    if not scores.rows(slice(0, 2)).flags.c_contiguous:
        return None
    highest = np.full((groups, columns), -np.inf, np.float32)
    strips = [slice(at, at + _STRIP) for at in range(0, columns, _STRIP)]
    work = list(blocks_of(rows, columns * 4, groups))
    for block in track(work, "highest of groups"):
        values = scores.rows(block)
        in_threads(partial(_raise_to, highest, values), strips)
    bound = np.concatenate(in_threads(lambda strip: np.partition(highest[:, strip], groups - k, axis=0)[-k], strips))
    found: list[tuple[AnyArray, AnyArray]] = []
    for block in track(work, "highest cells"):
        values = scores.rows(block)
        found += in_threads(partial(_reaching, values, bound), strips)
        if sum(len(cells) for cells, _ in found) > 8 * groups * columns:
            return None
    return np.concatenate([cells for cells, _ in found]), np.concatenate([cells for _, cells in found])


def _raise_to(highest: FloatArray, values: FloatArray, strip: slice) -> None:
    groups = len(highest)
    for at in range(0, len(values), groups):
        part = values[at : at + groups, strip]
        here = highest[: len(part), strip]
        np.maximum(here, part, out=here)


def _reaching(values: FloatArray, bound: FloatArray, strip: slice) -> tuple[AnyArray, AnyArray]:
    part = values[:, strip]
    cells = np.flatnonzero(part >= bound[strip])
    row, column = np.divmod(cells, part.shape[1])
    return column + strip.start, part[row, column]


def _at(work: Callable[[FloatArray, int], R], values: FloatArray, start: int, piece: int, at: int) -> R:
    return work(values[at : at + piece], start + at)


def blocks_of(count: int, row_bytes: int, group: int) -> Iterator[slice]:
    """Blocks within the memory budget whose borders are multiples of `group`."""
    for block in blocks(-(-count // group), row_bytes * group):
        yield slice(block.start * group, min(block.stop * group, count))


def _passed(scores: Scores, beta: float) -> tuple[AnyArray, AnyArray]:
    """Per column a level and Σ exp(β (s − level)), joined piece by piece."""
    highest = np.full(scores.shape[1], -np.inf, np.float32)
    total = np.zeros(scores.shape[1])

    def one(piece: FloatArray, _: int) -> tuple[FloatArray, FloatArray]:
        # One level for the whole piece saves a pass; columns that vanish under it are done again by themselves.
        level = np.full(piece.shape[1], piece.max(), np.float32)
        sums = _sum_of_powers(piece, level[0], beta)
        far = np.flatnonzero(sums < _VANISHING)
        if len(far):
            top = piece[:, far].max(axis=0)
            level[far] = np.where(np.isfinite(top), top, level[far])
            sums[far] = _sum_of_powers(piece[:, far], level[far], beta)
        return level, sums

    for level, sums in over_pieces(scores, one, "column levels"):
        both = np.maximum(highest, level)
        total = total * np.exp(beta * (highest - both)) + sums * np.exp(beta * (level - both))
        highest = both
    return highest, total


def _sum_of_powers(piece: FloatArray, level: AnyArray, beta: float) -> FloatArray:
    powers = piece - level
    powers *= np.float32(beta)
    total: FloatArray = np.exp(powers, out=powers).sum(axis=0)
    return total


def _listed(scores: ListScores, beta: float) -> tuple[AnyArray, AnyArray]:
    by_column = scores.T
    highest = np.full(scores.shape[1], -np.inf, np.float32)
    total = np.zeros(scores.shape[1])
    named = np.flatnonzero(np.diff(by_column.starts))
    if len(named):
        starts = by_column.starts[named]
        highest[named] = np.maximum.reduceat(by_column.values, starts)
        powers = np.exp(beta * (by_column.values.astype(np.float64) - highest[by_column.row_of_cell]))
        total[named] = np.add.reduceat(powers, starts)
    return highest, total
