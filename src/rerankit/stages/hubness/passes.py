"""One pass over scores in blocks: statistics of columns and of rows without a second matrix.

Blocks are cut into pieces that stay in the cache, and a thread takes a run of pieces. Pieces and runs depend on the
width alone and are joined in their order, so neither the memory budget nor the number of threads changes a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np

from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.scores import DenseScores, ListScores, Scores, blocks
from rerankit.scores.products import PRODUCT_COLUMNS
from rerankit.stages.hubness.spread import absent_levels, levels_behind, spread
from rerankit.threads import in_threads

R = TypeVar("R")
PIECE_BYTES = 1_600_000
_RUN_BYTES = 25_600_000  # what a thread takes at once
_GROUP = 64  # embeddings are multiplied in groups of this many rows
_VANISHING = 1e-20
_SAFE = 40.0  # exp of anything nearer to 0 neither overflows nor vanishes in float32


def column_softmax_level(scores: Scores, beta: float) -> FloatArray:
    """(1/β) log mean exp(β s) down every column: between the column's mean (β → 0) and its highest (β → ∞).

    Pairs that lists leave out stand at one level below the last score of their row.

    >>> from rerankit import DenseScores
    >>> column_softmax_level(DenseScores([[1.0, 0.0], [1.0, 1.0]]), 1.0).round(3)
    array([1.  , 0.62], dtype=float32)
    """
    return _column_levels(scores, beta)


def row_softmax_level(scores: Scores, beta: float, sigma: float) -> FloatArray:
    """(1/β) log mean exp(β s) along every row, each by itself.

    Pairs that lists leave out stand at one level below the last score of their row, which the spread `sigma` says.

    >>> from rerankit import DenseScores
    >>> row_softmax_level(DenseScores([[1.0, 1.0]]), 5.0, 1.0)
    array([1.], dtype=float32)
    """
    if isinstance(scores, ListScores):
        return _listed_rows(scores, beta, sigma)

    def one(pieces: list[FloatArray], first: int) -> FloatArray:
        return np.concatenate([_row_levels(piece, beta) for piece in pieces])

    return np.concatenate(list(over_runs(scores, one, "levels of the queries")))


def _row_levels(values: FloatArray, beta: float) -> FloatArray:
    top = values.max(axis=1)
    shares = powers_of(values, top[:, None], beta).sum(axis=1, dtype=np.float64) / values.shape[1]
    level: FloatArray = (top + np.log(shares) / beta).astype(np.float32)
    return level


def with_floor(level: FloatArray) -> FloatArray:
    """−inf (nothing known) replaced by the lowest finite level."""
    known = np.isfinite(level)
    if known.all():
        return level
    return np.where(known, level, level[known].min() if known.any() else np.float32(0))


def over_runs(
    scores: Scores,
    work: Callable[[list[FloatArray], int], R],
    description: str,
    piece_bytes: int = PIECE_BYTES,
    rows: slice | None = None,
) -> Iterator[R]:
    """What `work(pieces, first row)` returns for every run of pieces, in order; runs go in threads.

    `rows` are some of them, which begin where a run does.
    """
    columns, rows = scores.shape[1], rows or slice(0, scores.shape[0])
    piece, run = _piece_of(columns, piece_bytes), run_of(columns, piece_bytes)
    # A thread reads its own run of a matrix, and what stays are results: no more than 16 bytes a column. Products of
    # embeddings are made block by block with all threads: a block takes 4 bytes a cell, and 12 while it is made.
    alone = isinstance(scores, DenseScores)
    each = columns * 16 // run if alone else columns * 4 + min(columns, PRODUCT_COLUMNS) * 12
    work_blocks = blocks_of(rows.stop - rows.start, each, run)
    for some in track(list(work_blocks), description):
        block = slice(some.start + rows.start, some.stop + rows.start)
        values = None if alone else scores.rows(block)
        starts = range(block.start, block.stop, run)
        yield from in_threads(partial(_on_run, work, scores, values, block, piece, run), starts)


def run_of(columns: int, piece_bytes: int = PIECE_BYTES) -> int:
    """The rows of a run of pieces."""
    return -(-max(_piece_of(columns, piece_bytes), _RUN_BYTES // (4 * columns)) // _GROUP) * _GROUP


def _piece_of(columns: int, piece_bytes: int) -> int:
    return max(8, piece_bytes // (4 * columns) // 8 * 8)


def _on_run(
    work: Callable[[list[FloatArray], int], R],
    scores: Scores,
    values: FloatArray | None,
    block: slice,
    piece: int,
    run: int,
    start: int,
) -> R:
    stop = min(start + run, block.stop)
    mine = scores.rows(slice(start, stop)) if values is None else values[start - block.start : stop - block.start]
    return work([mine[at : at + piece] for at in range(0, len(mine), piece)], start)


def blocks_of(count: int, row_bytes: int, group: int) -> Iterator[slice]:
    """Blocks within the memory budget whose borders are multiples of `group`."""
    for block in blocks(-(-count // group), row_bytes * group):
        yield slice(block.start * group, min(block.stop * group, count))


def _column_levels(scores: Scores, beta: float) -> FloatArray:
    if isinstance(scores, ListScores):
        highest, total = _listed_columns(scores, beta)
    else:
        sums = _Sums(scores, beta)
        for found, far in over_runs(scores, sums.of_run, "levels"):
            sums.add(found, far)
        highest, total = sums.joined()
    with np.errstate(divide="ignore"):
        level = highest + (np.log(total) - np.log(scores.shape[0])) / beta
    return with_floor(level.astype(np.float32))


class _Sums:
    """Per column Σ exp(β (s − level)) at one level for all, and apart from it what vanishes or overflows there."""

    def __init__(self, scores: Scores, beta: float) -> None:
        self.beta = beta
        top = float(scores.rows(slice(0, 8)).max()) if scores.shape[0] else 0.0
        # Without a level there is one sweep less over every piece.
        self.level = top if np.isfinite(top) and abs(beta * top) > _SAFE else 0.0
        self.total = np.zeros(scores.shape[1])
        self.far_level = np.full(scores.shape[1], -np.inf)
        self.far_total = np.zeros(scores.shape[1])

    def of_run(self, pieces: list[FloatArray], first: int) -> Any:
        """Sums of one run's columns; numbers, levels and sums of those that need a level of their own."""
        powers, sums = np.empty_like(pieces[0]), np.zeros(len(self.total))
        with np.errstate(over="ignore", under="ignore"):
            for piece in pieces:
                sums += powers_of(piece, self.level, self.beta, powers[: len(piece)]).sum(axis=0)
        far = np.flatnonzero((sums < _VANISHING) | ~np.isfinite(sums))
        sums[far] = 0
        return sums, self._apart(pieces, far) if len(far) else None

    def _apart(self, pieces: list[FloatArray], far: IntArray) -> tuple[IntArray, AnyArray, AnyArray]:
        values = np.concatenate([piece[:, far] for piece in pieces])
        top = values.max(axis=0)
        there = np.isfinite(top)
        far, top, values = far[there], top[there], values[:, there]
        return far, top.astype(np.float64), powers_of(values, top, self.beta).sum(axis=0, dtype=np.float64)

    def add(self, sums: AnyArray, far: tuple[IntArray, AnyArray, AnyArray] | None) -> None:
        """Take in one run."""
        self.total += sums
        if far is None:
            return
        columns, level, found = far
        both = np.maximum(self.far_level[columns], level)
        self.far_total[columns] *= np.exp(self.beta * (self.far_level[columns] - both))
        self.far_total[columns] += found * np.exp(self.beta * (level - both))
        self.far_level[columns] = both

    def joined(self) -> tuple[AnyArray, AnyArray]:
        """Per column a level and the sum at it."""
        some = self.total > 0
        level = np.maximum(self.far_level, np.where(some, self.level, -np.inf))
        finite = np.where(np.isfinite(level), level, 0)
        return level, (
            self.total * np.exp(self.beta * np.minimum(self.level - finite, 0) * some)
            + self.far_total * np.exp(self.beta * (self.far_level - finite))
        )


def powers_of(values: FloatArray, level: AnyArray | float, beta: float, out: FloatArray | None = None) -> FloatArray:
    """exp(β (s − level)), into `out` where it is given."""
    if isinstance(level, float) and not level:
        found = np.multiply(values, np.float32(beta), out=out)
    else:
        found = np.subtract(values, np.asarray(level, np.float32), out=out)
        found *= np.float32(beta)
    result: FloatArray = np.exp(found, out=found)
    return result


def _listed_columns(scores: ListScores, beta: float) -> tuple[AnyArray, AnyArray]:
    """Levels and sums of the columns of lists, in which pairs that are left out stand at one level for each row."""
    levels = absent_levels(scores, spread(scores))
    known = np.isfinite(levels)
    level = np.where(known, levels, -np.inf)
    top = float(level.max()) if known.any() else 0.0
    highest = np.full(scores.shape[1], top)
    np.maximum.at(highest, scores.columns, scores.values.astype(np.float64))
    rows, columns = scores.row_of_cell, scores.columns
    powers = np.exp(beta * (scores.values - highest[columns])) - np.exp(beta * (level[rows] - highest[columns]))
    total = np.bincount(columns, powers, minlength=scores.shape[1])
    total += np.exp(beta * (level - top)).sum() * np.exp(beta * (top - highest))
    return highest, np.maximum(total, 0)


def listed_softmax_level(values: FloatArray, mask: BoolArray, columns: int, beta: float, sigma: float) -> FloatArray:
    """(1/β) log mean exp(β s) of rows of so many columns, of which the highest are known: `values` (rows, K) where
    `mask` is true. The others stand at one level below them.

    >>> listed_softmax_level(np.float32([[1.0, 1.0]]), np.array([[True, True]]), 2, 5.0, 1.0)
    array([1.], dtype=float32)
    """
    counts = mask.sum(axis=1)
    levels = levels_behind(np.where(mask, values, np.inf).min(axis=1).astype(np.float64), counts, columns, sigma)
    known = np.where(mask, values, -np.inf).astype(np.float64)
    highest = np.maximum(known.max(axis=1), np.where(np.isfinite(levels), levels, -np.inf))
    highest = np.where(np.isfinite(highest), highest, 0)
    total = np.exp(beta * (known - highest[:, None])).sum(axis=1)
    total += (columns - counts) * np.exp(beta * (np.minimum(levels, highest) - highest))
    level: FloatArray = (highest + np.log(total / columns) / beta).astype(np.float32)
    return level


def _listed_rows(scores: ListScores, beta: float, sigma: float) -> FloatArray:
    levels = absent_levels(scores, sigma)
    highest = np.where(np.isfinite(levels), levels, 0)
    np.maximum.at(highest, scores.row_of_cell, scores.values.astype(np.float64))
    powers = np.exp(beta * (scores.values - highest[scores.row_of_cell]))
    total = np.bincount(scores.row_of_cell, powers, minlength=scores.shape[0])
    total += (scores.shape[1] - np.diff(scores.starts)) * np.exp(beta * (np.minimum(levels, highest) - highest))
    found: FloatArray = (highest + np.log(total / scores.shape[1]) / beta).astype(np.float32)
    return found
