"""qb-norm: inverted softmax, but only for queries whose first candidate is a hub of the bank."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._passes import column_levels_and_best, column_softmax_level


class QBNorm(BankStage):
    """Dynamic inverted softmax: correct a query only when its best candidate is among the bank's favourites.

    The favourites are the items that stand among the first `neighbours` of any bank query; all other queries keep
    their scores, so a bank that does not fit does little harm; with one that fits, queries left alone lose
    what `inverted-softmax` would have given them. Against the test queries themselves (no bank) every query's best
    candidate is its own favourite, and the stage equals inverted softmax.

    >>> from rerankit import Bank, Problem, rerank
    >>> bank = Bank(to_gallery=[[0.9, 0.1, 0.0], [0.8, 0.2, 0.1]])
    >>> rerank(Problem([[0.5, 0.4, 0.0], [0.1, 0.5, 0.4]], query_bank=bank), "qb-norm", k=3).indices
    array([[1, 2, 0],
           [1, 2, 0]])
    """

    name = "qb-norm"
    citation = "Bogolin et al., Cross modal retrieval with querybank normalisation (CVPR 2022)"

    def __init__(self, beta: float = 20.0, neighbours: int = 1, bank: Any = None) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        favourite = np.zeros(problem.shape[1], bool)
        if self.neighbours == 1:
            level, first = column_levels_and_best(others, self.beta)
        else:
            level, first = column_softmax_level(others, self.beta), others.topk(self.neighbours)[0]
        favourite[first[first >= 0]] = True
        own, items = own_scores(problem.scores, ranking), items_of(ranking)
        best = best_item(np.where(ranking.mask, own, -np.inf), items)
        scores: FloatArray = own - np.where(favourite[best][:, None], level[items], np.float32(0))
        return scores


def best_item(scores: FloatArray, items: Any) -> Any:
    """Per row the item of the highest score, the lowest item among equals.

    >>> best_item(np.float32([[1, 3, 3]]), np.array([[4, 9, 7]]))
    array([7])
    """
    highest = scores == scores.max(axis=1, keepdims=True)
    return np.where(highest, items, np.iinfo(np.int64).max).min(axis=1)
