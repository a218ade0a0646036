"""What the hubness stages share: one correction for each item, from what other queries think of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, BoolArray, FloatArray, IntArray
from rerankit.gallery import Gallery
from rerankit.pipelines.prepared import Change, Prepared, State
from rerankit.pipelines.scaling import BANK_BY_ITEMS, BY_BANK, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, NormalMap, Scores
from rerankit.sides import Side
from rerankit.stages.banks import BankStage
from rerankit.stages.candidates import items_of, own_scores
from rerankit.stages.hubness.shape import normal_map, read_scores
from rerankit.stages.hubness.spread import Fall
from rerankit.stages.lone import NOTHING_TO_COMPARE, ComparingStage, Passing

Beta = float | str

_MAPPED = "read as normal ones: steps of the highest were other than those of the rest, as of probabilities or ranks"


class Correction:
    """What is taken from the scores of candidates, and what there is to note about it."""

    def __init__(
        self,
        of_items: AnyArray | None,
        *,
        spread: float = 0.0,
        favourites: BoolArray | None = None,
        frame: Mapping[str, AnyArray] | None = None,
        **notes: Any,
    ) -> None:
        self.of_items = of_items  # (items,), added to every score of the item
        self.spread = spread  # of the other queries' scores
        self.favourites = favourites  # (items,): queries whose best candidate is none of them are left alone
        self.frame = dict(frame or {})  # what the items were measured by, so that further ones can be
        self.notes = notes
        self.through: NormalMap | None = None  # what all scores are read through

    def noting(self, through: NormalMap | None) -> Correction:
        """The same, which holds for scores that are read through a map; it is noted."""
        if through is not None:
            self.through, self.notes = through, {**self.notes, "scores": _MAPPED}
        return self

    @classmethod
    def of_state(cls, state: State) -> Correction:
        """What `state` gave."""
        arrays = dict(state.arrays)
        of_items, favourites = arrays.pop("of_items", None), arrays.pop("favourites", None)
        through = NormalMap(*arrays.pop("through")) if "through" in arrays else None
        values = dict(state.values)
        found = Correction(of_items, spread=values.pop("spread"), favourites=favourites, frame=arrays, **values)
        return found.noting(through)

    def state(self) -> State:
        """Everything, to be written."""
        through = None if self.through is None else self.through.knots()
        named = {"of_items": self.of_items, "favourites": self.favourites, "through": through, **self.frame}
        arrays = {name: np.asarray(array) for name, array in named.items() if array is not None}
        return State(arrays, {"spread": self.spread, **self.notes})

    def with_items(self, kept: IntArray, more: Correction) -> Correction:
        """The correction of some of its items, with further ones behind them."""
        assert self.of_items is not None, "checked by the caller"
        parts = [self.of_items[kept], *([] if more.of_items is None else [more.of_items])]
        found = Correction(np.concatenate(parts), spread=self.spread, frame=self.frame, **self.notes)
        return found.noting(self.through)

    def added(self, own: FloatArray, items: IntArray, mask: BoolArray) -> AnyArray:
        """The number that is added to each candidate's own score (queries, K); `mask` says which are candidates."""
        if self.of_items is None:
            return np.zeros(own.shape)
        added: AnyArray = self.of_items[items]
        if self.favourites is None:
            return added
        return np.where(self.favourites[best_item(own, items, mask)][:, None], added, 0)


class HubnessStage(ComparingStage, BankStage):
    """A stage that adds to each score a number of the item's, found among other queries (test queries or a bank).

    It is prepared from the other queries' scores alone; the candidates' own scores come to it last. A query that a
    bank holds several times counts once: that it is asked again tells nothing of which items are hubs. Scores that are
    bent, such as probabilities, are read as normal ones (`normal_map`), unless the form is `published` or `beta` is a
    number, which are said of scores as they are.
    """

    scaling = Scaling("a number", BANK_BY_ITEMS, impossible=WITHOUT_A_BANK, cut=BY_BANK)
    published: bool = False
    weight: ClassVar[int] = 1
    """How often a score itself counts."""

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        """What the other queries' scores (others, gallery) say of the items; `same`: they are those of the problem."""
        raise NotImplementedError

    def read(self, gallery: Side, others: Scores, same: bool) -> Correction:
        """The correction, of scores as they are or read as normal ones."""
        raw = self.published or not isinstance(getattr(self, "beta", "auto"), str)
        through = None if raw else normal_map(others)
        return self.correction(gallery, read_scores(others, through), same).noting(through)

    def started(self, problem: Problem) -> Prepared | None:
        others = self.to_search(problem)
        if others is None:
            return None
        return Corrected(self, Gallery.of(problem), self.read(problem.gallery, others, True))

    def prepare(self, gallery: Gallery) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        others = self.each_once(self.known_queries(gallery))
        return Corrected(self, gallery, self.read(gallery.side, others, False))

    def restored(self, gallery: Gallery, state: State) -> Prepared:
        if self.passes(gallery):
            return Passing(self, gallery)
        return Corrected(self, gallery, Correction.of_state(state))

    def correction_of_more(self, found: Correction, more: Scores) -> Correction | None:
        """The correction of further items, of which `more` (bank, items) are the bank's scores; None where no item has
        one of its own.
        """
        return None

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        scores, notes = self._answer(problem, ranking)
        return self.scored(ranking, scores).with_notes(**{self.name: notes})

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        return self._answer(problem, ranking)[0]

    def _answer(self, problem: Problem, ranking: Ranking) -> tuple[FloatArray, dict[str, Any]]:
        if self.is_alone(problem):
            return ranking.scores, {"note": NOTHING_TO_COMPARE}
        others = self.other_queries(problem)
        same = others is problem.scores
        if not same:
            others = self.each_once(others)
            if isinstance(others, EmbeddingScores):  # their pairs are gone over more than once
                others = others.holding()
        found = self.read(problem.gallery, others, same)
        return self.corrected(found, problem, ranking), found.notes

    def corrected(self, found: Correction, problem: Problem, ranking: Ranking) -> FloatArray:
        """The candidates' scores (queries, K) under a correction."""
        own = own_scores(problem.scores, ranking)
        if found.through is not None:
            own = found.through(own)
        of_queries = self.of_queries(own, found, problem, ranking)
        added = found.added(own, items_of(ranking), ranking.mask)
        result: FloatArray = (own * self.weight + added - of_queries).astype(np.float32)
        return result

    def of_queries(self, own: FloatArray, found: Correction, problem: Problem, ranking: Ranking) -> AnyArray:
        """What is taken from all of a query's scores (queries, 1), which changes no order."""
        return np.zeros((len(own), 1), np.float32)


@dataclass(eq=False, repr=False)
class Corrected(Prepared):
    """A stage with the correction of a gallery's items, found among the queries of a bank."""

    stage: HubnessStage
    correction: Correction

    keeps = "a number for each item"

    @property
    def by_item(self) -> bool:  # type: ignore[override]
        """Whether the stage can tell the correction of further items alone."""
        return type(self.stage).correction_of_more is not HubnessStage.correction_of_more

    @property
    def exact(self) -> bool:  # type: ignore[override]
        """With a frame or a map, which a change leaves as it was, it is not; nor where distances are measured from a
        point amid the items, which a change moves.
        """
        among = self.gallery.embeddings
        moved = among is not None and among.metric == "euclidean"
        return not self.by_item or not (self.correction.frame or self.correction.through or moved)

    def state(self) -> State:
        return self.correction.state()

    def updated(self, change: Change) -> Prepared:
        others = self.stage.each_once(self.stage.known_queries(change.gallery))
        rows = np.arange(len(change.kept), change.gallery.size)
        more: Correction | None = Correction(None)
        if len(rows):
            theirs = read_scores(others.take(None, rows), self.correction.through)
            more = self.stage.correction_of_more(self.correction, theirs)
        if not self.by_item or more is None or self.correction.of_items is None:
            return self.stage.prepare(change.gallery)
        return Corrected(self.stage, change.gallery, self.correction.with_items(change.kept, more))

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        scores = self.stage.corrected(self.correction, problem, ranking)
        return self.stage.scored(ranking, scores).with_notes(**{self.stage.name: self.correction.notes})


def best_item(scores: FloatArray, items: Any, mask: BoolArray) -> Any:
    """Per row the item of the highest score, the lowest item among equals; of a row without items item 0.

    >>> best_item(np.float32([[1, 3, 3]]), np.array([[4, 9, 7]]), np.array([[True, True, True]]))
    array([7])
    """
    real = np.where(mask, scores, -np.inf)
    highest = (real == real.max(axis=1, keepdims=True)) & (mask | ~mask.any(axis=1, keepdims=True))
    return np.where(highest, items, np.iinfo(np.int64).max).min(axis=1)


def check_beta(argument: str, beta: Any) -> Beta:
    """An inverse temperature, or "auto"."""
    return "auto" if isinstance(beta, str) and beta == "auto" else checks.number(argument, beta, above=0)


def beta_of(given: Beta, fall: Fall, sharpness: float) -> float:
    """The inverse temperature for scores whose rows fall like that: `sharpness` over the spread by which the best
    candidates are told apart where "auto" was given.

    0 where all scores are alike, so that there is nothing to tell items apart by.
    """
    if not isinstance(given, str):
        return given
    return sharpness / fall.resolution if fall.spread else 0.0
