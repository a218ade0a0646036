"""mutual-rank: an item is good when the query ranks it high and it ranks the query high."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import shared_ranks
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, rows_of


class MutualRank(BankStage):
    """Order candidates by the rank of the item for the query and of the query for the item.

    The score is −(log r + `weight` · log r'), r the item's place in the query's ranking, r' the query's place among
    all queries (or those of a bank) by the item's scores, both from 1 and tied places shared. It needs
    nothing but scores. It loses where several queries rightly want one item: each pushes the others down.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.95, 0.1], [0.99, 0.2]], "mutual-rank", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "mutual-rank"
    citation = "Wang et al., Matching images and text with multi-modal tensor fusion and re-ranking (MM 2019)"

    def __init__(self, weight: float = 1.0, bank: Any = None) -> None:
        self.weight = checks.number("weight", weight, least=0)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        indices, queries = items_of(ranking), rows_of(ranking)
        own = problem.scores.pairs(queries, indices)
        forward = shared_ranks(np.where(ranking.mask & np.isfinite(own), own, np.float32(np.nan)))
        backward = self.ranks_back(problem, indices, own, queries)
        # A candidate the problem has no score for (top-k lists after another stage) goes behind the others.
        forward = np.where(np.isnan(forward), ranking.shape[1] + 1, forward)
        scores: FloatArray = -(np.log(forward) + np.float32(self.weight) * np.log(backward))
        return scores
