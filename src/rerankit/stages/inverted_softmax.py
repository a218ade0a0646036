"""inverted-softmax: a score counts by how it stands among what all queries give the item."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._passes import column_softmax_level


class InvertedSoftmax(BankStage):
    """Divide exp(β s) by its mean over other queries: items that everybody is near to (hubs) fall back.

    The score is s − (1/β) log mean exp(β s'), s' the other queries' scores of the item: the inverted softmax's
    logarithm on the scale of s, whatever the number of other queries. Larger `beta` looks at fewer, nearer queries.
    It loses with a bank unlike the test queries (their hubs are not these hubs), with very few queries, and
    where one item is right for many queries, which looks like a hub.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "inverted-softmax", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "inverted-softmax"
    citation = "Smith et al., Offline bilingual word vectors and the inverted softmax (ICLR 2017)"

    def __init__(self, beta: float = 20.0, bank: Any = None) -> None:
        self.beta = checks.number("beta", beta, above=0)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        level = column_softmax_level(self.other_queries(problem), self.beta)
        scores: FloatArray = own_scores(problem.scores, ranking) - level[items_of(ranking)]
        return scores
