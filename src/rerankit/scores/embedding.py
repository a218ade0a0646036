"""Scores that are computed from embeddings, block by block, when they are asked for."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from rerankit import settings
from rerankit.arrays import (
    AnyArray,
    FloatArray,
    IntArray,
    check_all_finite,
    check_finite,
    float32,
    frozen,
    is_memory_map,
    real_matrix,
)
from rerankit.errors import rule, unknown_name
from rerankit.scores.blocks import blocks
from rerankit.scores.topk import merge, topk_dense

Metric = Literal["cosine", "dot", "euclidean"]
# Products run over whole groups of rows and of columns: matrix libraries sum the edges of a product in another
# order, so without this a score's last bit would depend on the block it was computed in. For the same reason no block
# is narrow: what is left over goes with the block before it, and fewer columns than `_ROWS` are filled up.
_ROWS = 64
_COLUMNS = 1024
_CENTRE_ROWS = 4096
_CACHED = 1_000_000  # bytes of gathered vectors that are read again before they leave the cache
_WIDEST = 128 * _COLUMNS  # the most gallery items that are scored at once


class EmbeddingScores:
    """Similarities of two sets of vectors, (rows, d) and (columns, d); nothing N × N is ever kept.

    `euclidean` gives minus the distance, so that higher is better as everywhere.

    >>> EmbeddingScores([[1.0, 0.0]], [[0.0, 2.0], [3.0, 0.0]], "cosine").topk(1)
    (array([[1]]), array([[1.]], dtype=float32))
    """

    complete = True

    def __init__(self, queries: Any, gallery: Any, metric: Metric = "cosine") -> None:
        if metric not in get_args(Metric):
            raise unknown_name("metric", str(metric), get_args(Metric))
        self.metric: Metric = metric
        self.queries = vectors_of(queries, "queries")
        self.gallery = vectors_of(gallery, "gallery")
        self._unchecked = is_memory_map(self.queries) or is_memory_map(self.gallery)
        self._centre = _centre_of(self.gallery) if metric == "euclidean" else None
        if self.queries.shape[1] != self.gallery.shape[1]:
            raise rule(
                "gallery",
                f"must have the queries' width, {self.queries.shape[1]}",
                f"shape {self.gallery.shape}",
            )

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"EmbeddingScores({rows} × {columns}, {self.metric}, width {self.queries.shape[1]})"

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.queries), len(self.gallery)

    @property
    def T(self) -> EmbeddingScores:  # noqa: N802
        return self._view(self.gallery, self.queries)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        queries = self._prepared(self.queries if rows is None else self.queries[rows])
        block = np.empty((len(queries), len(self.gallery)), np.float32)
        for columns in _column_blocks(len(self.gallery)):
            block[:, columns] = self._product(queries, self._prepared(self.gallery[columns]))
        return block

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        rows, columns = np.broadcast_arrays(rows, columns)
        rows, columns, shape = rows.reshape(-1), columns.reshape(-1), rows.shape
        cells = np.empty(rows.size, np.float32)
        width = self.queries.shape[1]
        step = max(1, min(settings.memory_budget(), _CACHED) // (8 * width))
        for start in range(0, rows.size, step):
            block = slice(start, start + step)
            queries, gallery = self._centred(self.queries[rows[block]]), self._centred(self.gallery[columns[block]])
            if self.metric == "euclidean":
                cells[block] = -np.sqrt(np.square(queries - gallery).sum(axis=1))
            else:
                cells[block] = np.einsum("ij,ij->i", queries, gallery)
        if self.metric == "cosine":  # a vector of many pairs is measured once
            cells /= _lengths_at(self.queries, rows)
            cells /= _lengths_at(self.gallery, columns)
        return cells.reshape(shape)

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        k = min(k, len(self.gallery))
        # Eight bytes a cell: the product and the mask or maxima beside it.
        groups = max(1, settings.memory_budget() // (8 * _ROWS * _COLUMNS))
        width = min(len(self.gallery), _WIDEST, groups * _COLUMNS)
        parts = [
            self._topk_of(self._prepared(self.queries[block]), k, width)
            for block in blocks(len(self.queries), width * 8, least=_ROWS)
        ]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _topk_of(self, queries: FloatArray, k: int, width: int) -> tuple[IntArray, FloatArray]:
        best: list[tuple[IntArray, FloatArray]] = []
        for columns in _column_blocks(len(self.gallery), width):
            product = self._product(queries, self._prepared(self.gallery[columns]))
            best.append(topk_dense(product, k, columns.start))
            if len(best) > 1:
                best = [merge(best, k)]
        return best[0]

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> EmbeddingScores:
        return self._view(
            self.queries if rows is None else self.queries[rows],
            self.gallery if columns is None else self.gallery[columns],
        )

    def among_rows(self) -> EmbeddingScores:
        """Similarities of the rows' vectors to each other; what was checked is not checked again."""
        return self._among(self.queries)

    def among_columns(self) -> EmbeddingScores:
        """Similarities of the columns' vectors to each other."""
        return self._among(self.gallery)

    def _among(self, vectors: AnyArray) -> EmbeddingScores:
        view = self._view(vectors, vectors)
        view._unchecked = is_memory_map(vectors)
        view._centre = _centre_of(vectors) if self.metric == "euclidean" else None
        return view

    def _view(self, queries: AnyArray, gallery: AnyArray) -> EmbeddingScores:
        view = object.__new__(EmbeddingScores)
        view.metric, view.queries, view.gallery = self.metric, frozen(queries), frozen(gallery)
        view._centre, view._unchecked = self._centre, self._unchecked
        return view

    def _prepared(self, vectors: AnyArray) -> FloatArray:
        vectors = self._centred(vectors)
        return normalised(vectors) if self.metric == "cosine" else vectors

    def _centred(self, vectors: AnyArray) -> FloatArray:
        vectors = float32(vectors, "embeddings")
        if self._unchecked:
            check_finite(vectors, "embeddings")
        return vectors if self._centre is None else vectors - self._centre

    def _product(self, queries: FloatArray, gallery: FloatArray) -> FloatArray:
        rows, columns = _filled(queries, -len(queries) % _ROWS), _filled(gallery, _ROWS - len(gallery))
        if np.may_share_memory(rows, columns):
            rows = rows.copy()  # of an array and itself numpy makes half of the product, with other last bits
        product: FloatArray = (rows @ columns.T)[: len(queries), : len(gallery)]
        if self.metric == "euclidean":
            product *= -2
            product += np.square(queries).sum(axis=1)[:, None]
            product += np.square(gallery).sum(axis=1)
            np.maximum(product, 0, out=product)
            np.sqrt(product, out=product)
            np.negative(product, out=product)
        return product


def _centre_of(gallery: AnyArray) -> FloatArray:
    """A point amid the vectors, (d,): distances between vectors far from the origin lose their digits otherwise."""
    centre: FloatArray = float32(gallery[:_CENTRE_ROWS], "gallery").mean(axis=0, dtype=np.float64).astype(np.float32)
    return centre


def _filled(vectors: FloatArray, count: int) -> FloatArray:
    """The vectors (n, d) with `count` of zeros behind them."""
    return vectors if count <= 0 else np.concatenate([vectors, np.zeros((count, vectors.shape[1]), np.float32)])


def normalised(vectors: FloatArray) -> FloatArray:
    """Vectors (n, d) at length 1; a vector of zeros stays zeros.

    >>> normalised(np.float32([[3, 4], [0, 0]]))
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    result: FloatArray = vectors / _lengths(vectors)[:, None]
    return result


def _lengths(vectors: FloatArray) -> FloatArray:
    """Lengths of vectors (n, d); 1 for a vector of zeros."""
    lengths: FloatArray = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if np.isinf(lengths).any():  # divided by it, the vector would be one of zeros
        raise rule("embeddings", "must have lengths whose squares float32 holds, below 1.8e19", "a longer vector")
    lengths[lengths == 0] = 1
    return lengths


def _lengths_at(vectors: AnyArray, rows: IntArray) -> FloatArray:
    """The lengths (n,) of the vectors at `rows`."""
    named, places = (np.arange(len(vectors)), rows) if len(rows) > len(vectors) else (rows, slice(None))
    lengths = np.empty(len(named), np.float32)
    for block in blocks(len(named), vectors.shape[1] * 8):
        lengths[block] = _lengths(float32(vectors[named[block]], "embeddings"))
    return lengths[places]


def vectors_of(vectors: Any, argument: str) -> AnyArray:
    """Embeddings (rows, d) as a read-only array of finite numbers; a memory map is checked when it is read."""
    array = frozen(real_matrix(vectors, argument))
    if not is_memory_map(array):
        check_all_finite(array, argument)
    return array


def _column_blocks(count: int, width: int = _WIDEST) -> list[slice]:
    starts = list(range(0, count, width))
    if len(starts) > 1 and count - starts[-1] < _COLUMNS:
        starts.pop()
    return [slice(start, stop) for start, stop in zip(starts, [*starts[1:], count], strict=True)]
