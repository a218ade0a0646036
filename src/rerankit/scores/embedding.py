"""Scores that are computed from embeddings, block by block, when they are asked for."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray, float32
from rerankit.errors import rule, unknown_name
from rerankit.scores.blocks import blocks
from rerankit.scores.counting import counts_above
from rerankit.scores.lengths import Doubles
from rerankit.scores.products import Products, VectorMetric
from rerankit.scores.search import Ends, Lists, OfColumns, ends_of_both, first_of_both, first_of_rows
from rerankit.scores.topk import order
from rerankit.scores.vectors import GridVectors, Held

_CENTRE_ROWS = 4096
_KEPT_ROWS = 64  # rows of which answers are kept, since a search and then several stages ask for the same
_COLUMNS = 4096  # gallery items that are summed up at once
_LEAST = 64  # rows that are worked on together, however small the memory budget


class EmbeddingScores:
    """Similarities of two sets of vectors, (rows, d) and (columns, d); nothing N × N is ever kept.

    `euclidean` gives minus the distance, so that higher is better as everywhere. A score is one number,
    whatever it was read with: `rows`, `pairs`, `topk` and `T` agree to the bit (see `GridVectors`).

    >>> EmbeddingScores([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]], "cosine").topk(1)
    (array([[1]]), array([[1.]], dtype=float32))
    """

    complete = True
    told = False
    """Whether the first columns of every row were told (`knowing`)."""
    _first: Lists | None = None
    _latest: tuple[IntArray, IntArray, FloatArray] | None = None

    def __init__(self, queries: Any, gallery: Any, metric: VectorMetric = "cosine") -> None:
        _check_metric(metric)
        columns = GridVectors(gallery, "gallery", unit=metric == "cosine")
        rows = GridVectors(queries, "queries", unit=metric == "cosine")
        if metric == "euclidean":
            centre = _centre_of(columns.array)
            rows, columns = rows.around(centre), columns.around(centre)
        if rows.width != columns.width:
            raise rule("gallery", f"must have the queries' width, {rows.width}", f"shape {columns.array.shape}")
        self._products = Products(metric, rows, columns)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"EmbeddingScores({rows} × {columns}, {self.metric}, width {self._rows.width})"

    @property
    def metric(self) -> VectorMetric:
        """How vectors are compared."""
        return self._products.metric

    @property
    def _rows(self) -> GridVectors:
        return self._products.of_rows

    @property
    def _columns(self) -> GridVectors:
        return self._products.of_columns

    @property
    def queries(self) -> AnyArray:
        """The rows' vectors (rows, d) as given."""
        return self._rows.array

    @property
    def gallery(self) -> AnyArray:
        """The columns' vectors (columns, d) as given."""
        return self._columns.array

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._rows), len(self._columns)

    @property
    def T(self) -> EmbeddingScores:  # noqa: N802
        return self._view(self._columns, self._rows)

    def holding(self) -> EmbeddingScores:
        """The same with the columns' vectors kept on their grid, where the memory budget has room for them: for work
        that reads all pairs.
        """
        products = self._products.holding()
        return self._view(products.of_rows, products.of_columns)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        return self._products.rows(slice(None) if rows is None else rows)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        if columns.flags.writeable or len(self._rows) > _KEPT_ROWS:
            return self._products.pairs(rows, columns)
        known = self._latest  # several stages ask for the scores of the same candidates of a few queries
        if known is not None and known[1] is columns and np.array_equal(known[0], rows):
            return np.array(known[2])
        found = self._products.pairs(rows, columns)
        self._latest = rows, columns, np.array(found)
        return found

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        k = min(k, self.shape[1])
        known = self._first
        if known is not None and known[0].shape[1] >= k:
            return known[0][:, :k].copy(), known[1][:, :k].copy()
        found = first_of_rows(self._products, k)
        if self.shape[0] <= _KEPT_ROWS:
            self._first = found[0].copy(), found[1].copy()
        return found

    def knowing(self, columns: IntArray) -> EmbeddingScores:
        """The same scores with the first columns of every row (rows, K) known, in any order: the first k up to K are
        not searched again.
        """
        made = self._view(self._rows, self._columns)
        values = self.pairs(np.arange(len(columns))[:, None], columns)
        made._first, made.told = order(values, columns), True
        return made

    def column_highest(self, k: int, less: AnyArray | None) -> FloatArray:
        """The k highest scores of every column (columns, k), best first, less `less` (rows,) of each row."""
        return first_of_both(self._products, 0, OfColumns(min(k, self.shape[0]), self._less(less)))[1][1]

    def ends(self, k: int, of_columns: int = 0) -> tuple[Ends, Ends | None] | None:
        """The first k and the lowest score of every row and, where some are asked for, those of every column, from one
        pass; None where there are too few of them.
        """
        return ends_of_both(self._products, k, of_columns)

    def part(self, rows: slice, columns: slice) -> EmbeddingScores:
        """The scores between some neighbouring rows and columns; nothing is copied."""
        return self._view(self._rows.take(rows), self._columns.take(columns))

    def counts_above(
        self, columns: IntArray, values: FloatArray, less: AnyArray | None, rows: IntArray | None = None
    ) -> tuple[IntArray, IntArray]:
        """How many rows score above each value (n,) in its column (n,), which ascend, and how many score as much, after
        `less` (rows,) is taken from each row's scores; `rows` (n,) says whose the values are, if they are scores. Not
        for distances.
        """
        return counts_above(self._products, columns, values, self._less(less), rows)

    def _less(self, less: AnyArray | None) -> AnyArray:
        return np.zeros(self.shape[0]) if less is None else less

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> EmbeddingScores:
        made = self._view(self._rows.take(rows), self._columns.take(columns))
        if self._first is not None and rows is not None and columns is None and not self.told:
            made._first = self._first[0][rows], self._first[1][rows]
        return made

    def marks_of_rows(self) -> FloatArray:
        """A number for each row (rows,) that depends on its vector alone."""
        direction = np.random.default_rng(0).normal(size=self._rows.width)
        return self.products_of_rows(direction).astype(np.float32)

    def mean_column(self) -> AnyArray | None:
        """The mean (d,) of the columns' vectors, whose product with a row's is the mean of its scores; None where
        scores are no products.
        """
        if self.metric == "euclidean":
            return None
        parts = (slice(at, at + _COLUMNS) for at in range(0, len(self._columns), _COLUMNS))
        total: Doubles = np.sum([self._columns.doubles(part).sum(axis=0) for part in parts], axis=0)
        return total / len(self._columns)

    def products_of_rows(self, vector: AnyArray) -> Doubles:
        """The product (rows,) of every row's vector with another (d,)."""
        found = np.empty(len(self._rows))
        for block in blocks(len(found), self._rows.width * 24, least=_LEAST):
            found[block] = np.einsum("ij,j->i", self._rows.doubles(np.arange(block.start, block.stop)), vector)
        return found

    @classmethod
    def within(cls, vectors: Any, metric: VectorMetric = "cosine", argument: str = "vectors") -> EmbeddingScores:
        """Similarities of vectors (n, d) to each other, kept so that new rows are compared with them at once.

        >>> EmbeddingScores.within([[0.0, 2.0], [3.0, 0.0]]).with_rows([[1.0, 0.0]]).rows()
        array([[0., 1.]], dtype=float32)
        """
        _check_metric(metric)
        items = GridVectors(vectors, argument, unit=metric == "cosine")
        if metric == "euclidean":
            items = items.around(_centre_of(items.array))
        return cls._of(metric, items.holding())

    @classmethod
    def _of(cls, metric: VectorMetric, items: GridVectors) -> EmbeddingScores:
        made = object.__new__(cls)
        made._products = Products(metric, items, items)
        return made

    @property
    def held_rows(self) -> Held | None:
        """What is kept of the rows, if anything is."""
        return self._rows.held

    @property
    def standing(self) -> GridVectors:
        """The columns' vectors with what is kept of them."""
        return self._columns.holding()

    @classmethod
    def of_standing(cls, metric: VectorMetric, items: GridVectors) -> EmbeddingScores:
        """Similarities to each other of vectors that are kept."""
        return cls._of(metric, items)

    def changed(self, kept: IntArray, more: EmbeddingScores | None) -> EmbeddingScores:
        """`within` of some of the items and behind them of those of other scores of the same metric."""
        items = self._columns if len(kept) == len(self._columns) else self._columns.take(kept)
        if self.metric == "euclidean":  # the point amid them is another
            parts = [items.array] if more is None else [items.array, more.gallery]
            return EmbeddingScores.within(np.concatenate(parts), self.metric)
        return self._of(self.metric, items if more is None else items.followed_by(more._columns))

    def with_rows(self, vectors: Any, argument: str = "queries", *, held: Held | bool = False) -> EmbeddingScores:
        """Similarities of other vectors (n, d) to the same columns, of which nothing is computed again.

        With `held` the rows are kept on the grid, too.
        """
        rows = GridVectors(vectors, argument, unit=self.metric == "cosine")
        if rows.width != self._columns.width:
            raise rule(argument, f"must have the gallery's width, {self._columns.width}", f"shape {rows.array.shape}")
        rows = rows if self._columns.centre is None else rows.around(self._columns.centre)
        if held:
            rows = rows.holding() if isinstance(held, bool) else rows.with_held(held)
        return self._view(rows, self._columns)

    def distinct_rows(self) -> IntArray:
        """The numbers of the rows whose vectors equal none before them, found once for these vectors."""
        return self._rows.distinct

    def sampled_rows(self, count: int) -> IntArray:
        """The rows (count,), ascending, that a mix of their vectors' bits comes out lowest for; found once."""
        return self._rows.sampled(count)

    def beside(self, other: EmbeddingScores) -> EmbeddingScores:
        """Similarities of these rows to the columns of other scores of the same metric, of which nothing is computed
        again (but of distances, which are measured from a point amid the columns).
        """
        if self.metric == "euclidean":
            return other.with_rows(self.queries, held=True)
        return self._view(self._rows, other._columns)

    def facing(self, other: EmbeddingScores) -> EmbeddingScores:
        """Similarities of these rows to the rows of other scores with the same columns."""
        return self._view(self._rows, other._rows)

    def among_rows(self) -> EmbeddingScores:
        """Similarities of the rows' vectors to each other; what was checked is not checked again."""
        return self._among(self._rows)

    def among_columns(self) -> EmbeddingScores:
        """Similarities of the columns' vectors to each other."""
        return self._among(self._columns)

    def _among(self, vectors: GridVectors) -> EmbeddingScores:
        if self.metric == "euclidean":
            vectors = vectors.around(_centre_of(vectors.array))
        return self._view(vectors, vectors)

    def _view(self, rows: GridVectors, columns: GridVectors) -> EmbeddingScores:
        view = object.__new__(EmbeddingScores)
        view._products = Products(self.metric, rows, columns)
        return view


def _check_metric(metric: str) -> None:
    if metric not in get_args(VectorMetric):
        raise unknown_name("metric", str(metric), get_args(VectorMetric))


def _centre_of(gallery: AnyArray) -> FloatArray:
    """A point amid the vectors, (d,)."""
    centre: FloatArray = float32(gallery[:_CENTRE_ROWS], "gallery").mean(axis=0, dtype=np.float64).astype(np.float32)
    return centre
