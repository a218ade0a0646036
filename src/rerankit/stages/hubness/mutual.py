"""Places of a query among the other queries, by the scores of an item."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.problem import Problem
from rerankit.ranks import ranks_among
from rerankit.scores import ListScores, Scores
from rerankit.stages.hubness.frame import Frame, frame_of, usual_scores
from rerankit.stages.hubness.spread import absent_levels


class PlacesBack:
    """Places, from 1, of queries among other queries by an item's scores; tied places are shared.

    Every query's scores are first taken relative to what is usual for it, unless `published`.
    """

    def __init__(self, problem: Problem, others: Scores, published: bool) -> None:
        self.scores, self.others = problem.scores, others
        self.same = others is problem.scores
        self.frame: Frame | None = None if published else frame_of(others)
        self.usual: AnyArray | None = None
        if self.frame is not None:
            self.usual = self.frame.usual if self.same else self._usual(self.frame.spread)

    def _usual(self, sigma: float) -> AnyArray:
        absent = absent_levels(self.scores, sigma) if isinstance(self.scores, ListScores) else None
        return usual_scores(self.scores, sigma, absent)

    def of(self, items: IntArray, scores: FloatArray, queries: IntArray) -> FloatArray:
        """Places (queries, K) for the scores of pairs (query, item); `queries` says whose scores they are."""
        if self.frame is None or self.usual is None:
            return ranks_among(self.others, items, scores, queries if self.same else None)
        lowered = (scores - self.usual[queries]).astype(np.float32)
        return ranks_among(
            self.others,
            items,
            lowered,
            queries if self.same else None,
            less=self.frame.usual,
            absent=self.frame.absent,
        )
