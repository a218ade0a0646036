"""Pillar space: a query and its candidates described by their similarities to the query's nearest items.

The one place that knows the layout. For queries of side A and a gallery of side B, node 0 is the query and
node j its j-th candidate. Columns 0 … L−1 ("inter"): the query itself, then its L−1 nearest items of B.
Columns L … 2L−1 ("intra"): the query itself again, then its L−1 nearest items of A, itself left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.stages.pillar.relations import Nearest, Relations, outer


@dataclass(frozen=True)
class PillarSpace:
    """Descriptions of queries with their candidates, made for any block of queries from the relations.

    >>> from rerankit import Problem
    >>> relations = Relations.of(Problem.from_embeddings(np.eye(3), np.eye(3)[[0, 1, 2, 0]]))
    >>> space = PillarSpace.of(relations, pillars=2, neighbours=2)
    >>> space.describe(np.array([0]), np.array([[3, 1]]))[0].tolist()
    [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    relations: Relations
    nearest: Nearest
    pillars: int
    neighbours: int

    @classmethod
    def of(cls, relations: Relations, pillars: int, neighbours: int, candidates: IntArray | None = None) -> PillarSpace:
        """The space of a direction; with `candidates`, only these items can be described."""
        return cls(relations, Nearest.of(relations, pillars, neighbours, candidates), pillars, neighbours)

    @classmethod
    def both(cls, relations: Relations, pillars: int, neighbours: int) -> tuple[PillarSpace, PillarSpace]:
        """The spaces of A → B and of B → A."""
        there, back = Nearest.both(relations, pillars, neighbours)
        first = cls(relations, there, pillars, neighbours)
        return first, replace(first, relations=relations.reversed(), nearest=back)

    def describe(self, queries: IntArray, candidates: IntArray) -> FloatArray:
        """Pillar similarities (queries, 1 + K, 2·pillars) of queries (queries,) and candidates (queries, K).

        Candidates of −1 are absent: what stands in their rows means nothing, but is finite.
        """
        here, length = self.relations, self.pillars
        (inter, intra), values = self.columns(queries), self._of_others(queries)[1]
        known = np.where(candidates < 0, np.maximum(candidates[:, :1], 0), candidates)
        x = np.empty((len(queries), 1 + candidates.shape[1], 2 * length), np.float32)
        # Column 0 of both groups is the query: every node's similarity to the query itself.
        x[:, 0, 0] = here.query_diagonal[queries]
        x[:, 1:, 0] = here.scores.pairs(queries[:, None], known)
        x[:, :, length] = x[:, :, 0]
        alike, unlike = (None, None) if here.vectors is None else ((here.vectors[0], here.vectors[0]), here.vectors)
        grid = outer(here.gallery, known, np.maximum(inter, 0), alike)
        _fill(x[:, :, 1:length], here.scores.pairs(queries[:, None], np.maximum(inter, 0)), inter, grid, x)
        grid = outer(here.others, known, np.maximum(intra, 0), unlike)
        _fill(x[:, :, length + 1 :], values, intra, grid, x)
        return x if here.complete else _completed(x)

    def columns(self, queries: IntArray) -> tuple[IntArray, IntArray]:
        """The pillars of queries besides the queries themselves: items of B and of A, (queries, pillars − 1) each.

        Where a side has too few items the last pillar is repeated; −1 where there is none at all (a query that
        is alone on its side), which stands for the query itself.
        """
        inter = self.nearest.query_gallery[queries]
        return _chosen(inter, _places(inter, self.pillars - 1)), self._of_others(queries)[0]

    def _of_others(self, queries: IntArray) -> tuple[IntArray, FloatArray]:
        """The pillars of A, and the queries' similarities to them (queries, pillars − 1)."""
        items, values = self.nearest.query_others[queries], self.nearest.query_values[queries]
        if self.relations.own:
            rest = _without(items, queries)
            items, values = items[rest].reshape(len(queries), -1), values[rest].reshape(len(queries), -1)
        places = _places(items, self.pillars - 1)
        return _chosen(items, places), _chosen(values, places)

    def lists(self, queries: IntArray, candidates: IntArray) -> tuple[IntArray, IntArray]:
        """Every node's nearest items of A and of B for the graph, (queries, 1 + K, neighbours) each."""
        near, absent = self.nearest, candidates < 0
        rows = near.rows(candidates)
        a = self._joined(near.query_others[queries], near.gallery_others[rows], absent)
        return a, self._joined(near.query_gallery[queries], near.gallery_gallery[rows], absent)

    def _joined(self, query: IntArray, gallery: IntArray, absent: BoolArray) -> IntArray:
        joined = np.full((*np.add(gallery.shape[:2], (0, 1)), self.neighbours), -1, np.int64)
        first, rest = query[:, : self.neighbours], gallery[:, :, : self.neighbours]
        joined[:, 0, : first.shape[1]] = first
        joined[:, 1:, : rest.shape[2]] = rest
        joined[:, 1:][absent] = -1
        return joined


def _fill(x: FloatArray, of_query: FloatArray, pillars: IntArray, of_candidates: FloatArray, whole: FloatArray) -> None:
    """Similarities of the query (node 0; queries, L − 1) and of its candidates (queries, K, L − 1) to pillars, written
    into x (queries, 1 + K, L − 1).
    """
    if not pillars.shape[1]:
        return
    alone = pillars[:, 0] < 0
    x[:, 0] = of_query
    x[:, 1:] = of_candidates
    x[alone] = whole[alone][:, :, :1]


def _without(lists: IntArray, items: IntArray) -> BoolArray:
    """What is left (rows, n) of lists where one item is taken out of each, or the last entry where it is not there."""
    rest: BoolArray = lists != items[:, None]
    rest[rest.all(axis=1), -1] = False
    return rest


def _places(lists: IntArray, count: int) -> IntArray:
    """The places (rows, count) of the first in padded lists; the last one's is repeated where there are too few."""
    last = np.maximum((lists >= 0).sum(axis=1, keepdims=True) - 1, 0)
    places: IntArray = np.minimum(np.arange(count), last)
    return places


def _chosen(lists: AnyArray, places: IntArray) -> AnyArray:
    """What stands at places of lists (rows, n); −1 where they are empty."""
    return np.take_along_axis(lists, places, axis=1) if lists.shape[1] else np.full(places.shape, -1, lists.dtype)


def _completed(x: FloatArray) -> FloatArray:
    """Absent similarities (−inf) replaced by the lowest that is known: the node's, or else its query's."""
    absent = np.isneginf(x)
    known = np.where(absent, np.inf, x)
    of_node = known.min(axis=2, keepdims=True)
    of_query = of_node.min(axis=1, keepdims=True)
    lowest = np.where(np.isinf(of_node), np.where(np.isinf(of_query), 0, of_query), of_node)
    completed: FloatArray = np.where(absent, lowest, x).astype(np.float32)
    return completed
