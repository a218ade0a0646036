"""mutual-neighbours: candidates come first that are near the query and have it near."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.looks import Looks
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import shared_ranks
from rerankit.stages.banks import check_bank
from rerankit.stages.candidates import filled, items_of, own_scores
from rerankit.stages.hubness.mutual import MutualStage, PlacesBack
from rerankit.stages.lone import check_lone


class MutualNeighbours(MutualStage):
    """Order candidates by the sum of two places: the item's for the query, and the query's among the queries it finds.

    Places beyond `neighbours` all count as one more than that, so that candidates which do not return to the query
    keep their order behind those that do; scores break ties. Every query's scores are first taken relative to what is
    usual for it; where there are more queries than items, so many places count as one. With `nearest_queries` n the
    place back of an item is the mean over the query and its n nearest queries. It loses where several queries rightly
    want one item.

    `published` orders by the place back alone, of the scores as they are, whatever the score (the published form takes
    for the nearest queries the captions known to describe the same picture: here nothing of the kind is read). It
    loses where a query's first candidates are good and where there are few queries.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.95, 0.1], [0.99, 0.2]], "mutual-neighbours", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "mutual-neighbours"
    citation = "Wang et al., Matching images and text with multi-modal tensor fusion and re-ranking (MM 2019)"

    def __init__(
        self,
        neighbours: int = 20,
        nearest_queries: int = 0,
        published: bool = False,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.nearest_queries = checks.integer("nearest_queries", nearest_queries, least=0)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    @property
    def least_places(self) -> int:
        return self.neighbours + 1

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_scores",) if self.nearest_queries else ()

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return super().looks_at(problem) | Looks(queries=bool(self.nearest_queries))

    def placed(self, back: PlacesBack, problem: Problem, ranking: Ranking) -> FloatArray:
        own, items = own_scores(problem.scores, ranking), items_of(ranking)
        forward = np.nan_to_num(shared_ranks(np.where(ranking.mask, own, np.float32(np.nan))))
        place = self._places_back(back, problem, own, items)
        if not self.published:
            place = back.weight * place + np.minimum(forward, self.neighbours + 1)
        # Means of shared places differ by at least 1 / (2 (n + 1)); what breaks ties stays below that.
        step = 0.5 / (1 + self.nearest_queries) / (1 + ranking.mask.sum(axis=1, keepdims=True))
        scores: FloatArray = -(place + step.astype(np.float32) * forward)
        return scores

    def _places_back(self, back: PlacesBack, problem: Problem, own: FloatArray, items: IntArray) -> FloatArray:
        """The place (queries, K) of a query, or the mean of its and its nearest queries', among those looked at."""
        many = np.float32(1 if self.published else back.crowding)
        usual = back.usual(problem.scores)
        last = np.float32(self.neighbours * back.evenly + 1)  # far down the queries of a popular item are many, too
        place = np.minimum(back.of(items, own, np.arange(len(items))[:, None], usual) / many, last)
        for near in self._nearest_queries(problem).T:
            theirs = filled(problem.scores.pairs(near[:, None], items))
            place = place + np.minimum(back.of(items, theirs, near[:, None], usual) / many, last)
        result: FloatArray = place / (1 + self.nearest_queries)
        return result

    def _nearest_queries(self, problem: Problem) -> IntArray:
        """The `nearest_queries` nearest other queries (queries, n)."""
        if not self.nearest_queries:
            return np.empty((problem.shape[0], 0), np.int64)
        if problem.query_scores is None:
            raise InputError(f"stage '{self.name}' needs 'query_scores' (got {problem!r})")
        from rerankit.stages.neighbours.others import others_nearest

        every = np.arange(problem.shape[0])
        found = others_nearest(problem.query_scores, every, self.nearest_queries)[0]
        padded = np.full((len(every), self.nearest_queries), -1)
        padded[:, : found.shape[1]] = found
        return np.where(padded >= 0, padded, every[:, None])
