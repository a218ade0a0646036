"""Queries and gallery as one set of items, for stages that build a neighbour graph over both."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TypeAlias

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.cutting import NamedArrays, in_parts, is_cut, joined
from rerankit.errors import InputError, RerankitWarning
from rerankit.pipelines.finding import finder_for
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.scores.search import Ends
from rerankit.stages.neighbours.both_sides import (
    SPARE,
    Map,
    Neighbours,
    SideBySide,
    mapped_ends,
    nearest,
    of_both,
    self_first,
)
from rerankit.stages.neighbours.unrelated import sampled_rows
from rerankit.threads import in_threads

_SAMPLE = 256  # vectors whose rows tell a relation's mean and deviation


Tiles: TypeAlias = tuple[tuple[EmbeddingScores, ...], ...]
"""Scores of vectors by the side of their rows and of their columns."""


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
        self.maps: tuple[Map | None, Map | None] = (None, None)
        if align:
            wanted = _middle(across, square=False)
            self.maps = _onto(same[0], wanted), _onto(same[1], wanted)
        self._sides = (
            SideBySide(same[0], across, (self.maps[0], None)),
            SideBySide(across.T, same[1], (None, self.maps[1])),
        )

    @classmethod
    def of_bank(cls, bank: Bank, gallery_scores: Scores | None, align: bool) -> Joint:
        """The items of a bank, in the place of the queries, and those of a gallery."""
        return cls(Problem(bank.to_gallery, query_scores=bank.to_bank, gallery_scores=gallery_scores), align)

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

    def _of_rows(self, k: int, level: bool, rows: slice) -> NamedArrays:
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
        return nearest(self.rows, work, shape, k, first=rows.start, level=level)

    def _from_lists(self, rows: slice, k: int) -> Neighbours | None:
        """The same of many vectors, by products in single precision; None where something else serves."""
        if self._tiles is None or k + SPARE > self.shape[0] // 2:
            return None
        side = int(rows.start >= self.queries)
        own_rows = slice(rows.start - side * self.queries, rows.stop - side * self.queries)
        ends = [tile.part(own_rows, slice(None)).ends(k + SPARE) for tile in self._tiles[side]]
        if ends[0] is None or ends[1] is None:
            return None
        found = self._joined(side, ends[side][0], ends[1 - side][0], k, rows.start)  # type: ignore[index]
        own = np.arange(rows.start, rows.stop)
        return Neighbours(*self_first(found[0], found[1], own), found[2], float(found[1].max()))

    def _from_one_pass(self, k: int) -> Neighbours | None:
        """The same of many vectors, by one pass over each relation; None where something else serves."""
        if self._tiles is None or k + SPARE > self.shape[0] // 2:
            return None
        across = self._tiles[0][1].ends(k + SPARE, k + SPARE)
        among = [self._tiles[side][side].ends(k + SPARE) for side in (0, 1) if across is not None]
        if across is None or not all(among):
            return None
        parts = [
            self._joined(side, among[side][0], across[side], k, side * self.queries)  # type: ignore[index, arg-type]
            for side in (0, 1)
        ]
        indices, scores, lowest = (np.concatenate([part[which] for part in parts]) for which in (0, 1, 2))
        highest = float(scores.max())
        own = np.arange(len(indices))
        return Neighbours(*self_first(indices, scores, own), lowest, highest)

    def _joined(
        self, side: int, same: Ends, other: Ends, k: int, start: int
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """The nearest of items of one side, from `start` on, among both, and the lowest score, from both ends among
        each.
        """
        assert self._tiles is not None, "checked by the caller"
        relations, tiles, places = self._sides[side], self._tiles[side], (0, self.queries)
        start -= places[side]
        parts = mapped_ends(same, self.maps[side]), other
        first = places[side], places[1 - side]

        def read(rows: IntArray) -> FloatArray:
            return relations.mapped(np.concatenate([tile.rows(rows + start) for tile in tiles], axis=1))

        return of_both(parts, first, k, self.shape[1], read)


def _tiles(across: Scores, queries: Scores, gallery: Scores) -> Tiles | None:
    """The three relations, where all are products of the same vectors: from queries, and from the gallery, to both."""
    if not isinstance(across, EmbeddingScores) or across.metric == "euclidean":
        return None
    if not isinstance(queries, EmbeddingScores) or not isinstance(gallery, EmbeddingScores):
        return None
    alike = across.queries is queries.queries and across.gallery is gallery.gallery
    metrics = {across.metric, queries.metric, gallery.metric}
    return ((queries, across), (across.T, gallery)) if alike and len(metrics) == 1 else None


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


def _onto(same: Scores, across: tuple[float, float, float]) -> Map:
    """The map that gives the scores among one side's items the level and the spread of those across (`_middle`)."""
    level, spread, high = _middle(same, square=True)
    wanted, wide, highest = across
    scale = wide / spread if spread > 0 and wide > 0 else 1.0
    most = np.inf if max(high, highest) > 0 else 0  # minus distances stay such
    return Map(np.float32(scale), np.float32(wanted - level * scale), np.float32(most))


def _middle(scores: Scores, square: bool) -> tuple[float, float, float]:
    """Median, interquartile range and highest of the scores, without an item's score to itself, by rows; the order of
    items is no matter.
    """
    chosen, found = sampled_rows(scores, _SAMPLE), []
    for part in blocks(len(chosen), 8 * scores.shape[1]):
        own = chosen[part] if square else np.full(len(chosen[part]), -1)
        found += in_threads(_quarters, list(zip(scores.rows(chosen[part]), own.tolist(), strict=True)))
    known = np.array([each for each in found if each is not None])
    low, level, high = known[:, :3].mean(axis=0) if len(known) else (0.0, 0.0, 0.0)
    return _rounded(float(level)), _rounded(float(high - low)), float(known[:, 3].max()) if len(known) else -np.inf


def _quarters(row: tuple[FloatArray, int]) -> AnyArray | None:
    """The quartiles and the highest of a row's scores (4,) without that of its own item, which may be −1; None where
    nothing is known.
    """
    values = row[0] if row[1] < 0 else np.delete(*row)
    values = values[np.isfinite(values)].astype(np.float64)
    return np.append(np.percentile(values, (25, 50, 75)), values.max()) if len(values) else None


def _rounded(value: float) -> float:
    """A figure to the digits that do not depend on the order in which its parts were added up.

    >>> _rounded(0.1 + 0.2) == _rounded(0.3)
    True
    """
    return float(f"{value:.9e}")
