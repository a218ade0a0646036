"""Neighbours from an approximate index in the place of exact ones, and what share of them it missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.errors import InputError, rule
from rerankit.pipelines.composite import Composite, PreparedComposite
from rerankit.pipelines.finding import Finder, Search, served_by
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking

if TYPE_CHECKING:
    from rerankit.gallery import Gallery


class Indexed(Composite):
    """Another stage, whose lists of neighbours come from an approximate index: those of `k-reciprocal`, `gnn`,
    `diffusion`, `dba`, `consensus` and `plan` among vectors. What is compared after that is exact.

    A subclass says how an index is built (`searched`). The notes say which share of the true neighbours was missed, by
    `sample` rows of each index that were looked up exactly. Scores of what was found are exact, so that nothing but a
    missed neighbour changes an answer.
    """

    sample: int

    def __init__(self, stage: Stage, sample: int = 200) -> None:
        if not isinstance(stage, Stage):
            raise rule("stage", "must be a stage", stage)
        self.stage = stage
        self.sample = checks.integer("sample", sample, least=1)

    def searched(self, vectors: FloatArray, metric: str) -> Search:
        """A search among vectors (n, d), of length 1 where `metric` is cosine (others: dot, euclidean)."""
        raise InputError(f"stage class {type(self).__name__} must implement 'searched'")

    @property
    def children(self) -> tuple[Stage, ...]:
        return (self.stage,)

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        return self.noted(Finder(self.searched, self.sample), children[0], problem, ranking)

    def noted(self, finder: Finder, child: Stage | Prepared, problem: Problem, ranking: Ranking) -> Ranking:
        """The answer of a stage whose neighbours a finder finds, with what it missed."""
        with served_by(finder):
            found = child.rerank(problem, ranking)
        missed = finder.missed
        return found.with_notes(**{self.name: {"missed": None if missed is None else round(missed, 5)}})

    def prepare(self, gallery: Gallery) -> Prepared:
        finder = Finder(self.searched, self.sample)
        with served_by(finder):
            child = self.stage.prepare(gallery)
        return PreparedIndexed(self, gallery, child, finder)

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        finder = Finder(self.searched, self.sample)
        finder.wanted, finder.missing = state.values["wanted"], state.values["missing"]
        with served_by(finder):
            child = self.stage.restored(gallery, state.children[0])
        return PreparedIndexed(self, gallery, child, finder)

    def passes_on(self, problem: Problem) -> Problem:
        return self.stage.passes_on(problem)

    @property
    def passes_on_as_given(self) -> bool:
        return self.stage.passes_on_as_given


class PreparedIndexed(PreparedComposite):
    """A stage that is prepared with neighbours of an index."""

    stage: Indexed

    def __init__(self, stage: Indexed, gallery: Gallery, child: Prepared, finder: Finder) -> None:
        super().__init__(stage, gallery, [child])
        self.finder = finder

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.noted(self.finder, self.children[0], problem, ranking)

    def state(self) -> State:
        inside = super().state()
        return State(values={"wanted": self.finder.wanted, "missing": self.finder.missing}, children=inside.children)

    def updated(self, change: Change) -> Prepared:
        return self.stage.prepare(change.gallery)
