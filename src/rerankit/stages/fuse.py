"""fuse: one order from several opinions on the same candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.errors import InputError
from rerankit.fusion import check_rules, check_weights, combine
from rerankit.looks import Looks
from rerankit.prepared import Change, Prepared, State
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.stages._candidates import items_of, rows_of
from rerankit.stages.base import Stage

if TYPE_CHECKING:
    from rerankit.gallery import Gallery

_OWN = ("ranking", "scores")


class Fuse(Stage):
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
        rrf_k: float = 60,
    ) -> None:
        if isinstance(sources, str | Stage) or not sources:
            raise InputError(f"'sources' must be a list of sources (got {sources!r})")
        for source in sources:
            if not isinstance(source, str | Stage):
                raise InputError(
                    f'\'sources\' must hold "ranking", "scores", names of extra scores or stages (got {source!r})'
                )
        self.sources = sources
        self.method, self.normalise, self.weights, self.rrf_k = method, normalise, weights, rrf_k
        check_rules(method, normalise, rrf_k)
        check_weights(weights, len(sources))

    @property
    def needs(self) -> tuple[str, ...]:
        named = [source for source in self.sources if isinstance(source, str) and source not in _OWN]
        return tuple(f"extra_scores:{name}" for name in named)

    @property
    def children(self) -> tuple[Stage, ...]:
        return tuple(source for source in self.sources if isinstance(source, Stage))

    def looks_at(self, problem: Problem | None = None) -> Looks:
        return Looks.union(source.looks_at(problem) for source in self.children)

    def unmet(self, problem: Problem) -> list[str]:
        return [*super().unmet(problem), *(line for source in self.children for line in source.unmet(problem))]

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self.fused(self.sources, problem, ranking)

    def prepare(self, gallery: Gallery) -> Prepared:
        return PreparedFuse(self, gallery, [source.prepare(gallery) for source in self.children])

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        parts = zip(self.children, state.children, strict=True)
        return PreparedFuse(self, gallery, [source.restored(gallery, kept) for source, kept in parts])

    def fused(self, sources: Sequence[str | Stage | Prepared], problem: Problem, ranking: Ranking) -> FloatArray:
        """One score (queries, K) from the opinions of all sources."""
        values = np.stack([self._opinion(source, problem, ranking) for source in sources])
        values = np.where(ranking.mask & np.isfinite(values), values, np.float32(np.nan))
        with np.errstate(invalid="ignore"):
            return combine(values, self.method, self.normalise, self.weights, self.rrf_k)

    def _opinion(self, source: str | Stage | Prepared, problem: Problem, ranking: Ranking) -> FloatArray:
        """The source's scores for `ranking.indices`."""
        if source == "ranking":
            return ranking.scores
        if not isinstance(source, str):
            return aligned(source.rerank(problem, ranking), ranking)
        scores = problem.scores if source == "scores" else problem.extra_scores[source]
        return scores.pairs(rows_of(ranking), items_of(ranking))


class PreparedFuse(Prepared):
    """A fusion whose stages are prepared."""

    stage: Fuse

    def __init__(self, stage: Fuse, gallery: Gallery, prepared: Sequence[Prepared]) -> None:
        super().__init__(stage, gallery)
        self._children = tuple(prepared)
        inside = iter(prepared)
        self.sources = [source if isinstance(source, str) else next(inside) for source in stage.sources]

    @property
    def children(self) -> tuple[Prepared, ...]:
        return self._children

    def updated(self, change: Change) -> Prepared:
        return PreparedFuse(self.stage, change.gallery, [child.updated(change) for child in self._children])

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.reordered(ranking, self.stage.fused(self.sources, problem, ranking))


def aligned(result: Ranking, ranking: Ranking) -> FloatArray:
    """The scores of `result`, which has the same candidates, in the order of `ranking`."""
    there, here = np.argsort(result.indices, axis=1), np.argsort(ranking.indices, axis=1)
    scores = np.empty(ranking.shape, np.float32)
    np.put_along_axis(scores, here, np.take_along_axis(result.scores, there, axis=1), axis=1)
    return scores
