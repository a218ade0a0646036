"""Places of a query among other queries, by the scores of an item."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.gallery import Gallery
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.pipelines.scaling import BANK_BY_ITEMS, BY_ITEMS, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import Levels, levels_among, ranks_among, told_apart
from rerankit.scores import NormalMap, Scores, distinct_rows
from rerankit.stages.banks import BankStage
from rerankit.stages.hubness.frame import Frame, frame_of
from rerankit.stages.hubness.partners import evenly_asked
from rerankit.stages.hubness.shape import normal_map, read_problem, read_scores
from rerankit.stages.hubness.spread import sampled_rows
from rerankit.stages.lone import ComparingStage, Passing

_SAMPLE = 256  # rows whose lists say how far down candidates lie
_LEAST_PLACES = 64  # of a query among those of a bank that are told apart one by one


class PlacesBack:
    """Places, from 1, of queries among other queries by an item's scores; tied places are shared.

    Every query's scores are first taken relative to what is usual for it, unless `published`. `same` says that the
    other queries are those whose places are looked for, so that none of them counts twice. `evenly` says how far they
    may be taken to ask for items evenly (`evenly_asked`). Among those of a bank the first places are told apart one by
    one, and further ones read off `levels`: of many old queries nothing but these need be kept for an item.
    """

    def __init__(
        self,
        others: Scores,
        published: bool,
        same: bool,
        least: float = 0,
        frame: Frame | None = None,
        evenly: float | None = None,
        levels: Levels | None = None,
    ) -> None:
        self.others, self.same, self.least, self.levels = others, same, least, levels
        self.frame = None if published else frame or frame_of(others)
        if evenly is None:
            evenly = 1.0 if self.frame is None else evenly_asked(others, self.frame.spread, answered=same)
        self.evenly = evenly
        apart = max(_LEAST_PLACES, math.ceil(least * self.crowding))
        self.places = None if published or same else told_apart(others.shape[0], apart)

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
        # Those among the others have the bits that they have there.
        shift = usual.astype(np.float32) if self.same else usual
        lowered = (scores - shift[queries]).astype(np.float32)
        if self.levels is not None:
            return self.levels.ranks(items, lowered)
        frame = self.frame
        return ranks_among(self.others, items, lowered, rows, less=frame.usual, absent=frame.absent, places=self.places)

    def levels_of(self, others: Scores) -> Levels:
        """What is kept for each item of `others` (bank, items)."""
        assert self.frame is not None, "the published form reads the bank again"
        assert self.places is not None, "a bank is not what is asked"
        return levels_among(others, self.places, self.frame.usual, self.frame.absent)

    def changed(self, others: Scores, kept: IntArray) -> PlacesBack:
        """The same for other items (bank, items), the first of which were there as `kept`: what is usual stays."""
        levels, more = self.levels, np.arange(len(kept), others.shape[1])
        if levels is not None:
            parts = [levels.values[kept], *([self.levels_of(others.take(None, more)).values] if len(more) else [])]
            levels = Levels(levels.places, np.concatenate(parts))
        return PlacesBack(others, self.frame is None, self.same, self.least, self.frame, self.evenly, levels)


class MutualStage(ComparingStage, BankStage):
    """A stage whose scores follow from the places of candidates among items and of queries among other queries."""

    scaling = Scaling(
        "its scores at some places among the bank's queries, 64 and one more as often as the bank grows by a fifth",
        f"{BANK_BY_ITEMS}, put in order for each item",
        impossible=WITHOUT_A_BANK,
        cut=BY_ITEMS,
    )
    published: bool

    @property
    def least_places(self) -> int:
        """How many places back, for each query that there is for an item, must be told apart one by one."""
        return 0

    def placed(self, back: PlacesBack, problem: Problem, ranking: Ranking) -> FloatArray:
        """The scores (queries, K) of candidates."""
        raise NotImplementedError

    def through(self, others: Scores) -> NormalMap | None:
        """What scores are read through, where those of other queries are bent (`normal_map`)."""
        return None if self.published else normal_map(others)

    def started(self, problem: Problem) -> Prepared | None:
        others = self.to_search(problem)
        if others is None or others.metric == "euclidean":
            return None
        back = PlacesBack(others, self.published, True, self.least_places)
        others.counting(back.usual(others), sampled_rows(others, _SAMPLE))
        return PreparedMutual(self, Gallery.of(problem), back, None)

    def prepare(self, gallery: Gallery) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        others = self.each_once(self.known_queries(gallery))
        through = self.through(others)
        back = PlacesBack(read_scores(others, through), self.published, False, self.least_places)
        if not self.published:
            back.levels = back.levels_of(back.others)
        return PreparedMutual(self, gallery, back, through)

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        arrays, (others, evenly) = state.arrays, (self.known_queries(gallery), state.values["evenly"])
        through = NormalMap(*arrays["through"]) if "through" in arrays else None
        others = read_scores(others.take(arrays["distinct"]) if "distinct" in arrays else others, through)
        levels = Levels(arrays["places"], arrays["levels"]) if "levels" in arrays else None
        back = PlacesBack(others, self.published, False, self.least_places, Frame.of_state(state), evenly, levels)
        return PreparedMutual(self, gallery, back, through)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.passed(ranking) if self.is_alone(problem) else super().reorder(problem, ranking)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        others = self.other_queries(problem)
        same = others is problem.scores
        if not same:
            others = self.each_once(others)
        through = self.through(others)
        back = PlacesBack(read_scores(others, through), self.published, same, self.least_places)
        return self.placed(back, read_problem(problem, through), ranking)


@dataclass(eq=False, repr=False)
class PreparedMutual(Prepared):
    """A stage with the levels of a gallery's items among the queries of a bank."""

    stage: MutualStage
    back: PlacesBack
    through: NormalMap | None

    keeps = "each item's scores at some places among the bank's queries"

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """Not where single scores are compared with what is usual, which a change leaves as it was."""
        return self.back.frame is None

    def state(self) -> State:
        frame, levels = self.back.frame, self.back.levels
        found = State() if frame is None else frame.state()
        kept: dict[str, AnyArray] = {} if levels is None else {"places": levels.places, "levels": levels.values}
        bank = self.stage.known_queries(self.gallery)
        if self.back.others.shape[0] != bank.shape[0]:
            kept["distinct"] = distinct_rows(bank)
        if self.through is not None:
            kept["through"] = self.through.knots()
        return State({**found.arrays, **kept}, {**found.values, "evenly": self.back.evenly})

    def updated(self, change: Change) -> Prepared:
        others = self.stage.each_once(self.stage.known_queries(change.gallery))
        back = self.back.changed(read_scores(others, self.through), change.kept)
        return PreparedMutual(self.stage, change.gallery, back, self.through)

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return self.stage.scored(ranking, self.stage.placed(self.back, read_problem(problem, self.through), ranking))
