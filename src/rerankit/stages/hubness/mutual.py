"""Places of a query among other queries, by the scores of an item."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.pipelines.prepared import Prepared, State
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import ranks_among
from rerankit.scores import Scores
from rerankit.stages.banks import BankStage
from rerankit.stages.hubness.frame import Frame, frame_of
from rerankit.stages.hubness.partners import evenly_asked
from rerankit.stages.lone import ComparingStage, Passing

if TYPE_CHECKING:
    from rerankit.gallery import Gallery


class PlacesBack:
    """Places, from 1, of queries among other queries by an item's scores; tied places are shared.

    Every query's scores are first taken relative to what is usual for it, unless `published`. `same` says that the
    other queries are those whose places are looked for, so that none of them counts twice. `evenly` says how far they
    may be taken to ask for items evenly (`evenly_asked`).
    """

    def __init__(
        self, others: Scores, published: bool, same: bool, frame: Frame | None = None, evenly: float | None = None
    ) -> None:
        self.others, self.same = others, same
        self.frame = None if published else frame or frame_of(others)
        self.evenly = (1.0 if published else evenly_asked(others, answered=same)) if evenly is None else evenly

    @property
    def weight(self) -> np.float32:
        """How much a place back counts, from 0 to 1. Places tell an item's queries apart where scores hardly do: among
        many sure ones a place says less than a share does.
        """
        weight: np.float32 = np.float32(self.evenly * self.evenly)
        return weight

    @property
    def crowding(self) -> float:
        """How many other queries there are for each item, at least 1."""
        return max(1.0, self.others.shape[0] / self.others.shape[1])

    def usual(self, scores: Scores) -> AnyArray | None:
        """What is usual for each query of these scores (queries,); None where they are taken as they are."""
        if self.frame is None:
            return None
        return self.frame.usual if self.same else self.frame.usual_of(scores)

    def of(self, items: IntArray, scores: FloatArray, queries: IntArray, usual: AnyArray | None) -> FloatArray:
        """Places (queries, K) for the scores of pairs (query, item); `queries` says whose scores they are."""
        rows = queries if self.same else None
        if self.frame is None or usual is None:
            return ranks_among(self.others, items, scores, rows)
        lowered = (scores - usual[queries]).astype(np.float32)
        return ranks_among(self.others, items, lowered, rows, less=self.frame.usual, absent=self.frame.absent)


class MutualStage(ComparingStage, BankStage):
    """A stage whose scores follow from the places of candidates among items and of queries among other queries."""

    published: bool

    def placed(self, back: PlacesBack, problem: Problem, ranking: Ranking) -> FloatArray:
        """The scores (queries, K) of candidates."""
        raise NotImplementedError

    def prepare(self, gallery: Gallery) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        return Places(self, gallery, PlacesBack(self.known_queries(gallery), self.published, False))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        others = self.known_queries(gallery)
        back = PlacesBack(others, self.published, False, Frame.of_state(state), state.values["evenly"])
        return Places(self, gallery, back)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.passed(ranking) if self.is_alone(problem) else super().reorder(problem, ranking)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        return self.placed(PlacesBack(others, self.published, others is problem.scores), problem, ranking)


class Places(Prepared):
    """A stage with what is usual for the queries of a bank."""

    stage: MutualStage

    keeps = "what is usual for each query of the bank"
    by_item = False

    def __init__(self, stage: MutualStage, gallery: Gallery, back: PlacesBack) -> None:
        super().__init__(stage, gallery)
        self.back = back

    def state(self) -> State:
        frame = self.back.frame
        found = State() if frame is None else frame.state()
        return State(found.arrays, {**found.values, "evenly": self.back.evenly})

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        if not ranking.mask.any():
            return ranking
        return self.stage.scored(ranking, self.stage.placed(self.back, problem, ranking))
