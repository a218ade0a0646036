"""fuse: one order from several opinions on the same candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.fusion import check_rules, check_weights, combine
from rerankit.pipelines.composite import Composite
from rerankit.pipelines.needs import Unmet
from rerankit.pipelines.prepared import Prepared
from rerankit.pipelines.stage import Stage
from rerankit.plugins import manager
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages.candidates import items_of, rows_of

_OWN = ("ranking", "scores")


class Fuse(Composite):
    """Fuse sources' opinions on the candidates of the ranking that comes in.

    A source is ``"ranking"`` (the scores that come in), ``"scores"`` (the problem's own), the name of `extra_scores` of
    the problem, or a stage, which is run on the same ranking.
    `method`: ``sum`` of normalised scores, ``combmnz``, or by places alone ``rrf``, ``borda``, ``isr`` (inverse
    squares) or ``copeland`` (majorities); `normalise` ("min-max", "z-score", "rank", "softmax", "none") acts within
    each query's candidates and counts for the first two.
    Fusing a strong source with a weak one at equal weight usually loses against the strong one alone.

    >>> from rerankit import rerank, stage
    >>> rerank([[0.9, 0.8], [0.95, 0.1]], "fuse", sources=["scores", stage("mutual-rank")], k=1).indices
    array([[0],
           [0]])
    """

    name = "fuse"
    citation = "Fox & Shaw, Combination of multiple searches (TREC 1993); Cormack et al., RRF (SIGIR 2009)"

    def __init__(
        self,
        sources: Sequence[str | Stage] = ("ranking", "scores"),
        method: str = "sum",
        normalise: str = "min-max",
        weights: Sequence[float] | None = None,
        rrf_constant: float = 60,
    ) -> None:
        if isinstance(sources, str | Stage) or not sources:
            raise InputError(f"'sources' must be a list of sources (got {sources!r})")
        for source in sources:
            if not isinstance(source, str | Stage):
                raise InputError(
                    f'\'sources\' must hold "ranking", "scores", names of extra scores or stages (got {source!r})'
                )
        self.sources = sources
        self.method, self.normalise, self.weights, self.rrf_constant = method, normalise, weights, rrf_constant
        check_rules(method, normalise, rrf_constant)
        check_weights(weights, len(sources))

    @property
    def own_needs(self) -> tuple[str, ...]:
        named = [source for source in self.sources if isinstance(source, str) and source not in _OWN]
        return tuple(f"extra_scores:{name}" for name in named)

    def unmet(self, problem: Problem) -> list[Unmet]:
        return [self._or_a_stage(each) for each in super().unmet(problem)]

    def _or_a_stage(self, fault: Unmet) -> Unmet:
        """Scores that are absent may have been meant for a stage of that name."""
        name = str(fault.need).partition(":")[2]
        if fault.stage is not self or name not in manager().stages:
            return fault
        return Unmet(self, fault.need, f"needs {fault.need}: {fault.need.how}; or the stage itself, stage('{name}')")

    @property
    def children(self) -> tuple[Stage, ...]:
        return tuple(source for source in self.sources if isinstance(source, Stage))

    def joined(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        return self.scored(ranking, self._fused(children, problem, ranking))

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._fused(self.children, problem, ranking)

    def _fused(self, children: Sequence[Stage | Prepared], problem: Problem, ranking: Ranking) -> FloatArray:
        """One score (queries, K) from the opinions of all sources."""
        inside, here = iter(children), np.argsort(ranking.indices, axis=1)
        found = [
            self._given(source, problem, ranking)
            if isinstance(source, str)
            else aligned(next(inside).rerank(problem, ranking), ranking, here)
            for source in self.sources
        ]
        values = np.stack(found)
        values = np.where(ranking.mask & np.isfinite(values), values, np.float32(np.nan))
        with np.errstate(invalid="ignore"):
            return combine(values, self.method, self.normalise, self.weights, self.rrf_constant)

    def _given(self, source: str, problem: Problem, ranking: Ranking) -> FloatArray:
        """What is given of the candidates by the name of a source."""
        if source == "ranking":
            return ranking.scores
        scores = problem.scores if source == "scores" else problem.extra_scores[source]
        return scores.pairs(rows_of(ranking), items_of(ranking))


def aligned(result: Ranking, ranking: Ranking, here: IntArray | None = None) -> FloatArray:
    """The scores of `result`, which has the same candidates, in the order of `ranking` (`here`: the places of its items
    in ascending order, where they are known).
    """
    there = np.argsort(result.indices, axis=1)
    here = np.argsort(ranking.indices, axis=1) if here is None else here
    scores, rows = np.empty(ranking.shape, np.float32), rows_of(ranking)
    scores[rows, here] = result.scores[rows, there]
    return scores
