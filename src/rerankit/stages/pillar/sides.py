"""Training data of one direction: queries that have something relevant, their candidates and what is right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import InputError, rule
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.stages.pillar.relations import Relations
from rerankit.stages.pillar.representation import PillarSpace


@dataclass(frozen=True)
class Side:
    """Queries of one direction with their first candidates (queries, K) and target weights (queries, 1 + K)."""

    space: PillarSpace
    ranking: Ranking
    relevance: Relevance
    candidates: IntArray
    targets: FloatArray
    threshold: float

    @classmethod
    def both(
        cls,
        problem: Problem,
        relevance: Relevance,
        sizes: tuple[int, int],
        thresholds: tuple[float, float],
        pillars: int,
        neighbours: int,
    ) -> tuple[Side, Side]:
        """The problem's own direction and the other one; the first size and threshold are the own direction's."""
        if relevance.shape != problem.shape:
            raise rule("relevance", f"must have the problem's shape {problem.shape}", f"shape {relevance.shape}")
        if not len(relevance.indices):
            raise InputError("'relevance' must name at least one relevant item (got none)")
        spaces = PillarSpace.both(Relations.of(problem), pillars, neighbours)
        turned = (problem, relevance), (problem.reversed(), relevance.reversed())
        made = [
            cls._of(space, *given, size, threshold)
            for space, given, size, threshold in zip(spaces, turned, sizes, thresholds, strict=True)
        ]
        return made[0], made[1]

    @classmethod
    def _of(cls, space: PillarSpace, problem: Problem, relevance: Relevance, size: int, threshold: float) -> Side:
        ranking = problem.ranking(max(size, 10))
        candidates = ranking.indices[:, :size]
        return cls(space, ranking, relevance, candidates, targets_of(relevance, candidates), threshold)

    @property
    def rows(self) -> IntArray:
        """Queries that have something relevant."""
        return np.flatnonzero(self.relevance.counts)

    def counterparts(self, queries: IntArray, generator: torch.Generator) -> IntArray:
        """For every query of an array of any shape a relevant item drawn at random; −1 where there is none."""
        counts = np.where(queries < 0, 0, self.relevance.counts[queries])
        drawn = (torch.rand(queries.shape, generator=generator).numpy() * counts).astype(np.int64)
        at = np.minimum(self.relevance.indptr[np.maximum(queries, 0)] + drawn, len(self.relevance.indices) - 1)
        return np.where(counts > 0, self.relevance.indices[at], -1)

    def success(self, scores: FloatArray) -> dict[int, float]:
        """Percent of queries with a relevant item among the first 1, 5, 10 when candidates get new scores."""
        head = Ranking.ordered(self.candidates, scores, gallery_size=self.ranking.gallery_size)
        rest = self.ranking.indices[:, self.candidates.shape[1] :]
        order = np.concatenate([head.indices, rest], axis=1)
        right = targets_of(self.relevance, order)[:, 1:] > 0
        return {k: float(100 * right[self.rows, :k].any(axis=1).mean()) for k in (1, 5, 10)}


def targets_of(relevance: Relevance, candidates: IntArray) -> FloatArray:
    """Target weights (queries, 1 + K): 1 for the query itself, a candidate's grade over the query's best grade."""
    queries, width = relevance.shape
    keys = relevance.rows * width + relevance.indices
    wanted = np.arange(queries)[:, None] * width + candidates
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    best = np.zeros(queries, np.float32)
    np.maximum.at(best, relevance.rows, relevance.grades)
    found = (keys[at] == wanted) & (candidates >= 0)
    weights = np.where(found, relevance.grades[at] / np.maximum(best, 1e-30)[:, None], 0)
    return np.concatenate([np.ones((queries, 1)), weights], axis=1).astype(np.float32)
