"""Queries and gallery as one set of items, for stages that build a neighbour graph over both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks, topk_dense


@dataclass(frozen=True)
class Neighbours:
    """The k nearest items of every item, itself first, and how far the farthest of all is."""

    indices: IntArray
    """(items, k), −1 where lists know fewer."""
    scores: FloatArray
    """(items, k)."""
    lowest: FloatArray
    """(items,): the lowest score to any item."""
    highest: float
    """The highest score anywhere, those of items to themselves included."""


class Joint:
    """All items, queries first: one relation (queries + gallery)² read from the problem's three."""

    def __init__(self, problem: Problem) -> None:
        self.queries, gallery = problem.shape
        self.count = self.queries + gallery
        scores = problem.scores
        self._whole: EmbeddingScores | None = None
        embeddings = problem.embeddings
        if embeddings is not None:
            vectors = np.concatenate([embeddings.queries, embeddings.gallery])
            self._whole = EmbeddingScores(vectors, vectors, embeddings.metric)
            return
        if problem.query_scores is None or problem.gallery_scores is None:
            raise InputError("a graph over all items needs 'query_scores' and 'gallery_scores'")
        across = scores.T
        self._parts: tuple[tuple[Scores, Scores], ...] = (
            (problem.query_scores, scores),
            (across, problem.gallery_scores),
        )

    def rows(self, rows: slice) -> FloatArray:
        """Scores (rows, items); a block does not cross from queries to gallery."""
        if self._whole is not None:
            return self._whole.rows(rows)
        side = int(rows.start >= self.queries)
        first = side * self.queries
        inside = slice(rows.start - first, rows.stop - first)
        return np.concatenate([part.rows(inside) for part in self._parts[side]], axis=1)

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single scores of items (any shape, the same for both)."""
        if self._whole is not None:
            return self._whole.pairs(rows, columns)
        found = np.empty(rows.shape, np.float32)
        for side, parts in enumerate(self._parts):
            for other, scores in enumerate(parts):
                here = ((rows >= self.queries) == side) & ((columns >= self.queries) == other)
                found[here] = scores.pairs(rows[here] - side * self.queries, columns[here] - other * self.queries)
        return found

    def blocks(self) -> list[slice]:
        """Blocks of items within half the memory budget, none with both queries and gallery items."""
        row_bytes = self.count * 12
        first = list(blocks(self.queries, row_bytes, share=0.5, least=64))
        rest = blocks(self.count - self.queries, row_bytes, share=0.5, least=64)
        return [*first, *(slice(block.start + self.queries, block.stop + self.queries) for block in rest)]

    def neighbours(self, k: int) -> Neighbours:
        """The k nearest of every item by the tie rule, after itself."""
        k = min(k, self.count)
        indices, scores = np.empty((self.count, k), np.int64), np.empty((self.count, k), np.float32)
        lowest, highest = np.empty(self.count, np.float32), -np.inf
        for block in track(self.blocks(), "neighbours"):
            values = self.rows(block)
            lowest[block] = (
                np.where(np.isfinite(values), values, np.inf).min(axis=1) if not _full(values) else (values.min(axis=1))
            )
            own = np.arange(block.start, block.stop)
            highest = max(highest, float(values.max()))
            indices[block], scores[block] = _self_first(*topk_dense(values, k), own)
        return Neighbours(indices, scores, lowest, highest)


def _full(values: FloatArray) -> bool:
    return bool(np.isfinite(values.min()))


def _self_first(indices: IntArray, scores: FloatArray, own: IntArray) -> tuple[IntArray, FloatArray]:
    """The item itself moved to the first place (in the place of the last, where it was not listed)."""
    is_own = indices == own[:, None]
    place = np.where(is_own.any(axis=1), is_own.argmax(axis=1), indices.shape[1] - 1)
    moved, values = indices.copy(), scores.copy()
    for column in range(1, indices.shape[1]):
        later = column <= place
        moved[later, column], values[later, column] = indices[later, column - 1], scores[later, column - 1]
    moved[:, 0] = own
    values[:, 0] = np.where(is_own.any(axis=1), scores[np.arange(len(own)), place], scores[:, 0])
    return moved, values


def adjacency(indices: IntArray, values: AnyArray | None = None) -> Any:
    """A sparse matrix (items, items) from neighbour lists (items, k); ones, or the given values."""
    known = indices >= 0
    counts = known.sum(axis=1)
    data = np.ones(int(counts.sum()), np.float32) if values is None else values[known]
    starts = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csr_matrix((data, indices[known], starts), shape=(len(indices), len(indices)))
