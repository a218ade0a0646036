"""Claims: every query has one vote, shared among the items by a softmax of its scores; what each item gets of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.cutting import NamedArrays, in_parts
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, Scores
from rerankit.stages.cells import Cells
from rerankit.stages.hubness.passes import over_runs, run_of
from rerankit.stages.hubness.spread import absent_levels

_GROUPS = 16  # of rows, whose sums are kept apart: what comes of them does not depend on which are worked on together
_HELD = 25_000_000  # cells that are kept as a matrix, 100 MB: more are looked at in lists where there are many rounds


class Claims(Protocol):
    """Votes (rows of scores) and what the columns get of them."""

    shape: tuple[int, int]

    def of(self, shift: AnyArray | None = None) -> AnyArray:
        """The sum (columns,) of all rows' softmax of β s + shift; `shift` is one number for each column."""


class MatrixClaims:
    """Claims of all cells, read in one pass.

    >>> MatrixClaims(DenseScores([[0.0, 0.0], [9.0, 0.0]]), 1.0).of().round(2)
    array([1.5, 0.5])
    """

    def __init__(self, scores: Scores, beta: float, *, without_self: bool = False) -> None:
        self.scores, self.beta, self.without_self = scores, beta, without_self
        self.shape = scores.shape

    def of(self, shift: AnyArray | None = None) -> AnyArray:
        narrow = None if shift is None else shift.astype(np.float32)

        count, group = self.shape[0], _rows_together(*self.shape)
        if isinstance(self.scores, EmbeddingScores):
            parts = in_parts("votes", partial(self._of_groups, narrow, group), count, group)
        else:  # reading a matrix costs about what its sums cost
            parts = [self._of_groups(narrow, group, slice(0, count))]
        total = np.zeros(self.shape[1])
        for part in parts:
            for received in part["received"]:
                total += received
        return total

    def _of_groups(self, shift: FloatArray | None, group: int, rows: slice) -> NamedArrays:
        """What the columns get of each group of rows (groups, columns)."""
        work = partial(self._of_run, shift)
        starts = range(rows.start, rows.stop, group)
        received = np.zeros((len(starts), self.shape[1]))
        for total, start in zip(received, starts, strict=True):
            for found in over_runs(self.scores, work, "votes", rows=slice(start, min(start + group, rows.stop))):
                total += found
        return {"received": received}

    def _of_run(self, shift: FloatArray | None, pieces: list[FloatArray], first: int) -> AnyArray:
        received = np.zeros(self.shape[1])
        buffer = np.empty(pieces[0].shape, np.float32)
        for piece in pieces:
            received += self._shares(piece, shift, first, buffer[: len(piece)]).sum(axis=0)
            first += len(piece)
        return received

    def _shares(self, piece: FloatArray, shift: FloatArray | None, first: int, buffer: FloatArray) -> FloatArray:
        highest = piece.max(axis=1, keepdims=True)
        np.subtract(piece, np.where(np.isfinite(highest), highest, 0), out=buffer)
        buffer *= np.float32(self.beta)
        if shift is not None:
            buffer += shift
            if shift.max(initial=0) > 0:  # what is added may be beyond what a power holds
                buffer -= buffer.max(axis=1, keepdims=True)
        if self.without_self:
            np.einsum("ii->i", buffer[:, first : first + len(buffer)])[:] = -np.inf
        np.exp(buffer, out=buffer)
        buffer *= (1 / np.maximum(buffer.sum(axis=1), 1e-30))[:, None]
        return buffer


class ListClaims:
    """The same of top-k lists: absent pairs of a row stand at one level below its last, in place of being skipped.

    Time and memory grow with the cells of the lists: what all rows say to items they do not list has rank one.
    """

    def __init__(self, lists: ListScores, levels: AnyArray, beta: float) -> None:
        self.shape = lists.shape
        self.columns, self.rows = lists.columns, lists.row_of_cell
        values = lists.values.astype(np.float64)
        highest = np.full(self.shape[0], -np.inf)
        np.maximum.at(highest, self.rows, values)
        self.some = np.isfinite(highest)
        highest[~self.some] = 0
        self.powers = np.exp(beta * (values - highest[self.rows]))
        self.absent = np.where(self.some, np.exp(beta * np.minimum(np.where(self.some, levels, 0) - highest, 0)), 0)

    def of(self, shift: AnyArray | None = None) -> AnyArray:
        # Shares do not change when the same is added everywhere, and powers stay within what a number holds.
        factor = np.ones(self.shape[1]) if shift is None else np.exp(shift - max(0.0, float(shift.max(initial=0))))
        here = factor[self.columns]
        kernel = self.powers * here
        listed = np.bincount(self.rows, here, minlength=self.shape[0])
        sums = np.bincount(self.rows, kernel, minlength=self.shape[0])
        sums += self.absent * np.maximum(factor.sum() - listed, 0)
        each = np.where(self.some, 1 / np.maximum(sums, 1e-300), 0)
        rest = self.absent * each
        received = np.bincount(self.columns, kernel * each[self.rows], minlength=self.shape[1])
        left_out = rest.sum() - np.bincount(self.columns, rest[self.rows], minlength=self.shape[1])
        found: AnyArray = received + factor * np.maximum(left_out, 0)
        return found


def _rows_together(rows: int, columns: int) -> int:
    """The rows of a group, a multiple of those of a run."""
    run = run_of(columns)
    return run * -(-rows // (run * _GROUPS))


def claims_of(scores: Scores, beta: float, sigma: float) -> Claims:
    """Claims in one pass over a matrix, or of lists."""
    if isinstance(scores, ListScores):
        return ListClaims(scores, absent_levels(scores, sigma), beta)
    return MatrixClaims(scores, beta)


def claims_for_rounds(
    scores: Scores, sigma: float, cells_kept: int | None, best: Callable[[int], Cells] | None = None
) -> Callable[[float], Claims]:
    """From β, claims that are asked for many times: of all cells of a matrix of moderate size, otherwise of its best
    cells, which are looked for once.

    `cells_kept` best cells of every row and of every column stand for the matrix, the rest at one level for each row;
    None takes 64 where the matrix has more than 25 million cells, and all otherwise. `best` gives so many of them where
    these are wanted for something else, too.
    """
    rows, columns = scores.shape
    if isinstance(scores, ListScores):
        return partial(ListClaims, scores, absent_levels(scores, sigma))
    if cells_kept is None and rows * columns <= _HELD:
        return partial(MatrixClaims, scores if isinstance(scores, DenseScores) else DenseScores(scores.rows()))
    kept = 64 if cells_kept is None else cells_kept
    if kept >= columns:
        return partial(MatrixClaims, scores)
    cells = Cells.best(scores, kept) if best is None else best(kept)
    lists = ListScores.from_cells(cells.rows, cells.columns, cells.scores, cells.shape)
    return partial(ListClaims, lists, absent_levels(ListScores(*cells.of_rows, columns), sigma))
