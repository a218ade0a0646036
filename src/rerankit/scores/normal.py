"""Scores read through the increasing map that spreads them as normal ones are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.lists import ListScores
from rerankit.scores.protocol import Scores

_LOOKED_AT = np.linspace(-6, 6, 241)  # standard deviations
_END = 0.5  # standard deviations: the outermost ones say how steep the map is beyond the values it is made of


@dataclass(frozen=True)
class NormalMap:
    """An increasing map of scores, straight between `values` (ascending), which become `normal`, and beyond them.

    >>> tails = NormalMap.of(np.exp(np.random.default_rng(0).normal(size=10_000)))
    >>> tails(np.exp(np.array([-1.0, 0.0, 1.0, 2.0]))).round(1)
    array([-1.,  0.,  1.,  2.], dtype=float32)
    """

    values: AnyArray
    normal: AnyArray

    @classmethod
    def of(cls, some: AnyArray, cells: int | None = None) -> NormalMap:
        """The map that makes `some` scores, two different ones at least, normal: the place of each among them says what
        it becomes, and the mean place of equal ones. Of `cells` scores in all, the others are taken to be lower.
        """
        from scipy.special import ndtr, ndtri  # the program starts without scipy

        ordered = np.sort(some, axis=None).astype(np.float64)
        count = cells or len(ordered)
        lower = count - len(ordered)
        places = np.clip((ndtr(_LOOKED_AT) * count).astype(np.int64) - lower, 0, len(ordered) - 1)
        values = np.unique(ordered[places])
        below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
        return cls(values, ndtri((lower + below / 2) / count))

    def __call__(self, scores: AnyArray) -> FloatArray:
        """Scores of any shape as normal ones; −inf stays."""
        found = np.interp(scores, self.values, self.normal)
        lower, upper = self._slopes
        for end, slope, outside in ((0, lower, scores < self.values[0]), (-1, upper, scores > self.values[-1])):
            if outside.any():
                found = np.where(outside, self.normal[end] + slope * (scores - self.values[end]), found)
        return found.astype(np.float32)

    @cached_property
    def _slopes(self) -> tuple[float, float]:
        """How steep the map is below its values and above them."""
        above = min(max(1, int(np.searchsorted(self.normal, self.normal[0] + _END))), len(self.values) - 1)
        below = int(np.searchsorted(self.normal, self.normal[-1] - _END, side="right")) - 1
        below = min(max(0, below), len(self.values) - 2)
        rise, run = (each[[above, -1]] - each[[0, below]] for each in (self.normal, self.values))
        lower, upper = (rise / run).tolist()
        return lower, upper

    def knots(self) -> AnyArray:
        """Values, and what they become (2, knots): the map itself, to be written."""
        return np.stack([self.values, self.normal])

    def over(self, scores: Scores) -> Scores:
        """The same scores, read through the map: lists stay lists."""
        if isinstance(scores, ListScores):
            return ListScores.from_cells(scores.row_of_cell, scores.columns, self(scores.values), scores.shape)
        return MappedScores(scores, self)


class MappedScores:
    """Scores read through an increasing map when they are asked for.

    >>> from rerankit import DenseScores
    >>> MappedScores(DenseScores([[1.0, 3.0]]), NormalMap(np.array([0.0, 4.0]), np.array([-2.0, 2.0]))).rows()
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scores: Scores, through: NormalMap) -> None:
        self._scores, self._map = scores, through
        self.complete = scores.complete

    def __repr__(self) -> str:
        return f"MappedScores({self._scores!r})"

    @property
    def shape(self) -> tuple[int, int]:
        return self._scores.shape

    @property
    def T(self) -> MappedScores:  # noqa: N802
        return MappedScores(self._scores.T, self._map)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        return self._map(self._scores.rows(rows))

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        return self._map(self._scores.pairs(rows, columns))

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        indices, scores = self._scores.topk(k)
        return indices, self._map(scores)

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> MappedScores:
        return MappedScores(self._scores.take(rows, columns), self._map)
