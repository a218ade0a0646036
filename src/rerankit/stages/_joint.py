"""Queries and gallery as one set of items, for stages that build a neighbour graph over both."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks, topk_dense

_SAMPLE = 256  # rows that tell a relation's mean and deviation


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
    """All items, queries first: one relation (queries + gallery)² read from the problem's three.

    With `align` scores among the queries and among the gallery get the mean and the deviation of those across.
    """

    def __init__(self, problem: Problem, align: bool = False) -> None:
        self.queries, gallery = problem.shape
        self.count = self.queries + gallery
        scores = problem.scores
        self._whole: EmbeddingScores | None = None
        embeddings = problem.embeddings
        if embeddings is not None:
            vectors = np.concatenate([embeddings.queries, embeddings.gallery])
            self._whole = EmbeddingScores(vectors, vectors, embeddings.metric)
        if problem.query_scores is None or problem.gallery_scores is None:
            raise InputError("a graph over all items needs 'query_scores' and 'gallery_scores'")
        self._parts: tuple[tuple[Scores, Scores], ...] = (
            (problem.query_scores, scores),
            (scores.T, problem.gallery_scores),
        )
        self._align = (_onto(self._parts[0][0], scores), _onto(self._parts[1][1], scores)) if align else None

    def rows(self, rows: slice) -> FloatArray:
        """Scores (rows, items); a block does not cross from queries to gallery."""
        side = int(rows.start >= self.queries)
        if self._whole is not None:
            values = self._whole.rows(rows)
        else:
            first = side * self.queries
            inside = slice(rows.start - first, rows.stop - first)
            values = np.concatenate([part.rows(inside) for part in self._parts[side]], axis=1)
        if self._align is not None:
            same = values[:, self.queries :] if side else values[:, : self.queries]
            self._align[side].onto(same)
        return values

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single scores of items (any shape, the same for both)."""
        found = np.empty(rows.shape, np.float32)
        if self._whole is not None:
            found = self._whole.pairs(rows, columns)
        for side, parts in enumerate(self._parts):
            for other, scores in enumerate(parts):
                here = ((rows >= self.queries) == side) & ((columns >= self.queries) == other)
                if self._whole is None:
                    found[here] = scores.pairs(rows[here] - side * self.queries, columns[here] - other * self.queries)
                if self._align is not None and side == other:
                    found[here] = self._align[side].onto(found[here])
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


def warn_of_a_gap(near: Neighbours, queries: int, name: str) -> None:
    """Tell when no query has a gallery item among its neighbours: then the graph says nothing about candidates."""
    gallery = len(near.indices) - queries
    known = near.indices[:queries]
    if queries > 1 and gallery and known.shape[1] < queries and not (known >= queries).any():
        warnings.warn(
            f"stage '{name}': no query has a gallery item among its {known.shape[1]} nearest, so that the graph joins "
            "no query to its candidates; scores of the two sides differ in scale: try align=True",
            RuntimeWarning,
            stacklevel=3,
        )


class _Map(NamedTuple):
    """scale · score + shift, at most `most`."""

    scale: np.float32
    shift: np.float32
    most: np.float32

    def onto(self, values: FloatArray) -> FloatArray:
        """The values mapped, in place."""
        values *= self.scale
        values += self.shift
        return np.minimum(values, self.most, out=values)


def _onto(same: Scores, across: Scores) -> _Map:
    """The map that gives the scores among one side's items the mean and the deviation of those across."""
    mean, deviation, high = _moments(same, square=True)
    wanted, spread, highest = _moments(across, square=False)
    scale = spread / deviation if deviation > 0 and spread > 0 else 1.0
    most = np.inf if max(high, highest) > 0 else 0  # minus distances stay such
    return _Map(np.float32(scale), np.float32(wanted - mean * scale), np.float32(most))


def _moments(scores: Scores, square: bool) -> tuple[float, float, float]:
    """Mean, deviation and highest of the scores in evenly spread rows, without an item's score to itself."""
    rows = np.unique(np.linspace(0, scores.shape[0] - 1, _SAMPLE).astype(np.int64))
    count, total, squares, highest = 0, 0.0, 0.0, -np.inf
    for row in rows:
        values = scores.rows(np.array([row]))[0].astype(np.float64)
        if square:
            values = np.delete(values, row)
        values = values[np.isfinite(values)]
        count, total, squares = count + len(values), total + values.sum(), squares + np.square(values).sum()
        highest = max(highest, values.max(initial=-np.inf))
    mean = total / max(count, 1)
    return mean, float(np.sqrt(max(squares / max(count, 1) - mean**2, 0))), highest


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
