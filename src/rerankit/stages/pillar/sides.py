"""Training data of one direction: queries that have something relevant, their candidates and what is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import InputError
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance, agreeing
from rerankit.stages.pillar.directions import Direction, other, value_of
from rerankit.stages.pillar.relations import Relations
from rerankit.stages.pillar.representation import PillarSpace

if TYPE_CHECKING:
    from rerankit.stages.pillar.stage import Pillar


@dataclass(frozen=True)
class TrainingSide:
    """Queries of one direction with their first candidates (queries, K) and target weights (queries, 1 + K)."""

    space: PillarSpace
    ranking: Ranking
    relevance: Relevance
    candidates: IntArray
    targets: FloatArray
    threshold: float

    @classmethod
    def of(
        cls, space: PillarSpace, problem: Problem, relevance: Relevance, size: int, threshold: float
    ) -> TrainingSide:
        """From the problem in this direction, with its first `size` items as candidates."""
        ranking = problem.excluding(relevance.excluded).ranking(max(size, 10))
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
        known = np.where(self.candidates < 0, -np.inf, scores)
        head = Ranking.ordered(self.candidates, known, gallery_size=self.ranking.gallery_size)
        rest = self.ranking.indices[:, self.candidates.shape[1] :]
        order = np.concatenate([head.indices, rest], axis=1)
        right = targets_of(self.relevance, order)[:, 1:] > 0
        return {k: float(100 * right[self.rows, :k].any(axis=1).mean()) for k in (1, 5, 10)}


def sides_of(
    stage: Pillar, problem: Problem, relevance: Relevance, argument: str = "relevance"
) -> dict[Direction, TrainingSide]:
    """The directions that a stage trains, its own first, on a problem whose rows are of its own direction."""
    check_pair(problem, relevance, argument)
    relations = Relations.of(problem)
    sizes = stage.pillars, stage.neighbours
    spaces = PillarSpace.both(relations, *sizes) if stage.both else (PillarSpace.of(relations, *sizes), None)
    directions = stage.direction, other(stage.direction)
    both_ways = (problem, relevance), (problem.reversed(), relevance.reversed())
    return {
        direction: TrainingSide.of(
            space, *given, value_of(stage.candidates, direction), value_of(stage.threshold, direction)
        )
        for space, given, direction in zip(spaces, both_ways, directions, strict=True)
        if space is not None
    }


def check_pair(problem: Problem, relevance: Relevance, argument: str = "relevance") -> None:
    """Refuse relevance that does not belong to the problem or says nothing."""
    relevance = agreeing(argument, relevance, problem.shape, problem.excluded)
    if not len(relevance.indices):
        raise InputError(f"'{argument}' must name at least one relevant item (got none)")


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
