"""Scores that are computed from embeddings, block by block, when they are asked for."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray, check_finite, float32
from rerankit.errors import rule, unknown_name
from rerankit.scores.blocks import blocks
from rerankit.scores.topk import merge, order, topk_dense
from rerankit.scores.vectors import Doubles, Held, Vectors, squares_of
from rerankit.threads import in_threads

Metric = Literal["cosine", "dot", "euclidean"]
_CENTRE_ROWS = 4096
_CACHED = 1_000_000  # bytes of gathered vectors that are read again before they leave the cache
_FEW_ROWS = 8
_COLUMNS_OF_FEW = 1024  # gallery items whose vectors stay in a thread's cache
_KEPT_ROWS = 64  # rows of which answers are kept, since a search and then several stages ask for the same
_COLUMNS = 4096  # gallery items whose exact products with a block are made at once
_WIDEST = 131_072  # the most gallery items that are looked through at once
_LEAST = 64  # rows that are worked on together, however small the memory budget: the gallery is read for each block
_MORE = 16  # candidates beyond k, and a quarter of k, whose exact scores decide what the fast product cannot
_NARROW = 16  # times as many items as candidates: of fewer, all exact scores cost no more
_HELD = 1.0  # share of the memory budget that the gallery may take on its grid while it is searched
_NEAR = 2.0**-10  # squared distances below this share of the squared lengths are made from differences


class EmbeddingScores:
    """Similarities of two sets of vectors, (rows, d) and (columns, d); nothing N × N is ever kept.

    `euclidean` gives minus the distance, so that higher is better as everywhere. A score is one number,
    whatever it was read with: `rows`, `pairs`, `topk` and `T` agree to the bit (see `Vectors`).

    >>> EmbeddingScores([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]], "cosine").topk(1)
    (array([[1]]), array([[1.]], dtype=float32))
    """

    complete = True
    _first: tuple[IntArray, FloatArray] | None = None
    _latest: tuple[IntArray, IntArray, FloatArray] | None = None

    def __init__(self, queries: Any, gallery: Any, metric: Metric = "cosine") -> None:
        _check_metric(metric)
        self.metric: Metric = metric
        self._columns = Vectors(gallery, "gallery", unit=metric == "cosine")
        self._rows = Vectors(queries, "queries", unit=metric == "cosine")
        if metric == "euclidean":
            centre = _centre_of(self._columns.array)
            self._rows, self._columns = self._rows.around(centre), self._columns.around(centre)
        if self._rows.width != self._columns.width:
            raise rule(
                "gallery", f"must have the queries' width, {self._rows.width}", f"shape {self._columns.array.shape}"
            )

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"EmbeddingScores({rows} × {columns}, {self.metric}, width {self._rows.width})"

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

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        chosen = np.arange(len(self._rows))[slice(None) if rows is None else rows]
        block = np.empty((len(chosen), len(self._columns)), np.float32)
        queries = self._rows.doubles(chosen)
        # A matrix library uses all processors for many rows; for a few, what takes time is reading the gallery.
        few = len(chosen) <= _FEW_ROWS
        width = _COLUMNS_OF_FEW if few else _COLUMNS

        def one(at: int) -> None:
            block[:, at : at + width] = self._part_of_rows(queries, chosen, slice(at, at + width))

        starts = range(0, len(self._columns), width)
        if few:
            in_threads(one, starts)
        else:
            for at in starts:
                one(at)
        return self._finite(block, chosen)

    def _part_of_rows(self, queries: Doubles, chosen: IntArray, part: slice) -> FloatArray:
        """The scores (rows, columns) of some rows' vectors and a run of columns."""
        gallery = self._columns.doubles(part)
        products: Doubles
        if len(queries) > _FEW_ROWS:
            products = queries @ gallery.T
        else:  # in threads of ours, where those of a matrix library would be in each other's way
            products = np.stack([np.einsum("nd,d->n", gallery, query) for query in queries])
        if self.metric == "euclidean":
            columns = np.arange(part.start, part.start + len(gallery))
            squares = squares_of(queries)[:, None] + squares_of(gallery)
            products = self._distances(products, squares, chosen[:, None], columns[None])
        return _to_float32(products)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        if columns.flags.writeable or len(self._rows) > _KEPT_ROWS:
            return self._pairs(rows, columns)
        known = self._latest  # several stages ask for the scores of the same candidates of a few queries
        if known is not None and known[1] is columns and np.array_equal(known[0], rows):
            return np.array(known[2])
        found = self._pairs(rows, columns)
        self._latest = rows, columns, np.array(found)
        return found

    def _pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        rows, columns = np.broadcast_arrays(rows, columns)
        if rows.size >= len(self._columns) and self._columns.held is None and self._has_room():
            return self._view(self._rows, self._columns.holding())._pairs(rows, columns)
        if self.metric != "euclidean" and len(rows) > 1 and rows.ndim == 2 and (rows == rows[:, :1]).all():
            return self._candidates(rows[:, 0], columns, np.full(len(rows), columns.shape[1]))
        rows, columns, shape = rows.reshape(-1), columns.reshape(-1), rows.shape
        cells = np.empty(rows.size, np.float32)
        step = max(1, min(settings.memory_budget(), _CACHED) // (24 * self._rows.width))
        alone = self._rows.doubles(slice(0, 1)) if len(self._rows) == 1 else None  # the one row, for all pairs
        for start in range(0, rows.size, step):
            block = slice(start, start + step)
            other = self._columns.doubles(columns[block])
            one = alone if alone is not None else self._rows.doubles(rows[block])
            products: Doubles = np.einsum("ij,ij->i", np.broadcast_to(one, other.shape), other)
            if self.metric == "euclidean":
                products = self._distances(products, squares_of(one) + squares_of(other), rows[block], columns[block])
            cells[block] = _to_float32(products)
        return self._finite(cells[:, None], rows).reshape(shape)

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        k = min(k, len(self._columns))
        known = self._first
        if known is not None and known[0].shape[1] >= k:
            return known[0][:, :k].copy(), known[1][:, :k].copy()
        found = self._topk(k)
        if len(self._rows) <= _KEPT_ROWS:
            self._first = found[0].copy(), found[1].copy()
        return found

    def _topk(self, k: int) -> tuple[IntArray, FloatArray]:
        more = min(k + k // 4 + _MORE, len(self._columns))
        if _NARROW * more < len(self._columns) and self._columns.held is None and self._has_room():
            return self._view(self._rows, self._columns.holding())._topk(k)
        # What is kept of a row while the gallery is gone through: its vector and its best so far.
        parts = [
            self._topk_of(np.arange(block.start, block.stop), k, more)
            for block in blocks(len(self._rows), self._rows.width * 4 + more * 24, share=0.25, least=_LEAST)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _has_room(self) -> bool:
        """Whether the columns' vectors on their grid fit the memory budget."""
        return 4 * self._rows.width * len(self._columns) <= settings.memory_budget() * _HELD

    def _topk_of(self, rows: IntArray, k: int, more: int) -> tuple[IntArray, FloatArray]:
        if len(self._columns) <= _NARROW * more:
            return self._exact_topk(rows, k)
        found, scores = self._by_fast_products(rows, more)
        # How many of each row's items may be among the exact first k; where all may be, further ones may be, too.
        counts = (scores[:, k - 1 : k] - scores <= self._doubt(rows)).sum(axis=1)
        clear = counts < more
        indices, values = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32)
        exact = order(self._candidates(rows[clear], found[clear], counts[clear]), found[clear])
        indices[clear], values[clear] = exact[0][:, :k], exact[1][:, :k]
        if not clear.all():  # many items at about the k-th score
            indices[~clear], values[~clear] = self._exact_topk(rows[~clear], k)
        return indices, values

    def _exact_topk(self, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        parts = [
            topk_dense(self.rows(rows[block]), k) for block in blocks(len(rows), len(self._columns) * 8, least=_LEAST)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _candidates(self, rows: IntArray, items: IntArray, counts: IntArray) -> FloatArray:
        """Exact scores (rows, k) of the first items of every row, as many as `counts` says; −inf behind them."""
        if self.metric == "euclidean":
            return np.where(np.arange(items.shape[1]) < counts[:, None], self.pairs(rows[:, None], items), -np.inf)
        scores = np.full(items.shape, -np.inf, np.float32)

        def one(start: int) -> None:
            block = slice(start, start + _LEAST)
            # Made once: fresh memory for each row costs more than the numbers.
            room = np.empty((int(counts[block].max()), self._rows.width))
            for row, vector in enumerate(self._rows.doubles(rows[block]), start):
                chosen = items[row, : counts[row]]
                vectors = self._columns.doubles_into(room[: len(chosen)], chosen)
                scores[row, : len(chosen)] = _to_float32(np.einsum("kd,d->k", vectors, vector))

        in_threads(one, range(0, len(rows), _LEAST))
        if self.metric != "cosine":
            self._finite(np.where(np.arange(items.shape[1]) < counts[:, None], scores, 0), rows)
        return scores

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> EmbeddingScores:
        return self._view(self._rows.take(rows), self._columns.take(columns))

    def marks_of_rows(self) -> FloatArray:
        """A number for each row (rows,) that depends on its vector alone."""
        return self.products_of_rows(np.random.default_rng(0).normal(size=self._rows.width)).astype(np.float32)

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
    def within(cls, vectors: Any, metric: Metric = "cosine", argument: str = "vectors") -> EmbeddingScores:
        """Similarities of vectors (n, d) to each other, kept so that new rows are compared with them at once.

        >>> EmbeddingScores.within([[0.0, 2.0], [3.0, 0.0]]).with_rows([[1.0, 0.0]]).rows()
        array([[0., 1.]], dtype=float32)
        """
        _check_metric(metric)
        items = Vectors(vectors, argument, unit=metric == "cosine")
        if metric == "euclidean":
            items = items.around(_centre_of(items.array))
        return cls._of(metric, items.holding())

    @classmethod
    def _of(cls, metric: Metric, items: Vectors) -> EmbeddingScores:
        made = object.__new__(cls)
        made.metric, made._rows, made._columns = metric, items, items
        return made

    @property
    def held_rows(self) -> Held | None:
        """What is kept of the rows, if anything is."""
        return self._rows.held

    @property
    def standing(self) -> Vectors:
        """The columns' vectors with what is kept of them."""
        return self._columns.holding()

    @classmethod
    def of_standing(cls, metric: Metric, items: Vectors) -> EmbeddingScores:
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
        rows = Vectors(vectors, argument, unit=self.metric == "cosine")
        if rows.width != self._columns.width:
            raise rule(argument, f"must have the gallery's width, {self._columns.width}", f"shape {rows.array.shape}")
        rows = rows if self._columns.centre is None else rows.around(self._columns.centre)
        if held:
            rows = rows.holding() if isinstance(held, bool) else rows.with_held(held)
        return self._view(rows, self._columns)

    def facing(self, other: EmbeddingScores) -> EmbeddingScores:
        """Similarities of these rows to the rows of other scores with the same columns."""
        return self._view(self._rows, other._rows)

    def among_rows(self) -> EmbeddingScores:
        """Similarities of the rows' vectors to each other; what was checked is not checked again."""
        return self._among(self._rows)

    def among_columns(self) -> EmbeddingScores:
        """Similarities of the columns' vectors to each other."""
        return self._among(self._columns)

    def _among(self, vectors: Vectors) -> EmbeddingScores:
        if self.metric == "euclidean":
            vectors = vectors.around(_centre_of(vectors.array))
        return self._view(vectors, vectors)

    def _view(self, rows: Vectors, columns: Vectors) -> EmbeddingScores:
        view = object.__new__(EmbeddingScores)
        view.metric, view._rows, view._columns = self.metric, rows, columns
        return view

    # -- exact scores ------------------------------------------------------------------------------------

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
        step = max(1, min(settings.memory_budget(), _CACHED) // (24 * self._rows.width))
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            difference = self._rows.raw(rows[block]) - self._columns.raw(columns[block])
            found[block] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return found

    def _finite(self, scores: FloatArray, rows: IntArray) -> FloatArray:
        if self.metric != "cosine":
            check_finite(scores, f"scores of '{self.metric}' embeddings", rows)
        return scores

    # -- the first items by a product in float32, whose errors have a bound -------------------------------------

    def _by_fast_products(self, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
        """The first k items of some rows by `_fast` scores, near enough to tell who may be first."""
        width = max(_COLUMNS, min(len(self._columns), _WIDEST, settings.memory_budget() // 4 // (4 * self._rows.width)))
        queries = self._rows.read(rows)
        work = list(blocks(len(rows), min(width, len(self._columns)) * 8, share=0.5, least=_LEAST))
        best: list[list[tuple[IntArray, FloatArray]]] = [[] for _ in work]
        for at in range(0, len(self._columns), width):
            gallery = self._columns.read(slice(at, at + width))
            squares = self._columns.squares(slice(at, at + width)) if self.metric == "euclidean" else None
            for place, block in enumerate(work):
                best[place].append(topk_dense(self._fast(queries[block], gallery, squares), k, at))
                best[place] = [merge(best[place], k)] if len(best[place]) > 1 else best[place]
        return tuple(np.concatenate([one[0][which] for one in best]) for which in (0, 1))  # type: ignore[return-value]

    def _fast(self, queries: FloatArray, gallery: FloatArray, squares: Doubles | None) -> FloatArray:
        product: FloatArray = queries @ gallery.T
        if squares is not None:  # minus squared distances have the same order
            product *= 2
            product -= squares_of(queries).astype(np.float32)[:, None]
            product -= squares.astype(np.float32)
        return product

    def _doubt(self, rows: IntArray) -> AnyArray:
        """By how much fast scores must differ, (rows, 1) or (1, 1), to leave no doubt which exact one is higher."""
        unit = self.metric == "cosine"
        reach = (1.0, 1.0) if unit else (self._rows.lengths()[rows], self._columns.longest())
        size = np.square(reach[0] + reach[1]) if self.metric == "euclidean" else reach[0] * reach[1]
        # Sums of d products, each rounded, in any order; and the rounding of the exact score and of its vectors.
        error = (self._rows.width + 16) * 2.0**-24 * size
        return np.reshape(4 * error, (-1, 1))


def _check_metric(metric: str) -> None:
    if metric not in get_args(Metric):
        raise unknown_name("metric", str(metric), get_args(Metric))


def _to_float32(products: Doubles) -> FloatArray:
    with np.errstate(over="ignore"):
        return products.astype(np.float32)


def _centre_of(gallery: AnyArray) -> FloatArray:
    """A point amid the vectors, (d,)."""
    centre: FloatArray = float32(gallery[:_CENTRE_ROWS], "gallery").mean(axis=0, dtype=np.float64).astype(np.float32)
    return centre
