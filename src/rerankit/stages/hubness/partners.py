"""Who has a partner of its own on the other side: read off how far the best scores are ahead of the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.scores import ListScores, Scores
from rerankit.stages.hubness.spread import sampled_rows, spread

_LOOKED_AT = 4  # best scores of a row
_CELLS = 25_000_000  # that are read; of larger matrices only so many rows
_DEEPEST = 10  # spreads below the highest score of a row: nothing counts as lower
_SURE = 2.0  # standard errors that are no accident
_BY_CHANCE = 4 / 9  # of rows without a partner have a first step above the next two's mean, were steps exponential
MANY_MORE = 1.5  # times as many rows as columns: those that lack a partner are not just those that nobody asked for
_CERTAIN = 0.9
_FEW = 20  # on a side: what a few show is chance
_ITEMS = 5  # of a query are thought of: with fewer queries than that makes, not every item was asked for
_FIGURES = 6  # decimals that do not depend on the order of rows


class Lead(NamedTuple):
    """How far rows' best scores are ahead: the mean step from the first to the second, over that of the next two.

    Of many columns that are all wrong, the step from place p to p + 1, times p, is about the same at all places, and
    smaller towards the top where scores have an end: the ratio is 1 or below. A partner of a row stands out from the
    others, and the ratio is above 1. Of several partners none does.
    """

    ratio: float
    error: float
    """Its standard error; rows with the same best column count as one."""
    ahead: float
    """The share of rows whose first step is above the mean of the next two: 4/9 by chance."""

    @property
    def sure(self) -> float:
        """How sure it is, from 0 to 1, that rows have a partner each."""
        if not np.isfinite(self.error) or self.error <= 0:
            return 0.0
        return round(float(np.clip((self.ratio - 1) / self.error / _SURE, 0, 1)), _FIGURES)

    def behind(self, other: Lead) -> float:
        """How sure it is, from 0 to 1, that rows have no partner of their own while those of another have."""
        error = float(np.hypot(self.error, other.error))
        if not np.isfinite(error) or error <= 0 or self.ahead > _BY_CHANCE:
            return 0.0
        apart = (other.ratio - self.ratio) / error
        return round(float(np.clip(apart - _SURE, 0, 1)), _FIGURES)

    def covered(self, other: Lead) -> float:
        """The share of rows that have a partner, from 0 to 1: as many more than by chance are ahead as among rows that
        all have one.
        """
        more, most = self.ahead - _BY_CHANCE, other.ahead - _BY_CHANCE
        return 0.0 if more <= 0 else 1.0 if most <= more else more / most


class Partners(NamedTuple):
    """What scores tell of who belongs to whom."""

    each_item: float
    """How sure it is, from 0 to 1, that items have a query of their own among those that ask; less where some have."""
    several_queries: float
    """How sure it is, from 0 to 1, that several of the queries belong to one item."""
    pairs: float
    """How sure it is, from 0 to 1, that queries and items have one partner each."""

    def notes(self) -> dict[str, float]:
        """What a ranking's notes say of what a balance took into account."""
        return {"each_item": self.each_item, "several_queries": self.several_queries}


UNKNOWN = Lead(0.0, np.inf, 0.0)


def partners_of(scores: Scores) -> Partners:
    """What scores (queries, items) tell; nothing where they are lists that leave pairs out.

    >>> from rerankit import DenseScores
    >>> random = np.random.default_rng(0)
    >>> wrong = random.normal(size=(100, 100))
    >>> partners_of(DenseScores(wrong + 6 * np.eye(100)))
    Partners(each_item=0.98167, several_queries=0.0, pairs=1.0)
    >>> partners_of(DenseScores(wrong + 6 * (np.arange(100)[:, None] // 4 == np.arange(100))))
    Partners(each_item=0.0, several_queries=1.0, pairs=0.0)
    """
    of_queries, of_items = lead_of_rows(scores), lead_of_rows(scores.T)
    queries, items = scores.shape
    covered = min(of_items.covered(of_queries), _ITEMS * queries / items)
    each_item = round(of_items.sure * covered, _FIGURES)
    return Partners(each_item, of_items.behind(of_queries), min(of_items.sure, of_queries.sure))


def told_by(scores: Scores) -> bool:
    """Whether scores can tell: lists cannot that leave pairs out, since they hold the best of a row alone."""
    return not isinstance(scores, ListScores) or len(scores.values) == scores.shape[0] * scores.shape[1]


def several_belong_to_one(scores: Scores) -> bool:
    """Whether several rows belong to one column, by far more than it is the other way round.

    >>> from rerankit import DenseScores
    >>> scores = np.random.default_rng(0).normal(size=(200, 50)) + 6 * (np.arange(200)[:, None] // 4 == np.arange(50))
    >>> several_belong_to_one(DenseScores(scores)), several_belong_to_one(DenseScores(scores.T))
    (True, False)
    """
    rows, columns = scores.shape
    if columns < _FEW:
        return False
    return rows >= MANY_MORE * columns and partners_of(scores).several_queries >= _CERTAIN


def lead_of_rows(scores: Scores) -> Lead:
    """The lead of rows' best scores, each score above what is usual in its column."""
    if not told_by(scores) or scores.shape[1] < _LOOKED_AT or scores.shape[0] < 2:
        return UNKNOWN
    values = np.array(scores.take(sampled_rows(scores, max(2, _CELLS // scores.shape[1]))).rows(), np.float32)
    sigma = spread(scores)
    if not sigma:
        return UNKNOWN
    np.maximum(values, values.max(axis=1, keepdims=True) - np.float32(_DEEPEST * sigma), out=values)
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return _lead(values / np.float32(sigma))


def _lead(values: AnyArray) -> Lead:
    places = np.argpartition(-values, _LOOKED_AT - 1, axis=1)[:, :_LOOKED_AT]
    best = np.take_along_axis(values, places, axis=1).astype(np.float64)
    first = np.take_along_axis(places, best.argmax(axis=1)[:, None], axis=1)[:, 0]
    best = -np.sort(-best, axis=1)
    steps = (best[:, :-1] - best[:, 1:]) * np.arange(1, _LOOKED_AT)
    ahead, next_ones = steps[:, 0], steps[:, 1:].mean(axis=1)
    usual = float(next_ones.mean())
    if usual <= 0:
        return UNKNOWN
    ratio = float(ahead.mean()) / usual
    of_column = np.bincount(first, (ahead - ratio * next_ones) / usual)
    chosen = len(np.unique(first))
    if chosen < 2:
        return UNKNOWN
    error = float(np.sqrt(np.square(of_column).sum() * chosen / (chosen - 1))) / len(values)
    return Lead(ratio, error, float(np.mean(ahead > next_ones)))
