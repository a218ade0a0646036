"""Places of a query among other queries, by the scores of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.prepared import Prepared
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import ranks_among
from rerankit.scores import ListScores, Scores
from rerankit.stages._banks import BankStage
from rerankit.stages.hubness.frame import Frame, frame_of, usual_scores
from rerankit.stages.hubness.spread import absent_levels

if TYPE_CHECKING:
    from rerankit.gallery import Gallery


class PlacesBack:
    """Places, from 1, of queries among other queries by an item's scores; tied places are shared.

    Every query's scores are first taken relative to what is usual for it, unless `published`. `same` says that the
    other queries are those whose places are looked for, so that none of them counts twice.
    """

    def __init__(self, others: Scores, published: bool, same: bool) -> None:
        self.others, self.same = others, same
        self.frame: Frame | None = None if published else frame_of(others)

    @property
    def crowding(self) -> float:
        """How many other queries there are for each item, at least 1."""
        return max(1.0, self.others.shape[0] / self.others.shape[1])

    def usual(self, scores: Scores) -> AnyArray | None:
        """What is usual for each query of these scores (queries,); None where they are taken as they are."""
        if self.frame is None or self.same:
            return None if self.frame is None else self.frame.usual
        absent = absent_levels(scores, self.frame.spread) if isinstance(scores, ListScores) else None
        return usual_scores(scores, self.frame.spread, absent)

    def of(self, items: IntArray, scores: FloatArray, queries: IntArray, usual: AnyArray | None) -> FloatArray:
        """Places (queries, K) for the scores of pairs (query, item); `queries` says whose scores they are."""
        rows = queries if self.same else None
        if self.frame is None or usual is None:
            return ranks_among(self.others, items, scores, rows)
        lowered = (scores - usual[queries]).astype(np.float32)
        return ranks_among(self.others, items, lowered, rows, less=self.frame.usual, absent=self.frame.absent)


class MutualStage(BankStage):
    """A stage whose scores follow from the places of candidates among items and of queries among other queries."""

    published: bool

    def placed(self, back: PlacesBack, problem: Problem, ranking: Ranking) -> FloatArray:
        """The scores (queries, K) of candidates."""
        raise NotImplementedError

    def prepare(self, gallery: Gallery) -> Prepared:
        return Places(self, gallery)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        return self.placed(PlacesBack(others, self.published, others is problem.scores), problem, ranking)


class Places(Prepared):
    """A stage with what is usual for the queries of a bank."""

    stage: MutualStage

    def __init__(self, stage: MutualStage, gallery: Gallery) -> None:
        super().__init__(stage, gallery)
        self.back = PlacesBack(stage.known_queries(gallery), stage.published, False)

    def rerank(self, problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        return self.stage.reordered(ranking, self.stage.placed(self.back, problem, ranking))
