"""What the hubness stages share: one correction for each item, from what other queries think of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.stages._banks import BankStage
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages.hubness.spread import spread

Beta = float | str


class Correction:
    """What is taken from the scores of candidates, and what there is to note about it."""

    def __init__(self, of_items: AnyArray | None, **notes: Any) -> None:
        self.of_items = of_items  # (items,), added to every score of the item
        self.notes = notes

    def added(self, own: FloatArray, items: IntArray) -> AnyArray:
        """The number that is added to each candidate's own score (queries, K)."""
        if self.of_items is None:
            return np.zeros(own.shape)
        added: AnyArray = self.of_items[items]
        return added


NOTHING_TO_COMPARE = "one query has no other queries to be compared with: the order is as it came; a bank has them"


class HubnessStage(BankStage):
    """A stage that adds to each score a number of the item's, found among other queries (test queries or a bank).

    It is prepared from the other queries' scores alone; the candidates' own scores come to it last.
    """

    published: bool

    def correction(self, problem: Problem, others: Scores, same: bool) -> Correction:
        """What the other queries' scores (others, gallery) say of the items; `same`: they are those of the problem."""
        raise NotImplementedError

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        scores, notes = self._answer(problem, ranking)
        return ranking.with_scores(self._padded(scores, ranking)).with_notes(**{self.name: notes})

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._answer(problem, ranking)[0]

    def _answer(self, problem: Problem, ranking: Ranking) -> tuple[FloatArray, dict[str, Any]]:
        others, own, items = self.other_queries(problem), own_scores(problem.scores, ranking), items_of(ranking)
        same = others is problem.scores
        if same and len(ranking) == 1 and not self.published:
            return own, {"note": NOTHING_TO_COMPARE}
        found = self.correction(problem, others, same)
        return self._scores(own, found.added(own, items), problem), found.notes

    def _scores(self, own: FloatArray, added: AnyArray, problem: Problem) -> FloatArray:
        result: FloatArray = (own + added).astype(np.float32)
        return result


def check_beta(argument: str, beta: Any) -> Beta:
    """An inverse temperature, or "auto"."""
    return "auto" if isinstance(beta, str) and beta == "auto" else checks.number(argument, beta, above=0)


def beta_of(given: Beta, scores: Scores, sharpness: float) -> tuple[float, float]:
    """The inverse temperature and the spread of the scores: `sharpness` over the spread where "auto" was given.

    0 where all scores are alike, so that there is nothing to tell items apart by.
    """
    sigma = spread(scores)
    if isinstance(given, str):
        return (sharpness / sigma if sigma else 0.0), sigma
    return given, sigma
