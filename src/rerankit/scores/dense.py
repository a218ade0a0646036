"""Scores that are a matrix: an array, a memory map, a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, as_slice, float32, frozen, is_memory_map, real_matrix
from rerankit.finite import MOST_SCORE, check_all_scores, check_scores
from rerankit.mapped import packed, unpacked
from rerankit.scores.filled import Filled
from rerankit.scores.taken import TakenScores
from rerankit.scores.topk import topk_in_blocks
from rerankit.threads import in_threads

_TILE = 64
_TILES = 8  # that a thread turns at once


class DenseScores:
    """A matrix of scores (rows, columns), kept as given and made float32 block by block.

    A matrix in memory is checked for NaN and infinities here; a memory map is checked where it is read.

    >>> DenseScores([[1, 2], [3, 4]]).T.rows()
    array([[1., 3.],
           [2., 4.]], dtype=float32)
    """

    complete = True

    def __init__(
        self, array: Any, argument: str = "scores", *, negate: bool = False, filled: Filled | None = None
    ) -> None:
        self._array: AnyArray = frozen(real_matrix(array, argument))
        self._argument = argument
        self._negate = negate  # distances: turned where they are read, so that a memory map stays one
        self._filled = filled  # cells that are left out, and hold no number in the file
        self._checked = not is_memory_map(self._array)
        if self._checked:
            check_all_scores(self._array, argument)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"DenseScores({rows} × {columns}, {self._array.dtype}{'' if self._checked else ', memory map'})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": packed(self._array)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_array": unpacked(state["_array"])})

    @property
    def shape(self) -> tuple[int, int]:
        return self._array.shape[0], self._array.shape[1]

    @property
    def array(self) -> AnyArray:
        """The matrix as given, read-only and in its own dtype (a transposed one is a view); distances are negated."""
        return np.negative(self._array) if self._negate else self._array

    @property
    def of_distances(self) -> bool:
        """Whether these are distances on disk, which are negated where they are read."""
        return self._negate

    @property
    def is_array(self) -> bool:
        """Whether `array` is what is scored: no distances on disk, which are negated where they are read, and none of
        its cells left out.
        """
        return not self._negate and self._filled is None

    @property
    def T(self) -> DenseScores:  # noqa: N802
        made = self._view(self._array.T)
        made._filled = None if self._filled is None else self._filled.transposed(self.shape[0])
        return made

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        rows = slice(None) if rows is None else rows
        block = float32(_rows_of(self._array, rows), self._argument)
        if self._checked:
            return self._signed(block)
        chosen = np.arange(self.shape[0])[rows]
        block = self._signed(block if self._filled is None else self._filled.into(block, chosen))
        check_scores(block, self._argument, chosen)
        return block

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        given = float32(_cells(self._array, rows, columns), self._argument)
        cells = self._signed(given if self._filled is None else self._filled.at(given, rows, columns))
        if not self._checked and not (np.abs(cells) <= MOST_SCORE).all():
            self.rows(np.unique(rows))  # says where
        return cells

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        return topk_in_blocks(self, k)

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> DenseScores | TakenScores:
        if not self._checked:
            return TakenScores(self, rows, columns)
        array = self._array if rows is None else self._array[rows]
        return self._view(array if columns is None else array[:, columns])

    def _view(self, array: AnyArray) -> DenseScores:
        view = object.__new__(DenseScores)
        view._array, view._argument, view._checked = frozen(array), self._argument, self._checked
        view._negate, view._filled = self._negate, None
        return view

    def _signed(self, block: FloatArray) -> FloatArray:
        return np.negative(block) if self._negate else block


def _rows_of(array: AnyArray, rows: slice | IntArray) -> AnyArray:
    """Some rows; those of a transposed matrix are turned in tiles, since reading down columns misses the cache."""
    if array.flags.c_contiguous or not array.T.flags.c_contiguous:
        return array[rows]
    columns = array.T[:, as_slice(rows)]
    transposed = np.empty(columns.shape[::-1], array.dtype)

    def turn(start: int) -> None:
        for at in range(start, min(start + _TILES * _TILE, len(columns)), _TILE):
            transposed[:, at : at + _TILE] = columns[at : at + _TILE].T

    in_threads(turn, range(0, len(columns), _TILES * _TILE))
    return transposed


def _cells(array: AnyArray, rows: IntArray, columns: IntArray) -> AnyArray:
    """`array[rows, columns]`; of a contiguous array by the cells' places, which numpy reads twice as fast."""
    width = array.shape[1]
    by_place = array.flags.c_contiguous and columns.size and columns.min() >= 0 and columns.max() < width
    cells: AnyArray = array.reshape(-1).take(rows * width + columns) if by_place else array[rows, columns]
    return cells
