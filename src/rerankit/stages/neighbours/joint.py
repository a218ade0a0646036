"""Queries and gallery as one set of items, for stages that build a neighbour graph over both."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.cutting import Part, in_parts, is_cut, joined
from rerankit.errors import InputError, RerankitWarning
from rerankit.events import track
from rerankit.pipelines.indexed import Finder, finder_for
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks, order, topk_dense
from rerankit.scores.search import Ends
from rerankit.stages.neighbours.unrelated import sampled_rows

_SPARE = 4  # neighbours that are looked for beyond those that are asked for, since a map may make scores equal
_FAR = 1024  # vectors that tell the lowest and the middle score of an item whose neighbours come from an index
_SAMPLE = 256  # vectors whose rows tell a relation's mean and deviation


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


Tiles: TypeAlias = tuple[tuple[EmbeddingScores, ...], ...]
"""Scores of vectors by the side of their rows and of their columns."""


class Beside:
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
            indices, scores = _self_first(indices, scores, every + first)
        lowest, middle = self._by_a_sample()
        return Neighbours(indices, scores, lowest, float(scores.max()), middle if level else None)

    def _by_a_sample(self) -> tuple[FloatArray, FloatArray]:
        """The lowest and the middle score of every row to a sample of the columns, both (rows,)."""
        shares = [max(1, _FAR * part.shape[1] // self.shape[1]) for part in self.parts]
        one, other = (
            part.take(None, sampled_rows(part.T, most)) for part, most in zip(self.parts, shares, strict=True)
        )
        some = Beside(one, other, self.maps)
        lowest, middle = np.empty(self.shape[0], np.float32), np.empty(self.shape[0], np.float32)
        half = (some.shape[1] - 1) // 2
        for block in blocks(self.shape[0], some.shape[1] * 12, share=0.5, least=64):
            values = some.rows(block)
            lowest[block], middle[block] = values.min(axis=1), np.partition(values, half, axis=1)[:, half]
        return lowest, middle

    def _sides(self, columns: IntArray) -> tuple[AnyArray, AnyArray]:
        first = columns < self.border
        return first, ~first


class Joint:
    """All items, queries first: one relation (queries + gallery)² read from the problem's three.

    With `align` scores among the queries and among the gallery get the level and the spread of those across.
    """

    def __init__(self, problem: Problem, align: bool = False) -> None:
        self.queries = problem.shape[0]
        self.shape = sum(problem.shape), sum(problem.shape)
        across, same = problem.scores, (problem.query_scores, problem.gallery_scores)
        if same[0] is None or same[1] is None:
            raise InputError("a graph over all items needs 'query_scores' and 'gallery_scores'")
        self._whole: EmbeddingScores | None = None
        self._tiles = _tiles(across, same[0], same[1])
        embeddings = problem.embeddings
        if embeddings is not None and self._tiles is None:  # distances, all measured from one point
            vectors = np.concatenate([embeddings.queries, embeddings.gallery])
            self._whole = EmbeddingScores(vectors, vectors, embeddings.metric).holding()
            sides = slice(0, self.queries), slice(self.queries, self.shape[0])
            self._tiles = tuple(tuple(self._whole.part(rows, columns) for columns in sides) for rows in sides)
        self.maps = (_onto(same[0], across), _onto(same[1], across)) if align else (None, None)
        self._sides = (
            Beside(same[0], across, (self.maps[0], None)),
            Beside(across.T, same[1], (None, self.maps[1])),
        )

    @classmethod
    def of(cls, problem: Problem, bank: Bank | None, align: bool = False) -> Joint:
        """All items of the problem; with a bank, its items in the place of the queries."""
        if bank is None:
            return cls(problem, align)
        return cls(Problem(bank.to_gallery, query_scores=bank.among, gallery_scores=problem.gallery_scores), align)

    def rows(self, rows: slice) -> FloatArray:
        """Scores (rows, items); a block does not cross from queries to gallery."""
        side = int(rows.start >= self.queries)
        if self._whole is not None:
            return self._sides[side].mapped(self._whole.rows(rows))
        first = side * self.queries
        return self._sides[side].rows(slice(rows.start - first, rows.stop - first))

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        """Single scores of items (any shape, the same for both)."""
        if self._whole is not None and self.maps == (None, None):
            return self._whole.pairs(rows, columns)
        found = np.empty(rows.shape, np.float32)
        for side, relations in enumerate(self._sides):
            here = (rows >= self.queries) == side
            found[here] = relations.pairs(rows[here] - side * self.queries, columns[here])
        return found

    def neighbours(self, k: int, *, level: bool = False) -> Neighbours:
        """The k nearest of every item by the tie rule, after itself, and, if it is asked for, their `level`."""
        k = min(k, self.shape[1])
        finder = finder_for(*self._sides[0].parts, *self._sides[1].parts)
        if finder is not None:
            first, rest = (
                side.about(finder, k, first=start, level=level)
                for side, start in zip(self._sides, (0, self.queries), strict=True)
            )
            return first.followed_by(rest)
        found = None if level or is_cut() else self._from_one_pass(k)
        if found is not None:
            return found
        parts = in_parts("neighbours", partial(self._of_rows, k, level), self.shape[0])
        indices, scores, lowest = (joined(parts, name) for name in ("indices", "scores", "lowest"))
        highest = float(joined(parts, "highest").max())
        return Neighbours(indices, scores, lowest, highest, joined(parts, "level") if level else None)

    def _of_rows(self, k: int, level: bool, rows: slice) -> Part:
        """The same of neighbouring items, by the names of `Neighbours`."""
        border = min(max(rows.start, self.queries), rows.stop)
        sides = [each for each in (slice(rows.start, border), slice(border, rows.stop)) if each.stop > each.start]
        parts = [vars(self._on_one_side(k, level, each)) for each in sides]
        found = {name: joined(parts, name) for name in ("indices", "scores", "lowest", *(["level"] if level else []))}
        return {**found, "highest": np.array([max(part["highest"] for part in parts)])}

    def _on_one_side(self, k: int, level: bool, rows: slice) -> Neighbours:
        """The same of items that are all queries, or all of the gallery."""
        found = None if level else self._from_lists(rows, k)
        if found is not None:
            return found
        work = list(blocks(rows.stop - rows.start, self.shape[1] * 12, share=0.5, least=64))
        shape = (rows.stop - rows.start, self.shape[1])
        return _nearest(self.rows, work, shape, k, first=rows.start, level=level)

    def _from_lists(self, rows: slice, k: int) -> Neighbours | None:
        """The same of many vectors, by products in single precision; None where something else serves."""
        if self._tiles is None or k + _SPARE > self.shape[0] // 2:
            return None
        side = int(rows.start >= self.queries)
        own_rows = slice(rows.start - side * self.queries, rows.stop - side * self.queries)
        ends = [tile.part(own_rows, slice(None)).ends(k + _SPARE) for tile in self._tiles[side]]
        if ends[0] is None or ends[1] is None:
            return None
        found = self._joined(side, ends[side][0], ends[1 - side][0], k, rows.start)  # type: ignore[index]
        own = np.arange(rows.start, rows.stop)
        return Neighbours(*_self_first(found[0], found[1], own), found[2], float(found[1].max()))

    def _from_one_pass(self, k: int) -> Neighbours | None:
        """The same of many vectors, by one pass over each relation; None where something else serves."""
        if self._tiles is None or k + _SPARE > self.shape[0] // 2:
            return None
        across = self._tiles[0][1].ends(k + _SPARE, k + _SPARE)
        among = [self._tiles[side][side].ends(k + _SPARE) for side in (0, 1) if across is not None]
        if across is None or not all(among):
            return None
        parts = [
            self._joined(side, among[side][0], across[side], k, side * self.queries)  # type: ignore[index, arg-type]
            for side in (0, 1)
        ]
        indices, scores, lowest = (np.concatenate([part[which] for part in parts]) for which in (0, 1, 2))
        highest = float(scores.max())
        own = np.arange(len(indices))
        return Neighbours(*_self_first(indices, scores, own), lowest, highest)

    def _joined(
        self, side: int, same: Ends, other: Ends, k: int, start: int
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """The nearest of items of one side, from `start` on, among both, and the lowest score, from both ends among
        each.
        """
        assert self._tiles is not None, "checked by the caller"
        relations, tiles, places = self._sides[side], self._tiles[side], (0, self.queries)
        start -= places[side]
        parts = _mapped(same, self.maps[side]), other
        first = places[side], places[1 - side]

        def read(rows: IntArray) -> FloatArray:
            return relations.mapped(np.concatenate([tile.rows(rows + start) for tile in tiles], axis=1))

        return _of_both(parts, first, k, self.shape[1], read)


def _tiles(across: Scores, queries: Scores, gallery: Scores) -> Tiles | None:
    """The three relations, where all are products of the same vectors: from queries, and from the gallery, to both."""
    if not isinstance(across, EmbeddingScores) or across.metric == "euclidean":
        return None
    if not isinstance(queries, EmbeddingScores) or not isinstance(gallery, EmbeddingScores):
        return None
    alike = across.queries is queries.queries and across.gallery is gallery.gallery
    metrics = {across.metric, queries.metric, gallery.metric}
    return ((queries, across), (across.T, gallery)) if alike and len(metrics) == 1 else None


def _mapped(ends: Ends, onto: Map | None) -> Ends:
    """The same under a map of the scores."""
    if onto is None:
        return ends
    return Ends((ends.first[0], onto.onto(ends.first[1].copy())), onto.onto(ends.lowest.copy()))


def _of_both(
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


def _nearest(
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
        indices[block], scores[block] = found if own is None else _self_first(*found, own)
    return Neighbours(indices, scores, lowest, highest, levels if level else None)


def warn_of_a_gap(known: IntArray, border: int, name: str) -> None:
    """Tell when no query has a gallery item among its neighbours `known` (queries, k), items from `border` on: then the
    graph says nothing about candidates.
    """
    if border > 1 and known.size and known.shape[1] < border and not (known >= border).any():
        warnings.warn(
            f"stage '{name}': no query has a gallery item among its {known.shape[1]} nearest, so that the graph joins "
            "no query to its candidates; scores of the two sides differ in scale: try align=True",
            RerankitWarning,
            stacklevel=3,
        )


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


def _onto(same: Scores, across: Scores) -> Map:
    """The map that gives the scores among one side's items the level and the spread of those across."""
    level, spread, high = _middle(same, square=True)
    wanted, wide, highest = _middle(across, square=False)
    scale = wide / spread if spread > 0 and wide > 0 else 1.0
    most = np.inf if max(high, highest) > 0 else 0  # minus distances stay such
    return Map(np.float32(scale), np.float32(wanted - level * scale), np.float32(most))


def _middle(scores: Scores, square: bool) -> tuple[float, float, float]:
    """Median, interquartile range and highest of the scores, without an item's score to itself, by rows; the order of
    items is no matter.
    """
    found, highest = [], -np.inf
    chosen = sampled_rows(scores, _SAMPLE)
    for part in blocks(len(chosen), 8 * scores.shape[1]):
        for values, row in zip(scores.rows(chosen[part]), chosen[part], strict=True):
            own = np.delete(values, row) if square else values
            own = own[np.isfinite(own)]
            if len(own):
                found.append(np.percentile(own.astype(np.float64), (25, 50, 75)))
                highest = max(highest, float(own.max()))
    low, level, high = np.mean(found, axis=0) if found else (0.0, 0.0, 0.0)
    return _rounded(float(level)), _rounded(float(high - low)), highest


def _rounded(value: float) -> float:
    """A figure to the digits that do not depend on the order in which its parts were added up.

    >>> _rounded(0.1 + 0.2) == _rounded(0.3)
    True
    """
    return float(f"{value:.9e}")


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
