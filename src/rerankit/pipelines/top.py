"""top: another stage for the first candidates only."""

from __future__ import annotations

from collections.abc import Sequence

from rerankit import checks
from rerankit.errors import rule
from rerankit.pipelines.composite import Composite
from rerankit.pipelines.prepared import Prepared
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.seams import splice


class Top(Composite):
    """Another stage for the first `candidates` only; the rest keep their order behind them.

    The first ones have the stage's scores. Where the next score is not below the last of these, all scores of the rest
    are lowered alike until it is. It loses where its stage does, and what stands behind `candidates` cannot gain.

    >>> from rerankit import stage
    >>> stage("nnn").top(20)
    stage('nnn').top(20)
    """

    name = "top"

    def __init__(self, stage: Stage, candidates: int) -> None:
        if not isinstance(stage, Stage):
            raise rule("stage", "must be a stage", stage)
        self.stage = stage
        self.candidates = checks.integer("candidates", candidates, least=1)

    @property
    def children(self) -> tuple[Stage, ...]:
        return (self.stage,)

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        return splice(children[0].rerank(problem, ranking.top(self.candidates)), ranking)

    def passes_on(self, problem: Problem) -> Problem:
        return self.stage.passes_on(problem)

    @property
    def passes_on_as_given(self) -> bool:
        return self.stage.passes_on_as_given

    def __repr__(self) -> str:
        return f"{self.stage!r}.top({self.candidates})"
