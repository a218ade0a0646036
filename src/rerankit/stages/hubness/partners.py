"""Who has a partner of its own on the other side: read off how far the best scores are ahead of the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import ListScores, Scores
from rerankit.stages.hubness.popularity import asked_evenly, left_out
from rerankit.stages.hubness.spread import absent_levels, sampled_rows, spread

_LOOKED_AT = 4  # best scores of a row
_CELLS = 25_000_000  # that are read; of larger matrices only so many rows
_CELLS_OF_LEADS = 2_000_000  # the same where nothing but leads is looked at
_LEAST_ROWS = 256
_DEEPEST = 10  # spreads below the highest score of a row: nothing counts as lower
_SURE = 2.0  # standard errors that are no accident
_BY_CHANCE = 4 / 9  # of rows without a partner have a first step above the next two's mean, were steps exponential
MANY_MORE = 1.5  # times as many rows as columns: those that lack a partner are not just those that no row belongs to
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
    meeting: float = 1.0
    """How far rows that are sure of their best column are spread as by chance (`asked_evenly`)."""
    left_out: float = 1.0
    """The share of columns that should be some row's best by chance, and are not."""

    @property
    def sure(self) -> float:
        """How sure it is, from 0 to 1, that rows have a partner each."""
        if not np.isfinite(self.error) or self.error <= 0:
            return 0.0
        return round(float(np.clip((self.ratio - 1) / self.error / _SURE, 0, 1)), _FIGURES)

    @property
    def evenly(self) -> float:
        """How far rows may be taken to ask for columns evenly, from 0 to 1: 1 where their leads tell nothing."""
        return round(1 - self.sure * (1 - self.meeting), _FIGURES)

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
    evenly: float = 1.0
    """How far items may be taken to be asked for evenly, from 0 to 1: 0 where many sure queries want a few items."""

    def notes(self) -> dict[str, float]:
        """What a ranking's notes say of what a balance took into account."""
        return {"each_item": self.each_item, "several_queries": self.several_queries, "evenly": self.evenly}


UNKNOWN = Lead(0.0, np.inf, 0.0)


def partners_of(scores: Scores, sigma: float | None = None) -> Partners:
    """What scores (queries, items) tell; lists that leave pairs out tell only whether items are asked for evenly.
    `sigma` is their spread, where it is known.

    >>> from rerankit import DenseScores
    >>> random = np.random.default_rng(0)
    >>> wrong = random.normal(size=(100, 100))
    >>> partners_of(DenseScores(wrong + 6 * np.eye(100)))
    Partners(each_item=0.98167, several_queries=0.0, pairs=1.0, evenly=1.0)
    >>> partners_of(DenseScores(wrong + 6 * (np.arange(100)[:, None] // 4 == np.arange(100))))
    Partners(each_item=0.0, several_queries=1.0, pairs=0.0, evenly=0.595278)
    """
    if isinstance(scores, ListScores) and not told_by(scores):
        return Partners(0.0, 0.0, 0.0, _evenly_in_lists(scores, _CELLS, sigma))
    of_queries, of_items = lead_of_rows(scores, sigma=sigma), lead_of_rows(scores.T)
    each_item, evenly = _each_item(of_queries, of_items, scores.shape)
    return Partners(each_item, of_items.behind(of_queries), min(of_items.sure, of_queries.sure), evenly)


def _each_item(of_queries: Lead, of_items: Lead, shape: tuple[int, int]) -> tuple[float, float]:
    """How sure it is that items have a query of their own, and how far they may be taken to be asked for evenly."""
    covered = min(of_items.covered(of_queries), _ITEMS * shape[0] / shape[1])
    each_item = round(of_items.sure * covered, _FIGURES)
    return each_item, round(1 - (1 - of_queries.evenly) * (1 - each_item), _FIGURES)


def evenly_asked(scores: Scores, sigma: float | None = None, *, answered: bool) -> float:
    """How far the other queries (queries, items) may be taken to ask for items evenly, from 0 to 1. `sigma` is the
    spread of their scores, where it is known.

    Where few items are asked for by many queries that are sure of them, what queries claim of an item tells less of
    whether it is a hub. `answered`: whether the queries are those that are answered, so that items which each have a
    query of their own speak against it; those of a bank need not have an item of their own.
    """
    if isinstance(scores, ListScores) and not told_by(scores):
        return _evenly_in_lists(scores, _CELLS_OF_LEADS, sigma, answered=answered)
    found = lead_of_rows(scores, _CELLS_OF_LEADS, sigma).evenly
    return partners_of(scores, sigma).evenly if answered and found < 1 else found


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


def lead_of_rows(scores: Scores, cells: int | None = None, sigma: float | None = None) -> Lead:
    """The lead of rows' best scores, each score above what is usual in its column; of about so many cells. `sigma` is
    the spread of the scores, where it is known.
    """
    values = _above_usual(scores, cells, sigma)
    return UNKNOWN if values is None else _lead(*_highest(values), scores.shape[1])


def _evenly_in_lists(lists: ListScores, cells: int, sigma: float | None, *, answered: bool = True) -> float:
    """How far lists' items may be taken to be asked for evenly."""
    sigma = spread(lists) if sigma is None else sigma
    if not sigma:
        return 1.0
    of_queries = _lead_of_lists(lists, cells, sigma)
    if not answered or of_queries.evenly == 1:
        return of_queries.evenly
    return _each_item(of_queries, _lead_of_listed_items(lists, sigma), lists.shape)[1]


def _lead_of_listed_items(lists: ListScores, sigma: float) -> Lead:
    """The lead of the items' best queries, among items that four queries list, each score above what is usual for its
    query; queries that leave an item out stand lower.
    """
    queries, items = lists.shape
    levels = absent_levels(lists, sigma)
    absent = np.where(np.isfinite(levels), levels, 0) * (items - np.diff(lists.starts))
    usual = (absent + np.bincount(lists.row_of_cell, lists.values, queries)) / items
    above = ((lists.values - usual[lists.row_of_cell]) / sigma).astype(np.float32)
    return _first_of_lists(ListScores.from_cells(lists.columns, lists.row_of_cell, above, (items, queries)))


def _lead_of_lists(lists: ListScores, cells: int, sigma: float) -> Lead:
    """The lead of lists' rows with four columns or more; pairs that are left out stand at one level in each row."""
    most = max(_LEAST_ROWS, cells * lists.shape[0] // max(1, len(lists.values)))
    some = lists.take(sampled_rows(lists, most))
    assert isinstance(some, ListScores), "parts of lists are lists"
    levels = absent_levels(some, sigma)
    levels = np.where(np.isfinite(levels), levels, 0)
    rest = levels.sum() - np.bincount(some.columns, levels[some.row_of_cell], some.shape[1])
    usual = (rest + np.bincount(some.columns, some.values, some.shape[1])) / some.shape[0]
    above = ((some.values - usual[some.columns]) / sigma).astype(np.float32)
    return _first_of_lists(ListScores.from_cells(some.row_of_cell, some.columns, above, some.shape))


def _first_of_lists(above: ListScores) -> Lead:
    """The lead of rows that list four columns, from scores above what is usual."""
    columns, values = above.topk(_LOOKED_AT)
    known = np.isfinite(values).all(axis=1)
    return _lead(columns[known, 0], values[known].astype(np.float64), above.shape[1])


def lead_of_chosen_rows(scores: Scores) -> Lead:
    """The lead of those rows that are the best one of some column: what is asked for by two columns leads in none.

    >>> from rerankit import DenseScores
    >>> scores = np.random.default_rng(0).normal(size=(400, 100)) + 6 * (np.arange(400)[:, None] // 4 == np.arange(100))
    >>> twice = scores[:, [*range(50)] * 2]
    >>> lead_of_chosen_rows(DenseScores(scores)).sure, lead_of_chosen_rows(DenseScores(twice)).sure
    (1.0, 0.0)
    """
    values = _above_usual(scores)
    if values is None:
        return UNKNOWN
    best = (values - values.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)).argmax(axis=0)
    return _lead(*_highest(values[np.unique(best)]), scores.shape[1])


def _above_usual(scores: Scores, cells: int | None = None, sigma: float | None = None) -> FloatArray | None:
    """Some rows, each score above what is usual in its column, in spreads; None where there is nothing to tell."""
    if not told_by(scores) or scores.shape[1] < _LOOKED_AT or scores.shape[0] < 2:
        return None
    sigma = spread(scores) if sigma is None else sigma
    if not sigma:
        return None
    most = max(_LEAST_ROWS, cells // scores.shape[1]) if cells else max(2, _CELLS // scores.shape[1])
    values = np.array(scores.take(sampled_rows(scores, most)).rows(), np.float32)
    np.maximum(values, values.max(axis=1, keepdims=True) - np.float32(_DEEPEST * sigma), out=values)
    values -= values.mean(axis=0, dtype=np.float64).astype(np.float32)
    above: FloatArray = values / np.float32(sigma)
    return above


def _highest(values: AnyArray) -> tuple[IntArray, AnyArray]:
    """Each row's best column (rows,), and its highest values (rows, 4), best first; the values are used up."""
    rows, best = np.arange(len(values)), np.empty((len(values), _LOOKED_AT))
    first: IntArray = values.argmax(axis=1)
    columns = first
    for place in range(_LOOKED_AT):  # a few passes for the highest are faster than one that puts all in order
        best[:, place] = values[rows, columns]
        values[rows, columns] = -np.inf
        columns = values.argmax(axis=1)
    return first, best


def _lead(first: IntArray, best: AnyArray, columns: int) -> Lead:
    """From each row's best column (rows,) and its highest values (rows, 4)."""
    if len(first) < 2 or best.shape[1] < _LOOKED_AT:
        return UNKNOWN
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
    error = float(np.sqrt(np.square(of_column).sum() * chosen / (chosen - 1))) / len(first)
    meeting = asked_evenly(first, ahead / usual, columns)
    return Lead(ratio, error, float(np.mean(ahead > next_ones)), meeting, left_out(first, columns))
