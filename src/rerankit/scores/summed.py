"""Sums of scores, computed when they are asked for."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.scores.lists import ListScores
from rerankit.scores.protocol import Scores
from rerankit.scores.topk import topk_in_blocks


def summed(scores: Scores, weight: float, others: Scores) -> Scores:
    """`weight` · scores + others, cell by cell: where `scores` are lists, of the cells that they list.

    >>> from rerankit import DenseScores
    >>> summed(ListScores([[1]], [[2.0]], columns=2), 3.0, DenseScores([[5.0, 7.0]])).rows()
    array([[-inf,  13.]], dtype=float32)
    """
    if not isinstance(scores, ListScores):
        return SummedScores(scores, weight, others)
    values = scores.values * np.float32(weight) + others.pairs(scores.row_of_cell, scores.columns)
    return ListScores.from_cells(scores.row_of_cell, scores.columns, values, scores.shape)


class SummedScores:
    """`weight` · scores + others, two forms of scores of one shape, which may lie on disk or be products of vectors.

    >>> from rerankit import DenseScores
    >>> SummedScores(DenseScores([[1.0, 2.0]]), 3.0, DenseScores([[5.0, 1.0]])).topk(1)
    (array([[0]]), array([[8.]], dtype=float32))
    """

    def __init__(self, scores: Scores, weight: float, others: Scores) -> None:
        self._scores, self._weight, self._others = scores, np.float32(weight), others
        self.complete = scores.complete

    def __repr__(self) -> str:
        return f"SummedScores({self._weight:g} · {self._scores!r} + {self._others!r})"

    @property
    def shape(self) -> tuple[int, int]:
        return self._scores.shape

    @property
    def T(self) -> SummedScores:  # noqa: N802
        return SummedScores(self._scores.T, self._weight, self._others.T)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        found: FloatArray = self._scores.rows(rows) * self._weight + self._others.rows(rows)
        return found

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        found: FloatArray = self._scores.pairs(rows, columns) * self._weight + self._others.pairs(rows, columns)
        return found

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        return topk_in_blocks(self, k)

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> SummedScores:
        return SummedScores(self._scores.take(rows, columns), self._weight, self._others.take(rows, columns))
