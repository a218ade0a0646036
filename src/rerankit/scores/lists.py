"""Scores that are top-k lists: all that a vector database returns."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import MOST_ITEMS, FloatArray, IntArray, float32, int_matrix, real_matrix
from rerankit.errors import InputError, rule, several
from rerankit.finite import check_scores
from rerankit.scores.topk import keys_of


class ListScores:
    """Per row a list of columns with scores; every other cell is absent and reads as −inf.

    Kept as three arrays, compressed by row with ascending columns: `starts` (rows + 1), `columns`, `values`.

    >>> ListScores([[2, 0]], [[0.9, 0.5]], columns=4).rows()
    array([[ 0.5, -inf,  0.9, -inf]], dtype=float32)
    """

    complete = False

    def __init__(self, indices: Any, scores: Any, columns: int, argument: str = "indices") -> None:
        listed = int_matrix(indices, argument)
        values = real_matrix(scores, "scores")
        if listed.shape != values.shape:
            raise rule("scores", f"must have the shape of '{argument}', {listed.shape}", f"shape {values.shape}")
        real = listed >= 0
        check_scores(np.where(real, values, 0), "scores")
        columns = checks.integer("gallery_size", columns, least=1, most=MOST_ITEMS)
        _check_columns(listed, columns, argument)
        rows = np.nonzero(real)[0]
        self._shape = (len(listed), int(columns))
        self._fill(rows, listed[real], float32(values, "scores")[real])
        again = self.keys[1:][np.diff(self.keys) == 0]
        if len(again):
            places = list(zip((again // columns).tolist(), (again % columns).tolist(), strict=True))
            raise rule(argument, "must not list an item twice in a row", several("repeated (row, item)", places))

    def _fill(self, rows: IntArray, columns: IntArray, values: FloatArray) -> None:
        keys = rows * self._shape[1] + columns
        by_key = np.argsort(keys, kind="stable")
        self.keys: IntArray = keys[by_key]
        self.columns: IntArray = columns[by_key]
        self.values: FloatArray = values[by_key]
        self.starts: IntArray = np.searchsorted(self.keys, np.arange(self._shape[0] + 1) * self._shape[1])

    @classmethod
    def from_cells(cls, rows: IntArray, columns: IntArray, values: FloatArray, shape: tuple[int, int]) -> ListScores:
        """Scores of single cells, each named once, in any order."""
        made = object.__new__(cls)
        made._shape = shape
        made._fill(rows, columns, values)
        return made

    def __repr__(self) -> str:
        return f"ListScores({self.shape[0]} × {self.shape[1]}, {len(self.values)} cells)"

    @property
    def shape(self) -> tuple[int, int]:
        return self._shape

    @property
    def row_of_cell(self) -> IntArray:
        """The row of every stored cell, in the order of `columns` and `values`."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.starts))

    @property
    def T(self) -> ListScores:  # noqa: N802
        return self.from_cells(self.columns, self.row_of_cell, self.values, self.shape[::-1])

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        chosen = np.arange(self.shape[0])[slice(None) if rows is None else rows]
        block = np.full((len(chosen), self.shape[1]), -np.inf, np.float32)
        cells, owner = self._cells_of(chosen)
        block[owner, self.columns[cells]] = self.values[cells]
        return block

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        wanted = np.asarray(rows, np.int64) * self.shape[1] + np.asarray(columns, np.int64)
        if not len(self.keys):
            return np.full(wanted.shape, -np.inf, np.float32)
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[at] == wanted, self.values[at], np.float32(-np.inf))

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        k = min(k, self.shape[1])
        counts = np.diff(self.starts)
        rows = self.row_of_cell
        by_rank = np.lexsort((keys_of(self.values, self.columns), rows))
        place = np.arange(len(rows)) - np.repeat(self.starts[:-1], counts)
        first = by_rank[place < k]
        indices = np.full((self.shape[0], k), -1, np.int64)
        scores = np.full((self.shape[0], k), -np.inf, np.float32)
        cells = rows[place < k], place[place < k]
        indices[cells], scores[cells] = self.columns[first], self.values[first]
        return indices, scores

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> ListScores:
        chosen = np.arange(self.shape[0]) if rows is None else np.asarray(rows)
        cells, owner = self._cells_of(chosen)
        taken = self.from_cells(owner, self.columns[cells], self.values[cells], (len(chosen), self.shape[1]))
        return taken if columns is None else taken.T.take(columns).T

    def _cells_of(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Numbers of the stored cells of some rows, and for each the place of its row in `rows`."""
        counts = np.diff(self.starts)[rows]
        owner = np.repeat(np.arange(len(rows)), counts)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.starts[rows][owner] + inside, owner


def _check_columns(listed: IntArray, columns: int, argument: str) -> None:
    outside = (listed < -1) | (listed >= columns)
    if outside.any():
        row, place = (int(x) for x in np.argwhere(outside)[0])
        raise InputError(
            f"'{argument}' must lie in 0…{columns - 1}, or be −1 for padding (got {int(outside.sum())} outside, "
            f"the first {int(listed[row, place])} at row {row}, place {place})"
        )
