"""csls: cross-domain similarity local scaling."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._banks import BankStage, check_bank
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages._highest import column_top_mean, row_top_mean, top_means


class CSLS(BankStage):
    """Compare a similarity with how near both its ends are to their neighbours.

    The score is 2 s − r(query) − r(item): r is the mean similarity to the `neighbours` nearest items of the other side.
    It helps where density differs from place to place; it loses where the number of right items per query differs
    more than the density, because a well-matched item then looks like a hub.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "csls", k=2).indices[0]
    array([1, 0])
    """

    name = "csls"
    citation = "Conneau et al., Word translation without parallel data (ICLR 2018)"

    def __init__(self, neighbours: int = 10, bank: Any = None) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others, own = self.other_queries(problem), own_scores(problem.scores, ranking)
        if others is problem.scores:
            of_items, of_queries = top_means(others, self.neighbours, own if ranking.mask.all() else None)
        else:
            of_items, of_queries = (
                column_top_mean(others, self.neighbours),
                row_top_mean(problem.scores, self.neighbours),
            )
        scores: FloatArray = 2 * own - of_items[items_of(ranking)]
        return scores - of_queries[:, None]
