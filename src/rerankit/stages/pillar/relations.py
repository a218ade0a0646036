"""What pillars are read from: the four relations of a direction, and everyone's nearest items in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import UnmetNeedError
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, Scores, blocks, normalised
from rerankit.scores.matrix_product import each_alone
from rerankit.threads import in_threads

_LOOKUPS = 32  # vectors that are looked up for a query, at least
_TOGETHER = 16  # queries whose vectors a thread looks up at once
_KEPT = 0.5  # share of the memory budget that the vectors of a side may take


@dataclass(frozen=True)
class Relations:
    """The relations of queries of side A with a gallery of side B.

    The *others* are the items of A in which intra-modal pillars are looked for: the queries themselves (`own`: other
    i is query i), or a bank. `across` is (queries, others), `others` (gallery, others).

    >>> Relations.of(Problem.from_embeddings(np.eye(3), np.eye(3)[:2])).others.shape
    (2, 3)
    """

    scores: Scores
    gallery: Scores
    across: Scores
    others: Scores
    own: bool = True
    query_scores: Scores | None = None

    @classmethod
    def of(cls, problem: Problem, bank: Bank | None = None) -> Relations:
        """From a problem; with a bank the other test queries are never looked at."""
        if problem.gallery_scores is None:
            raise UnmetNeedError(
                "pillars need gallery_scores, the similarities among the gallery's items: give "
                "Problem(…, gallery_scores=…), or use Problem.from_embeddings"
            )
        if bank is not None:
            return cls._with_bank(problem, problem.gallery_scores, bank)
        if problem.query_scores is None:
            raise UnmetNeedError(
                "pillars need query_scores, the similarities among the queries: give Problem(…, query_scores=…), "
                "a bank of other queries (query_bank=…), or use Problem.from_embeddings"
            )
        across = problem.query_scores
        return cls(problem.scores, problem.gallery_scores, across, problem.scores.T, query_scores=across)

    @classmethod
    def _with_bank(cls, problem: Problem, gallery: Scores, bank: Bank) -> Relations:
        bank.check("bank", problem.shape)
        if bank.to_queries is None or bank.to_gallery is None:
            missing = "to_queries" if bank.to_queries is None else "to_gallery"
            raise UnmetNeedError(f"pillars need '{missing}' of the bank, too: give Bank(to_gallery=…, to_queries=…)")
        across, others = bank.to_queries.T, bank.to_gallery.T
        return cls(problem.scores, gallery, across, others, False, problem.query_scores)

    @cached_property
    def vectors(self) -> tuple[SideVectors, SideVectors] | None:
        """Those of the gallery and of the others, where what candidates are described by are products of vectors."""
        one, two = self.gallery, self.others
        if not isinstance(one, EmbeddingScores) or not isinstance(two, EmbeddingScores):
            return None
        if one.queries is not two.queries or one.metric != two.metric:
            return None
        lookups = self.scores.shape[0] * _LOOKUPS
        gallery, others = (SideVectors(side, one.metric == "cosine", lookups) for side in (one.queries, two.gallery))
        return gallery, others

    def reversed(self) -> Relations:
        """The other direction; only without a bank."""
        return Relations(self.others, self.across, self.gallery, self.scores, query_scores=self.gallery)

    @property
    def complete(self) -> bool:
        """Whether every similarity is known."""
        return all(one.complete for one in (self.scores, self.gallery, self.across, self.others))

    @cached_property
    def query_diagonal(self) -> FloatArray:
        """Every query's similarity to itself (queries,)."""
        if self.query_scores is not None:
            return diagonal(self.query_scores)
        # Nothing compares queries with queries: an item of the gallery is to itself what a query is to itself.
        return np.full(self.scores.shape[0], diagonal(self.gallery).max(), np.float32)


@dataclass(frozen=True)
class Nearest:
    """Nearest items (rows, n), best first, padded with −1: all that pillars and graphs refer to.

    `query_values` are the scores of `query_others`. `members` are the gallery items that `gallery_*` has rows for,
    ascending; None means all.
    """

    query_gallery: IntArray
    query_others: IntArray
    query_values: FloatArray
    gallery_gallery: IntArray
    gallery_others: IntArray
    members: IntArray | None = None

    @classmethod
    def of(cls, relations: Relations, pillars: int, neighbours: int, candidates: IntArray | None = None) -> Nearest:
        """The lists of a direction; with `candidates`, only those items of the gallery are looked up."""
        deep = max(pillars, neighbours)
        members = _members(candidates, relations.scores.shape[1])
        return cls(
            relations.scores.topk(deep)[0],
            *relations.across.topk(deep),
            _top_of(relations.gallery, neighbours, members),
            _top_of(relations.others, neighbours, members),
            members,
        )

    @classmethod
    def of_known(cls, relations: Relations, pillars: int, neighbours: int, known: tuple[IntArray, IntArray]) -> Nearest:
        """The lists of a direction whose gallery's lists (`gallery_gallery`, `gallery_others`) are known."""
        deep = max(pillars, neighbours)
        return cls(relations.scores.topk(deep)[0], *relations.across.topk(deep), *known)

    @classmethod
    def both(cls, relations: Relations, pillars: int, neighbours: int) -> tuple[Nearest, Nearest]:
        """The lists of both directions, each relation scanned once."""
        deep = max(pillars, neighbours)
        ab, ba = relations.scores.topk(deep)[0], relations.others.topk(deep)[0]
        aa, bb = relations.across.topk(deep), relations.gallery.topk(deep)
        n = neighbours
        return cls(ab, *aa, bb[0][:, :n], ba[:, :n]), cls(ba, *bb, aa[0][:, :n], ab[:, :n])

    def rows(self, items: IntArray) -> IntArray:
        """The rows of gallery items; absent ones (−1) get some row."""
        return np.maximum(items, 0) if self.members is None else np.searchsorted(self.members, items)


class SideVectors:
    """Vectors (n, d) of a side as products take them: at length 1 for cosines. Where many are looked up, all of them
    are kept, if the memory budget has room.
    """

    def __init__(self, array: AnyArray, unit: bool, lookups: int = 0) -> None:
        self._array, self._unit = array, unit
        if lookups >= len(array) and array.shape[0] * array.shape[1] * 4 <= settings.memory_budget() * _KEPT:
            self._array, self._unit = self[np.arange(len(array))], False

    def __getitem__(self, items: IntArray) -> FloatArray:
        """Those of some items (…,): (…, d)."""
        vectors = np.asarray(self._array[items.reshape(-1)], np.float32)
        return (normalised(vectors) if self._unit else vectors).reshape(*items.shape, -1)


def outer(
    scores: Scores, rows: IntArray, columns: IntArray, vectors: tuple[SideVectors, SideVectors] | None = None
) -> FloatArray:
    """For every query all pairs of its rows (queries, n) and its columns (queries, m): (queries, n, m). `vectors` are
    those of both, where they are known.
    """
    if not isinstance(scores, EmbeddingScores) or scores.metric == "euclidean":
        return scores.pairs(rows[:, :, None], columns[:, None, :])
    # A vector is looked up once for its row or column rather than once for every pair.
    result = np.empty((len(rows), rows.shape[1], columns.shape[1]), np.float32)
    size = (rows.shape[1] + columns.shape[1]) * scores.queries.shape[1] * 12
    left, right = vectors or (SideVectors(side, scores.metric == "cosine") for side in (scores.queries, scores.gallery))

    def one(at: int) -> None:
        part = slice(at, min(at + _TOGETHER, block.stop))
        np.matmul(left[rows[part]], right[columns[part]].transpose(0, 2, 1), out=result[part])

    for block in blocks(len(rows), size, share=0.5):
        with each_alone():  # products so small that threads of a matrix library would wait for each other
            in_threads(one, range(block.start, block.stop, _TOGETHER))
    return result


def diagonal(scores: Scores) -> FloatArray:
    """Every item's similarity to itself (items,); where a list leaves it out, the item's highest."""
    items = np.arange(scores.shape[0])
    own = scores.pairs(items, items)
    return own if scores.complete else np.maximum(own, np.maximum(scores.topk(1)[1][:, 0], -1e30))


def _members(candidates: IntArray | None, size: int) -> IntArray | None:
    if candidates is None or candidates.size >= size:
        return None
    members = np.unique(candidates[candidates >= 0])
    return None if 2 * len(members) > size else members


def _top_of(scores: Scores, count: int, rows: IntArray | None) -> IntArray:
    if rows is None:
        return scores.topk(count)[0]
    return np.concatenate(list(_top_in_blocks(scores, count, rows)))


def _top_in_blocks(scores: Scores, count: int, rows: IntArray) -> Iterator[IntArray]:
    # Taking rows out of a matrix copies them: a block at a time.
    for block in blocks(len(rows), scores.shape[1] * 4, share=0.5):
        yield scores.take(rows[block]).topk(count)[0]
