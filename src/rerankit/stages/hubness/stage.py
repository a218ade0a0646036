"""What the hubness stages share: one correction for each item, from what other queries think of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.prepared import Prepared
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.sides import Side
from rerankit.stages._banks import BankStage
from rerankit.stages._candidates import items_of, own_scores
from rerankit.stages.hubness.spread import spread

if TYPE_CHECKING:
    from rerankit.gallery import Gallery

Beta = float | str


class Correction:
    """What is taken from the scores of candidates, and what there is to note about it."""

    def __init__(
        self, of_items: AnyArray | None, *, spread: float = 0.0, favourites: BoolArray | None = None, **notes: Any
    ) -> None:
        self.of_items = of_items  # (items,), added to every score of the item
        self.spread = spread  # of the other queries' scores
        self.favourites = favourites  # (items,): queries whose best candidate is none of them are left alone
        self.notes = notes

    def added(self, own: FloatArray, items: IntArray) -> AnyArray:
        """The number that is added to each candidate's own score (queries, K)."""
        if self.of_items is None:
            return np.zeros(own.shape)
        added: AnyArray = self.of_items[items]
        if self.favourites is None:
            return added
        return np.where(self.favourites[best_item(own, items)][:, None], added, 0)


NOTHING_TO_COMPARE = "one query has no other queries to be compared with: the order is as it came; a bank has them"


class HubnessStage(BankStage):
    """A stage that adds to each score a number of the item's, found among other queries (test queries or a bank).

    It is prepared from the other queries' scores alone; the candidates' own scores come to it last.
    """

    published: bool

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        """What the other queries' scores (others, gallery) say of the items; `same`: they are those of the problem."""
        raise NotImplementedError

    def prepare(self, gallery: Gallery) -> Prepared:
        return Corrected(self, gallery)

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        scores, notes = self._answer(problem, ranking)
        return self.reordered(ranking, scores).with_notes(**{self.name: notes})

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._answer(problem, ranking)[0]

    def _answer(self, problem: Problem, ranking: Ranking) -> tuple[FloatArray, dict[str, Any]]:
        others = self.other_queries(problem)
        same = others is problem.scores
        if same and len(ranking) == 1 and not self.published:
            return own_scores(problem.scores, ranking), {"note": NOTHING_TO_COMPARE}
        found = self.correction(problem.gallery, others, same)
        return self.corrected(found, problem, ranking), found.notes

    def corrected(self, found: Correction, problem: Problem, ranking: Ranking) -> FloatArray:
        """The candidates' scores (queries, K) under a correction."""
        own = own_scores(problem.scores, ranking)
        return self._scores(own, found.added(own, items_of(ranking)), found, problem)

    def _scores(self, own: FloatArray, added: AnyArray, found: Correction, problem: Problem) -> FloatArray:
        result: FloatArray = (own + added).astype(np.float32)
        return result


class Corrected(Prepared):
    """A stage with the correction of a gallery's items, found among the queries of a bank."""

    stage: HubnessStage

    def __init__(self, stage: HubnessStage, gallery: Gallery) -> None:
        super().__init__(stage, gallery)
        self.correction = stage.correction(gallery.side, stage.known_queries(gallery), False)

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        scores = self.stage.corrected(self.correction, problem, ranking)
        return self.stage.reordered(ranking, scores).with_notes(**{self.stage.name: self.correction.notes})


def best_item(scores: FloatArray, items: Any) -> Any:
    """Per row the item of the highest score, the lowest item among equals.

    >>> best_item(np.float32([[1, 3, 3]]), np.array([[4, 9, 7]]))
    array([7])
    """
    highest = scores == scores.max(axis=1, keepdims=True)
    return np.where(highest, items, np.iinfo(np.int64).max).min(axis=1)


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
