"""Two relations of the same rows, side by side, and the nearest items in both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.pipelines.finding import Finder
from rerankit.scores import Scores, blocks, order, topk_dense
from rerankit.scores.search import Ends
from rerankit.stages.neighbours.unrelated import sampled_rows

SPARE = 4  # neighbours that are looked for beyond those that are asked for, since a map may make scores equal
_FAR = 1024  # vectors that tell the lowest and the middle score of an item whose neighbours come from an index


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
    level: FloatArray | None = None
    """(items,): the median of the scores to all items, what unrelated items have; None where it is not needed."""

    def followed_by(self, other: Neighbours) -> Neighbours:
        """These items and behind them others of the same relation."""
        names = ("indices", "scores", "lowest")
        indices, scores, lowest = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        level = None if self.level is None or other.level is None else np.concatenate([self.level, other.level])
        return Neighbours(indices, scores, lowest, max(self.highest, other.highest), level)

    def shares(self) -> FloatArray:
        """Shares (items, k) of the scores, 0 for unrelated items, 1 for an item and itself, the highest of all."""
        assert self.level is not None, "asked for by whoever weighs edges"
        unit = np.float32(self.highest) - self.level
        shares = (self.scores - self.level[:, None]) / np.where(unit > 0, unit, 1)[:, None]
        found: FloatArray = np.clip(np.where(np.isfinite(shares), shares, 0), 0, 1)
        return found


class Map(NamedTuple):
    """scale · score + shift, at most `most`."""

    scale: np.float32
    shift: np.float32
    most: np.float32

    def onto(self, values: FloatArray) -> FloatArray:
        """The values mapped, in place."""
        values *= self.scale
        values += self.shift
        return np.minimum(values, self.most, out=values)


class SideBySide:
    """Two relations of the same rows side by side, (rows, one + other), each with a map of its scores or None."""

    def __init__(self, one: Scores, other: Scores, maps: tuple[Map | None, Map | None] = (None, None)) -> None:
        self.parts, self.maps = (one, other), maps
        self.border = one.shape[1]
        self.shape = one.shape[0], self.border + other.shape[1]

    def rows(self, rows: slice | IntArray) -> FloatArray:
        return self.mapped(np.concatenate([part.rows(rows) for part in self.parts], axis=1))

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single scores (any shape, the same for both)."""
        found = np.empty(rows.shape, np.float32)
        for part, first, onto, here in zip(self.parts, (0, self.border), self.maps, self._sides(columns), strict=True):
            values = part.pairs(rows[here], columns[here] - first)
            found[here] = values if onto is None else onto.onto(values)
        return found

    def mapped(self, values: FloatArray) -> FloatArray:
        """Scores (rows, one + other) with both maps, in place."""
        for part, onto in zip((values[:, : self.border], values[:, self.border :]), self.maps, strict=True):
            if onto is not None:
                onto.onto(part)
        return values

    def about(self, finder: Finder, k: int, *, first: int | None = None, level: bool) -> Neighbours:
        """About the k nearest of each row, by an index of the columns of either part. The lowest and the middle score
        of a row are those to a sample of the columns. Rows that are items from `first` on are their own first ones.
        """
        every, lists = np.arange(self.shape[0]), []
        for part, start, onto in zip(self.parts, (0, self.border), self.maps, strict=True):
            found, scores = finder.lists(part, every, k)
            lists.append((np.where(found >= 0, found + start, -1), scores if onto is None else onto.onto(scores)))
        merged = order(*(np.concatenate([each[which] for each in lists], axis=1) for which in (1, 0)))
        indices, scores = merged[0][:, :k], merged[1][:, :k]
        if first is not None:
            indices, scores = self_first(indices, scores, every + first)
        lowest, middle = self._by_a_sample()
        return Neighbours(indices, scores, lowest, float(scores.max()), middle if level else None)

    def _by_a_sample(self) -> tuple[FloatArray, FloatArray]:
        """The lowest and the middle score of every row to a sample of the columns, both (rows,)."""
        shares = [max(1, _FAR * part.shape[1] // self.shape[1]) for part in self.parts]
        one, other = (
            part.take(None, sampled_rows(part.T, most)) for part, most in zip(self.parts, shares, strict=True)
        )
        some = SideBySide(one, other, self.maps)
        lowest, middle = np.empty(self.shape[0], np.float32), np.empty(self.shape[0], np.float32)
        half = (some.shape[1] - 1) // 2
        for block in blocks(self.shape[0], some.shape[1] * 12, share=0.5, least=64):
            values = some.rows(block)
            lowest[block], middle[block] = values.min(axis=1), np.partition(values, half, axis=1)[:, half]
        return lowest, middle

    def _sides(self, columns: IntArray) -> tuple[AnyArray, AnyArray]:
        first = columns < self.border
        return first, ~first


def mapped_ends(ends: Ends, onto: Map | None) -> Ends:
    """The same under a map of the scores."""
    if onto is None:
        return ends
    return Ends((ends.first[0], onto.onto(ends.first[1].copy())), onto.onto(ends.lowest.copy()))


def of_both(
    parts: tuple[Ends, Ends], first: tuple[int, int], k: int, width: int, read: Callable[[IntArray], FloatArray]
) -> tuple[IntArray, FloatArray, FloatArray]:
    """The nearest (rows, k) of two sides, whose columns begin at `first`, and the lowest scores; `read` gives whole
    rows.
    """
    indices = np.concatenate([part.first[0] + start for part, start in zip(parts, first, strict=True)], axis=1)
    found = order(np.concatenate([part.first[1] for part in parts], axis=1), indices)
    # Scores that a map makes equal: one that a list leaves out may come before those it holds.
    last = np.maximum(*(part.first[1][:, -1] for part in parts))
    unsure = np.flatnonzero(found[1][:, k - 1] <= last)
    for rows in blocks(len(unsure), width * 12, share=0.5, least=64):
        chosen = unsure[rows]
        found[0][chosen, :k], found[1][chosen, :k] = topk_dense(read(chosen), k)
    return found[0][:, :k], found[1][:, :k], np.minimum(parts[0].lowest, parts[1].lowest)


def nearest(
    rows: Callable[[slice], FloatArray],
    work: list[slice],
    shape: tuple[int, int],
    k: int,
    *,
    first: int | None = None,
    level: bool,
) -> Neighbours:
    """The k nearest of each row's item among all, read block by block; rows that are items from `first` on are their
    own first ones.
    """
    count, k = shape[0], min(k, shape[1])
    indices, scores = np.empty((count, k), np.int64), np.empty((count, k), np.float32)
    half = (shape[1] - 1) // 2
    lowest, levels, highest = np.empty(count, np.float32), np.empty(count if level else 0, np.float32), -np.inf
    for block in track(work, "neighbours"):
        values = rows(block if first is None else slice(block.start + first, block.stop + first))
        lowest[block] = (values if _full(values) else np.where(np.isfinite(values), values, np.inf)).min(axis=1)
        if level:
            middle = np.partition(values, half, axis=1)[:, half]
            levels[block] = np.where(np.isfinite(middle), middle, lowest[block])
        highest = max(highest, float(values.max()))
        found = topk_dense(values, k)
        own = None if first is None else np.arange(block.start, block.stop) + first
        indices[block], scores[block] = found if own is None else self_first(*found, own)
    return Neighbours(indices, scores, lowest, highest, levels if level else None)


def _full(values: FloatArray) -> bool:
    return bool(np.isfinite(values.min()))


def self_first(indices: IntArray, scores: FloatArray, own: IntArray) -> tuple[IntArray, FloatArray]:
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


def adjacency(indices: IntArray, values: AnyArray | None = None, items: int | None = None) -> Any:
    """A sparse matrix (rows, items) from neighbour lists (rows, k), of ones or the given values.

    Rows are the items themselves, unless `items` says how many of these there are.
    """
    known = indices >= 0
    counts = known.sum(axis=1)
    data = np.ones(int(counts.sum()), np.float32) if values is None else values[known]
    starts = np.concatenate([[0], np.cumsum(counts)])
    shape = (len(indices), len(indices) if items is None else items)
    return sparse.csr_matrix((data, indices[known], starts), shape=shape)


def sparse_rows(matrix: Any) -> IntArray:
    """The row of every stored cell."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
