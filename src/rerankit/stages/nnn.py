"""nnn: nearest-neighbour normalisation."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._highest import column_top_mean


class NNN(BankStage):
    """Subtract from a score the item's bias: α times its mean score over the k nearest other queries.

    `bank` is meant to be a set of known queries; a few hundred of the same kind are enough. It loses with a bank from
    another domain, and with a large `alpha` where single items are rightly near to many queries.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "nnn", alpha=0.75, k=2).indices[0]
    array([1, 0])
    """

    name = "nnn"
    citation = "Chowdhury et al., Nearest neighbor normalization improves multimodal retrieval (EMNLP 2024)"

    def __init__(self, neighbours: int = 16, alpha: float = 0.75, bank: Any = None) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        bias = column_top_mean(self.other_queries(problem), self.neighbours)
        scores: FloatArray = own_scores(problem.scores, ranking) - self.alpha * bias[items_of(ranking)]
        return scores
