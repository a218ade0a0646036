"""auto: the pipeline that gains significantly on this problem, or the order as it came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rerankit import checks
from rerankit.errors import rule
from rerankit.looks import Looks
from rerankit.prepared import Change, Prepared, State
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.base import Stage

if TYPE_CHECKING:
    from rerankit.gallery import Gallery
    from rerankit.pipeline import Pipeline


class Auto(Stage):
    """Choose a pipeline as `rerankit.choose` does, and use it; where nothing is significantly better, change nothing.

    `fit(problem, relevance)` chooses once, on labelled queries (`fit(…, bank=(pairs, relevance))` on other labelled
    pairs), and keeps what it chose as `chosen`, also when saved. Without labels every problem is judged anew, by what
    of the agreement between both directions survives noise: among the test queries, or those of the problem's bank. The
    notes say what was chosen and why.

    `transductive_allowed` False leaves out whatever looks at other test queries. `level` is that of significance.

    >>> import numpy as np
    >>> from rerankit import rerank
    >>> random = np.random.default_rng(0)
    >>> scores = random.normal(size=(200, 200)) + 1.5 * random.normal(size=200) + 5 * np.eye(200)
    >>> rerank(scores, "auto").notes["auto"]["chosen"]
    ["stage('sinkhorn')"]
    """

    name = "auto"
    citation = "rerankit: choice by labels, by halves of a bank, or by agreement between the directions"

    def __init__(self, transductive_allowed: bool = True, level: float = 0.05, chosen: Pipeline | None = None) -> None:
        self.transductive_allowed = checks.boolean("transductive_allowed", transductive_allowed)
        self.level = checks.number("level", level, above=0, most=1)
        self.chosen = _checked(chosen)

    @property
    def needs(self) -> tuple[str, ...]:
        if self.chosen is None:
            return ("complete_scores",)
        return tuple(dict.fromkeys(need for one in self.chosen.stages for need in one.needs if need != "weights"))

    def unmet(self, problem: Problem) -> list[str]:
        return super().unmet(problem) if self.chosen is None else self.chosen.unmet(problem)

    def looks_at(self, problem: Problem | None = None) -> Looks:
        if self.chosen is not None:  # by labels
            return self.chosen.looks_at(problem) | Looks(labels=True)
        with_bank = problem is not None and problem.query_bank is not None
        return Looks(queries=not with_bank, bank=with_bank)

    def fit(
        self,
        problem: Problem,
        relevance: Relevance,
        *,
        validation: tuple[Problem, Relevance] | None = None,
        bank: tuple[Problem, Relevance] | None = None,
    ) -> Auto:
        """Choose on the problem's labelled queries, on those of `validation`, or on `bank`, other labelled pairs."""
        from rerankit.choosing import choose
        from rerankit.pipeline import Pipeline

        shared: Any = {"transductive": self.transductive_allowed, "level": self.level}
        if bank is not None:
            found = choose(problem, bank=bank, **shared)
        else:
            found = choose(*(validation or (problem, relevance)), **shared)
        self.chosen = Pipeline(found.stages)
        return self

    @property
    def children(self) -> tuple[Stage, ...]:
        return () if self.chosen is None else self.chosen.stages

    def prepare(self, gallery: Gallery) -> Prepared:
        return PreparedAuto(self, gallery, [one.prepare(gallery) for one in self.children])

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        parts = zip(self.children, state.children, strict=True)
        return PreparedAuto(self, gallery, [one.restored(gallery, kept) for one, kept in parts])

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        if self.chosen is not None:
            pipeline, reason = self.chosen, "chosen by fit"
        else:
            from rerankit.choosing import choose

            with_bank = problem.query_bank is not None
            found = choose(problem, transductive=self.transductive_allowed and not with_bank, level=self.level)
            pipeline, reason = found, found.reason
        made = pipeline.rerank(problem, ranking) if pipeline.stages else ranking
        return noted(made, pipeline, reason)

    def reversed(self) -> Auto:
        return self if self.chosen is None else self.clone(chosen=self.chosen.reversed())


class PreparedAuto(Prepared):
    """The chosen stages, prepared; where nothing was chosen yet, every block of queries is judged anew."""

    stage: Auto
    keeps = "what the chosen stages keep"

    def __init__(self, stage: Auto, gallery: Gallery, prepared: Sequence[Prepared]) -> None:
        super().__init__(stage, gallery)
        self._children = tuple(prepared)

    @property
    def children(self) -> tuple[Prepared, ...]:
        return self._children

    def updated(self, change: Change) -> Prepared:
        return PreparedAuto(self.stage, change.gallery, [child.updated(change) for child in self._children])

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        chosen = self.stage.chosen
        if chosen is None:
            return self.stage.rerank(problem, ranking)
        made = chosen.run(problem, ranking, self._children) if chosen.stages else ranking
        return noted(made, chosen, "chosen by fit")


def noted(ranking: Ranking, chosen: Pipeline, reason: str) -> Ranking:
    """The ranking with what was chosen, and why."""
    return ranking.with_notes(auto={"chosen": [repr(one) for one in chosen.stages], "reason": reason})


def _checked(chosen: Any) -> Pipeline | None:
    from rerankit.pipeline import Pipeline

    if chosen is None or isinstance(chosen, Pipeline):
        return chosen
    raise rule("chosen", "must be a pipeline or None", chosen)
