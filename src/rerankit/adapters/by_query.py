"""Re-rankers of other libraries as stages: they get one query with its candidates at a time."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.seams import promote


class ByQuery(Stage):
    """A stage that sees one query at a time, so nothing but the query and its candidates decides the answer.

    Candidates that the other library leaves out stay behind the others, in their order.
    """

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        scores = np.full(ranking.shape, np.nan, np.float32)
        for row in track(range(len(ranking)), f"queries of {self.name}"):
            places = np.flatnonzero(ranking.mask[row])
            if len(places):
                items = ranking.indices[row, places]
                scores[row, places] = self.answer(problem, row, items, ranking.scores[row, places])
        return promote(ranking, scores)

    def answer(self, problem: Problem, query: int, items: IntArray, scores: FloatArray) -> FloatArray:
        """New scores of a query's candidates (K,), best first as they come; NaN for those that are left out."""
        raise NotImplementedError
