"""Embeddings whose first items are wanted anyway: whatever goes over all pairs finds them on its way."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.above import Above
from rerankit.scores.counting import counts_above
from rerankit.scores.embedding import EmbeddingScores
from rerankit.scores.products import Products
from rerankit.scores.search import Ends, Lists, OfColumns, first_of_both, first_of_rows
from rerankit.scores.topk import topk_dense


class Searching(EmbeddingScores):
    """The same scores, which keep the first `k` columns of every row from the first work that reads all pairs, so that
    looking for them costs no second pass.

    >>> scores = Searching(EmbeddingScores([[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [3.0, 0.0]]), 1)
    >>> scores.rows(slice(0, 1)), scores.rows(slice(1, 2)), scores.found[0].tolist()
    (array([[0., 1.]], dtype=float32), array([[1., 0.]], dtype=float32), [[1], [0]])
    """

    def __init__(self, scores: EmbeddingScores, k: int) -> None:
        self._products: Products = scores._products.holding()
        self._k = min(k, scores.shape[1])
        self._next = 0  # the first row that has not been read
        self._parts: list[Lists] = []
        self._above: Above | None = None
        self._rows_wanted = 0
        self._first_rows: Lists | None = None

    def of_found(self, rows: slice | IntArray, items: IntArray) -> FloatArray | None:
        """The scores (rows, K) of some rows' first columns, best first, where these are known and are `items`."""
        if self._first is None:
            return None
        known, scores = (each[rows, : items.shape[1]] for each in self._first)
        return np.array(scores) if np.array_equal(known, items) else None

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        lists = columns.ndim == 2 and rows.shape == (len(columns), 1)
        known = self.of_found(rows[:, 0], columns) if lists else None
        return super().pairs(rows, columns) if known is None else known

    @property
    def found(self) -> Lists | None:
        """The first columns and their scores (rows, k), where they are known already."""
        return self._first

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        values = super().rows(rows)
        if self._first is None and isinstance(rows, slice):
            self._note(rows.start or 0, values)
        return values

    def _note(self, start: int, values: FloatArray) -> None:
        """Keep the first of rows that are read one after the other, from the beginning."""
        if not start:
            self._next, self._parts = 0, []
        if start == self._next:
            self._next += len(values)
            self._parts.append(topk_dense(values, self._k))
        if self._next == len(self._rows):
            self._first = np.concatenate([p[0] for p in self._parts]), np.concatenate([p[1] for p in self._parts])

    def topk(self, k: int) -> Lists:
        if self._first is None and k <= self._k:
            if self._rows_wanted and self._first_rows is None:
                self._first, self._first_rows = first_of_both(self._products, self._k, OfColumns(self._rows_wanted))
            else:
                self._first = first_of_rows(self._products, self._k, self._above)
        return super().topk(k)

    def both_ways(self, k: int) -> None:
        """Find the first `k` rows of every column, too, in the pass that finds the first columns: `T` knows them."""
        self._rows_wanted = min(k, self.shape[0])

    @property
    def T(self) -> EmbeddingScores:  # noqa: N802
        turned = super().T
        turned._first = self._first_rows
        return turned

    def counting(self, less: AnyArray | None, some: IntArray) -> None:
        """Keep, from the pass that finds the first columns, what tells how many rows score above them, less `less`
        (rows,); `some` rows say how high these are.
        """
        lists = self.take(some).topk(self._k)[1]
        self._above = Above(self._less(less), lists[:, -1] - self._less(less)[some].astype(np.float32))

    def counts_above(
        self, columns: IntArray, values: FloatArray, less: AnyArray | None, rows: IntArray | None = None
    ) -> tuple[IntArray, IntArray]:
        kept = self._above
        if kept is not None and not np.array_equal(kept.less, self._less(less).astype(np.float32)):
            kept = None
        return counts_above(self._products, columns, values, self._less(less), rows, kept)

    def ends(self, k: int, of_columns: int = 0) -> tuple[Ends, Ends | None] | None:
        found = super().ends(max(k, self._k), of_columns) if self._first is None else None
        if found is None:
            return super().ends(k, of_columns)
        first, scores = found[0].first
        self._first = first[:, : self._k].copy(), scores[:, : self._k].copy()
        return Ends((first[:, :k], scores[:, :k]), found[0].lowest), found[1]

    def column_highest(self, k: int, less: AnyArray | None) -> FloatArray:
        columns = OfColumns(min(k, self.shape[0]), self._less(less))
        lists, highest = first_of_both(self._products, 0 if self._first else self._k, columns)
        self._first = lists or self._first
        return highest[1]
