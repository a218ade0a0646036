"""auto: the pipeline that gains significantly on this problem, or the order as it came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rerankit import checks
from rerankit.errors import rule
from rerankit.looks import Looks
from rerankit.pipelines.composite import Composite
from rerankit.pipelines.prepared import Prepared
from rerankit.pipelines.stage import Stage
from rerankit.pipelines.trainable import Learning
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance

if TYPE_CHECKING:
    from rerankit.pipelines.pipeline import Pipeline


class Auto(Composite):
    """Choose a pipeline as `rerankit.choose` does, and use it; where nothing is significantly better, change nothing.

    `fit(problem, relevance)` chooses once, on labelled queries (`fit(…, bank=(pairs, relevance))` on other labelled
    pairs), and keeps what it chose as `chosen`, also when saved. Without labels every problem is judged by itself, by
    what of the agreement between both directions survives noise, or by how often the bank's queries find an item that
    was drawn at random and raised. The notes say what was chosen and why. It loses against a stage that is
    known to suit: what is not significant on few queries is left out.

    `test_queries` False leaves out whatever looks at other test queries. `significance` is the level at which a gain
    counts (None: as in `choose`, 0.01 by labels and 0.05 without).

    >>> import numpy as np
    >>> from rerankit import rerank
    >>> random = np.random.default_rng(0)
    >>> scores = random.normal(size=(200, 200)) + 1.5 * random.normal(size=200) + 5 * np.eye(200)
    >>> rerank(scores, "auto").notes["auto"]["chosen"]
    ["stage('sinkhorn')"]
    """

    name = "auto"
    citation = (
        "rerankit: choice by labels, by halves of a bank, by items drawn at random, or by agreement of the directions"
    )
    takes = ("validation", "bank")

    def __init__(
        self, test_queries: bool = True, significance: float | None = None, chosen: Pipeline | None = None
    ) -> None:
        self.test_queries = checks.boolean("test_queries", test_queries)
        self.significance = (
            None if significance is None else checks.number("significance", significance, above=0, most=1)
        )
        self.chosen = _checked(chosen)

    @property
    def own_needs(self) -> tuple[str, ...]:
        return ("complete_scores",) if self.chosen is None else ()

    @property
    def children(self) -> tuple[Stage, ...]:
        return () if self.chosen is None else (self.chosen,)

    def looks_at(self, problem: Problem | None = None) -> Looks:
        if self.chosen is not None:  # by labels
            return super().looks_at(problem) | Looks(labels=True)
        with_bank = problem is not None and problem.query_bank is not None
        return Looks(queries=not with_bank, bank=with_bank)

    def learn(self, problem: Problem, relevance: Relevance, how: Learning) -> None:
        """Choose on the problem's labelled queries, on those of `validation`, or on `bank`, other labelled pairs."""
        from rerankit.choosing import choose
        from rerankit.pipelines.pipeline import Pipeline

        shared: Any = {"test_queries": self.test_queries, "significance": self.significance}
        if how.bank is not None:
            found = choose(problem, bank=how.bank, **shared)
        else:
            found = choose(*(how.validation or (problem, relevance)), **shared)
        self.chosen = Pipeline(found.stages)

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        if self.chosen is not None:
            return noted(children[0].rerank(problem, ranking), self.chosen, "chosen by fit")
        from rerankit.choosing import choose

        with_bank = problem.query_bank is not None
        found = choose(problem, test_queries=self.test_queries and not with_bank, significance=self.significance)
        return noted(found.rerank(problem, ranking), found, found.reason)


def noted(ranking: Ranking, chosen: Pipeline, reason: str) -> Ranking:
    """The ranking with what was chosen, and why."""
    return ranking.with_notes(auto={"chosen": [repr(one) for one in chosen.stages], "reason": reason})


def _checked(chosen: Any) -> Pipeline | None:
    from rerankit.pipelines.pipeline import Pipeline

    if chosen is None or isinstance(chosen, Pipeline):
        return chosen
    raise rule("chosen", "must be a pipeline or None", chosen)
