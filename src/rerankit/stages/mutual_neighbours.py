"""mutual-neighbours: candidates that rank the query high come first, whatever their score."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import shared_ranks
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import filled, items_of, own_scores


class MutualNeighbours(BankStage):
    """Order candidates by the place the query has among the queries each of them finds; scores break ties.

    Places beyond `neighbours` all count as one more than that, so that candidates which do not return to the query
    keep their order behind those that do. With `nearest_queries` n the place of an item is the mean over the query and
    its n nearest queries (the published form takes the captions known to describe the same picture: here nothing of
    the kind is read). It loses where several queries rightly want one item, and where there are few queries.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.95, 0.1], [0.99, 0.2]], "mutual-neighbours", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "mutual-neighbours"
    citation = "Wang et al., Matching images and text with multi-modal tensor fusion and re-ranking (MM 2019)"

    def __init__(self, neighbours: int = 20, nearest_queries: int = 0, bank: Any = None) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.nearest_queries = checks.integer("nearest_queries", nearest_queries, least=0)
        self.bank = check_bank(bank)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_scores",) if self.nearest_queries else ()

    @property
    def transductive(self) -> bool:
        return bool(self.nearest_queries) or super().transductive

    def is_transductive(self, problem: Problem) -> bool:
        return bool(self.nearest_queries) or super().is_transductive(problem)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        own, items = own_scores(problem.scores, ranking), items_of(ranking)
        queries = np.arange(len(ranking))[:, None]
        place = np.minimum(self.ranks_back(problem, items, own, queries), self.neighbours + 1)
        for near in self._nearest_queries(problem).T:
            theirs = filled(problem.scores.pairs(near[:, None], items))
            place = place + np.minimum(self.ranks_back(problem, items, theirs, near[:, None]), self.neighbours + 1)
        place = place / (1 + self.nearest_queries)
        forward = shared_ranks(np.where(ranking.mask, own, np.float32(np.nan)))
        # Means of shared places differ by at least 1 / (2 (n + 1)); what breaks ties stays below that.
        step = 0.5 / (1 + self.nearest_queries) / (1 + own.shape[1])
        scores: FloatArray = -(place + np.float32(step) * np.nan_to_num(forward))
        return scores

    def _nearest_queries(self, problem: Problem) -> IntArray:
        """The `nearest_queries` nearest other queries (queries, n)."""
        if not self.nearest_queries:
            return np.empty((problem.shape[0], 0), np.int64)
        if problem.query_scores is None:
            raise InputError(f"stage '{self.name}' needs 'query_scores' (got {problem!r})")
        from rerankit.stages.dba import others_nearest

        every = np.arange(problem.shape[0])
        found = others_nearest(problem.query_scores, every, self.nearest_queries)[0]
        padded = np.full((len(every), self.nearest_queries), -1)
        padded[:, : found.shape[1]] = found
        return np.where(padded >= 0, padded, every[:, None])
