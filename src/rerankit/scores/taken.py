"""Some rows and columns of a matrix that lies on disk, looked up there when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.scores.topk import topk_in_blocks

if TYPE_CHECKING:
    from rerankit.scores.dense import DenseScores
    from rerankit.scores.stored import StoredScores


class TakenScores:
    """Rows and columns of scores on disk, in any order; None means all.

    NumPy can only copy an arbitrary choice of rows, and the file may be larger than the memory.
    """

    complete = True

    def __init__(self, whole: DenseScores | StoredScores, rows: IntArray | None, columns: IntArray | None) -> None:
        self._whole = whole
        self._rows = np.arange(whole.shape[0]) if rows is None else np.asarray(rows, np.int64)
        self._columns = None if columns is None else np.asarray(columns, np.int64)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"TakenScores({rows} × {columns} of {self._whole!r})"

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._rows), self._whole.shape[1] if self._columns is None else len(self._columns)

    @property
    def T(self) -> TakenScores:  # noqa: N802
        columns = np.arange(self._whole.shape[1]) if self._columns is None else self._columns
        return TakenScores(self._whole.T, columns, self._rows)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        chosen = self._rows[slice(None) if rows is None else rows]
        if self._columns is None:
            return self._whole.rows(chosen)
        return self._whole.pairs(chosen[:, None], self._columns[None])

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        return self._whole.pairs(self._rows[rows], columns if self._columns is None else self._columns[columns])

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        return topk_in_blocks(self, k)

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> TakenScores:
        mine = self._columns
        if columns is not None:
            mine = columns if mine is None else mine[columns]
        return TakenScores(self._whole, self._rows if rows is None else self._rows[rows], mine)
