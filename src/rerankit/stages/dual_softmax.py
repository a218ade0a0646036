"""dual-softmax: the product of both directions' softmax probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._passes import column_softmax_level, row_softmax_level, softmax_levels


class DualSoftmax(BankStage):
    """Multiply the probability of the item given the query by that of the query given the item.

    Both are softmaxes of β s, one over the gallery, one over the queries. The score is the logarithm of the product,
    divided by 2 β and with means in the place of sums, so that it stays on the scale of s. For the order
    within a query it is an inverted softmax of half strength: it loses less, but in the same places (few queries, a
    bank unlike them, items that are right for many), and gains less where hubs are strong.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.85], [0.9, 0.1], [0.9, 0.2]], "dual-softmax", k=2).indices[0]
    array([1, 0])
    """

    name = "dual-softmax"
    citation = "Cheng et al., Video-text retrieval by multi-stream corpus alignment and dual softmax loss (2021)"

    def __init__(self, beta: float = 20.0, bank: Any = None) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        if others is problem.scores:
            columns, rows = softmax_levels(others, self.beta)
        else:
            columns, rows = column_softmax_level(others, self.beta), row_softmax_level(problem.scores, self.beta)
        scores: FloatArray = own_scores(problem.scores, ranking) - (
            columns[items_of(ranking)] + rows[:, None]
        ) / np.float32(2)
        return scores
