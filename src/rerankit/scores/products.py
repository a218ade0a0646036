"""Scores of two sets of vectors as exact numbers: a score has the same bits in any block and any number of threads."""

from __future__ import annotations

from typing import Literal

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.errors import rule
from rerankit.finite import LEAST_SCORE, check_scores
from rerankit.scores.blocks import pieces
from rerankit.scores.lengths import Doubles, squares_of
from rerankit.scores.matrix_product import product_into
from rerankit.scores.vectors import GridVectors
from rerankit.threads import in_threads

VectorMetric = Literal["cosine", "dot", "euclidean"]
_CACHED = 1_000_000  # bytes of gathered vectors that are read again before they leave the cache
_FEW_ROWS = 8
_COLUMNS_OF_FEW = 1024  # columns whose vectors stay in a thread's cache
PRODUCT_COLUMNS = 4096  # columns whose products with a block are made at once
_TOGETHER = 64  # rows whose candidates a thread reads
_FEW_ITEMS = 16  # of so few columns, all of a thread's are read at once
_HELD = 1.0  # share of the memory budget that the columns may take on their grid while they are searched
_NEAR = 2.0**-10  # squared distances below this share of the squared lengths are made from differences


class Products:
    """Scores (rows, columns) of two sets of vectors by one of the metrics, made in double precision from the grid on
    which they are exact (`GridVectors`).

    >>> Products("dot", GridVectors([[1.0, 2.0]]), GridVectors([[3.0, 1.0], [0.0, 1.0]])).rows(slice(None))
    array([[5., 2.]], dtype=float32)
    """

    def __init__(self, metric: VectorMetric, rows: GridVectors, columns: GridVectors) -> None:
        self.metric: VectorMetric = metric
        self.of_rows, self.of_columns = rows, columns

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.of_rows), len(self.of_columns)

    @property
    def T(self) -> Products:  # noqa: N802 - as for scores
        """The same with rows and columns exchanged."""
        return Products(self.metric, self.of_columns, self.of_rows)

    def holding(self) -> Products:
        """The same with the columns kept on their grid, where the memory budget has room for them."""
        fits = 4 * self.of_rows.width * len(self.of_columns) <= settings.memory_budget() * _HELD
        if not fits:
            return self
        columns = self.of_columns.holding()
        return Products(self.metric, columns if self.of_rows is self.of_columns else self.of_rows, columns)

    def rows(self, rows: slice | IntArray) -> FloatArray:
        """Whole rows (rows, columns)."""
        chosen = np.arange(len(self.of_rows))[rows]
        block = np.empty((len(chosen), len(self.of_columns)), np.float32)
        vectors = self.of_rows.doubles(chosen)
        # A matrix library uses all processors for many rows; for a few, what takes time is reading the columns.
        few = len(chosen) <= _FEW_ROWS
        width = _COLUMNS_OF_FEW if few else PRODUCT_COLUMNS
        room = np.empty(0 if few else len(chosen) * min(width, len(self.of_columns)))

        def one(at: int) -> None:
            _into_float32(self._part_of_rows(vectors, chosen, slice(at, at + width), room), block[:, at : at + width])

        starts = range(0, len(self.of_columns), width)
        if few:
            in_threads(one, starts)
        else:
            for at in starts:
                one(at)
        return self._finite(block, chosen)

    def _part_of_rows(self, vectors: Doubles, chosen: IntArray, part: slice, room: Doubles) -> Doubles:
        """The scores (rows, columns) of some rows' vectors and a run of columns; those of many rows are in `room`."""
        columns = self.of_columns.doubles(part)
        products: Doubles
        if len(vectors) > _FEW_ROWS:
            products = room[: len(vectors) * len(columns)].reshape(len(vectors), len(columns))
            product_into(products, vectors, columns)
        else:  # in rerankit's own threads, where those of a matrix library would be in each other's way
            products = np.stack([_inner(columns, vector) for vector in vectors])
        if self.metric == "euclidean":
            numbers = np.arange(part.start, part.start + len(columns))
            squares = squares_of(vectors)[:, None] + squares_of(columns)
            products = self._distances(products, squares, chosen[:, None], numbers[None])
        return products

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single cells; the two index arrays broadcast against each other."""
        held = self.of_columns.held is not None
        if held and rows.shape == (1, 1) and columns.ndim == 2 and len(columns) == 1 and self.metric != "euclidean":
            return self._of_one(int(rows[0, 0]), columns)
        if rows.shape != (1, 1) or columns.ndim != 2:  # the candidates of one query
            rows, columns = np.broadcast_arrays(rows, columns)
        if columns.size >= len(self.of_columns) and not held:
            holding = self.holding()
            if holding is not self:
                return holding.pairs(rows, columns)
        lists = self.metric != "euclidean" and rows.ndim == 2 and (held or len(rows) > 1)
        if lists and (rows == rows[:, :1]).all():
            return self.first_of(rows[:, 0], columns, np.full(len(rows), columns.shape[1]))
        rows, columns = np.broadcast_arrays(rows, columns)
        rows, columns, shape = rows.reshape(-1), columns.reshape(-1), rows.shape
        cells = np.empty(rows.size, np.float32)
        step = max(1, min(settings.memory_budget(), _CACHED) // (24 * self.of_rows.width))
        alone = self.of_rows.doubles(slice(0, 1)) if len(self.of_rows) == 1 else None  # the one row, for all pairs

        def one(start: int) -> None:
            block = slice(start, start + step)
            mine = alone if alone is not None else _each_once(self.of_rows, rows[block])
            other = self.of_columns.doubles(columns[block])
            products: Doubles = _inner(np.broadcast_to(mine, other.shape), other)
            if self.metric == "euclidean":
                squares = squares_of(mine) + squares_of(other)
                products = self._distances(products, squares, rows[block], columns[block])
            cells[block] = _to_float32(products)

        in_threads(one, range(0, rows.size, step))
        return self._finite(cells[:, None], rows).reshape(shape)

    def _of_one(self, row: int, columns: IntArray) -> FloatArray:
        """Scores (1, k) of the candidates of one query, of vectors that are kept: every call costs as much as many
        numbers, and nothing is copied that need not be.
        """
        assert self.of_columns.held is not None, "asked by the caller"
        vectors = self.of_columns.held.vectors.take(columns[0], axis=0)
        found = _to_float32(_inner(vectors.astype(np.float64), self.of_rows.doubles(slice(row, row + 1))[0]))[None]
        return self._finite(found, np.array([row]))

    def first_of(
        self, rows: IntArray, items: IntArray, counts: IntArray, vectors: FloatArray | None = None
    ) -> FloatArray:
        """Scores (rows, k) of the first columns named for every row, as many as `counts` says; −inf behind them.
        `vectors` are the rows' (rows, d), where they were read.
        """
        known = np.arange(items.shape[1]) < counts[:, None]
        if self.metric == "euclidean":
            return np.where(known, self.pairs(rows[:, None], items), np.float32(-np.inf))
        scores = np.full(items.shape, -np.inf, np.float32)

        def one(start: int) -> None:
            block = slice(start, start + _TOGETHER)
            columns, named = _read_once(self.of_columns, items[block], known[block])
            most = int(counts[block].max(initial=0))
            own = self.of_rows.doubles(rows[block]) if vectors is None else vectors[block].astype(np.float64)
            if most <= _FEW_ITEMS:  # what takes time is every call, not its numbers
                each = columns[named[:, :most]].astype(np.float64)
                found = _to_float32(_inner(each, own[:, None]))
                scores[block, :most] = np.where(known[block, :most], found, -np.inf)
                return
            # Made once: fresh memory for each row costs more than the numbers.
            buffer, exact = np.empty((most, self.of_rows.width)), np.full((len(own), most), -np.inf)
            for row, (vector, count) in enumerate(zip(own, counts[block].tolist(), strict=True)):
                np.copyto(buffer[:count], columns.take(named[row, :count], axis=0))
                exact[row, :count] = _inner(buffer[:count], vector)
            scores[block, :most] = _to_float32(exact)

        in_threads(one, range(0, len(rows), _TOGETHER))
        if self.metric != "cosine":
            self._finite(np.where(known, scores, 0), rows)
        return scores

    def _distances(self, products: Doubles, squares: Doubles, rows: IntArray, columns: IntArray) -> Doubles:
        """Minus the distances, from inner products and the sums of both squared lengths."""
        products *= -2
        products += squares
        # A small difference of large squares has few digits of the vectors left in it.
        near = products < _NEAR * squares
        np.sqrt(products, out=products, where=~near)
        cells = np.nonzero(near)
        rows, columns = np.broadcast_to(rows, near.shape)[cells], np.broadcast_to(columns, near.shape)[cells]
        products[cells] = self._near_distances(rows, columns)
        return np.negative(products, out=products)

    def _near_distances(self, rows: IntArray, columns: IntArray) -> Doubles:
        found = np.empty(len(rows))
        step = max(1, min(settings.memory_budget(), _CACHED) // (24 * self.of_rows.width))
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            difference = self.of_rows.raw(rows[block]) - self.of_columns.raw(columns[block])
            found[block] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return found

    def _finite(self, scores: FloatArray, rows: IntArray) -> FloatArray:
        if self.metric == "cosine":
            return scores
        argument = f"scores of '{self.metric}' embeddings"
        check_scores(scores, argument, rows)
        if self.metric == "dot" and scores.size and not scores.any() and 0 < self._largest() < LEAST_SCORE:
            raise rule(argument, f"must not all be nearer to 0 than {LEAST_SCORE:g}: multiply the vectors", "0")
        return scores

    def _largest(self) -> float:
        """No product is larger."""
        return self.of_rows.longest() * self.of_columns.longest()

    # -- the same in single precision, whose errors have a bound ----------------------------------------------

    def fast(self, rows: FloatArray, columns: FloatArray, squares: Doubles | None, room: FloatArray) -> FloatArray:
        """Scores (rows, columns) of vectors that were read, or what has their order, as near as `doubt` says. They are
        made in `room`, numbers of which there are enough: fresh memory for every tile costs a tenth of its product.
        """
        product: FloatArray = room[: len(rows) * len(columns)].reshape(len(rows), len(columns))
        product_into(product, rows, columns)
        if squares is not None:  # minus squared distances have the same order
            product *= 2
            product -= squares_of(rows).astype(np.float32)[:, None]
            product -= squares.astype(np.float32)
        return product

    def doubt(self, rows: IntArray) -> AnyArray:
        """By how much fast scores must differ, (rows, 1) or (1, 1), to leave no doubt which exact one is higher."""
        unit = self.metric == "cosine"
        reach = (1.0, 1.0) if unit else (self.of_rows.lengths()[rows], self.of_columns.longest())
        size = np.square(reach[0] + reach[1]) if self.metric == "euclidean" else reach[0] * reach[1]
        # Sums of d products, each rounded, in any order; and the rounding of the exact score and of its vectors, and of
        # what is taken from it. Next to 0 what is rounded away is no share of a product.
        error = (self.of_rows.width + 16) * (2.0**-24 * size + 2.0**-126)
        return np.reshape(4 * error, (-1, 1))


def _read_once(vectors: GridVectors, items: IntArray, known: BoolArray) -> tuple[AnyArray, IntArray]:
    """The vectors that some items (rows, k) name where they are known, and the items as numbers of these."""
    if vectors.held is not None:
        return vectors.held.vectors, items
    wanted, places = np.unique(items[known], return_inverse=True)
    named = np.zeros(items.shape, np.int64)
    named[known] = places.reshape(-1)
    return vectors.doubles(wanted), named


def _each_once(vectors: GridVectors, rows: IntArray) -> Doubles:
    """The vectors (rows, d) that are named; one that is named several times is read once."""
    if vectors.held is not None:
        return vectors.doubles(rows)
    distinct, places = np.unique(rows, return_inverse=True)
    return vectors.doubles(distinct)[places]


def _inner(left: Doubles, right: Doubles) -> Doubles:
    """Inner products (…,) of vectors (…, d) on the grid, where the order of sums is no matter: one call of a matrix
    library for each is more than twice as fast as `einsum`, and none is so long that it would start threads.
    """
    products: Doubles = np.matmul(left[..., None, :], right[..., :, None])[..., 0, 0]
    return products


def _to_float32(products: Doubles) -> FloatArray:
    with np.errstate(over="ignore"):
        return products.astype(np.float32)


def _into_float32(products: Doubles, found: FloatArray) -> None:
    """The same of many rows, in all threads."""

    def one(part: slice) -> None:
        with np.errstate(over="ignore"):
            np.copyto(found[part], products[part], casting="same_kind")

    in_threads(one, pieces(*found.shape))
