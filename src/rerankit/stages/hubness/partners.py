"""Who has a partner of its own on the other side: read off how far the best scores are ahead of the next."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import ListScores, Scores
from rerankit.stages.hubness.leads import (
    FIGURES,
    LEAST_PLACES,
    UNKNOWN,
    Asked,
    Lead,
    asked_of,
    highest,
    in_widths,
    lead_of,
)
from rerankit.stages.hubness.popularity import of_classes
from rerankit.stages.hubness.spread import absent_levels, sampled_rows, spread

_CELLS = 25_000_000  # that are read; of larger matrices only so many rows
_CELLS_OF_LEADS = 2_000_000  # the same where nothing but leads is looked at
_LEAST_ROWS = 256
_DEEPEST = 10  # spreads below the highest score of a row: nothing counts as lower
_SOME_DIFFERENCE = 2.0  # standard errors by which rows of one side are less ahead than those of the other
_GREAT_DIFFERENCE = 4.0
MANY_MORE = 1.5  # times as many rows as columns: those that lack a partner are not just those that no row belongs to
_CERTAIN = 0.9
_FEW = 20  # on a side: what a few show is chance
_ITEMS = 5  # of a query are thought of: with fewer queries than that makes, not every item was asked for


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
    each_query: float = 0.0
    """How sure it is, from 0 to 1, that queries have an item of their own."""
    certain: float = 0.0
    """The share of queries that are sure of their item."""

    def notes(self) -> dict[str, float]:
        """What a ranking's notes say of what a balance took into account."""
        return {"each_item": self.each_item, "several_queries": self.several_queries, "evenly": self.evenly}


def partners_of(scores: Scores, sigma: float | None = None) -> Partners:
    """What scores (queries, items) tell; lists that leave pairs out tell only whether items are asked for evenly.
    `sigma` is their spread, where it is known.

    >>> from rerankit import DenseScores
    >>> random = np.random.default_rng(0)
    >>> wrong = random.normal(size=(100, 100))
    >>> partners_of(DenseScores(wrong + 6 * np.eye(100)))
    Partners(each_item=1.0, several_queries=0.0, pairs=1.0, evenly=1.0, each_query=1.0, certain=0.999327)
    >>> partners_of(DenseScores(wrong + 6 * (np.arange(100)[:, None] // 4 == np.arange(100))))
    Partners(each_item=0.0, several_queries=1.0, pairs=0.0, evenly=0.595269, each_query=1.0, certain=0.999614)
    """
    if isinstance(scores, ListScores) and not told_by(scores):
        asked = _asked_in_lists(scores, _CELLS, sigma)
        return Partners(0.0, 0.0, 0.0, asked.evenly, certain=asked.certain)
    (of_queries, asked), of_items = lead_and_asked(scores, sigma), lead_of_rows(scores.T)
    each_item = _each_item(of_queries, of_items, scores.shape)
    several = of_items.behind(of_queries, _GREAT_DIFFERENCE)
    pairs = min(of_items.sure, of_queries.sure)
    return Partners(each_item, several, pairs, _evenly(asked, each_item), of_queries.sure, asked.certain)


def _each_item(of_queries: Lead, of_items: Lead, shape: tuple[int, int]) -> float:
    """How sure it is that items have a query of their own: then queries have one item each, or several. Where there are
    far more queries than items, most have none of these.
    """
    queries, items = shape
    covered = min(of_items.covered(of_queries), _ITEMS * queries / items, MANY_MORE * items / queries)
    queries_have = max(of_queries.sure, of_queries.behind(of_items, _SOME_DIFFERENCE))
    return round(of_items.sure * queries_have * covered, FIGURES)


def _evenly(asked: Asked, each_item: float) -> float:
    """How far items may be taken to be asked for evenly: where each has a query, those that meet on a few err."""
    return round(1 - (1 - asked.evenly) * (1 - each_item), FIGURES)


def evenly_asked(scores: Scores, sigma: float | None = None, *, answered: bool) -> float:
    """How far the other queries (queries, items) may be taken to ask for items evenly, from 0 to 1. `sigma` is the
    spread of their scores, where it is known.

    Where few items are asked for by many queries that are sure of them, what queries claim of an item tells less of
    whether it is a hub. `answered`: whether the queries are those that are answered, so that items which each have a
    query of their own speak against it; those of a bank need not have an item of their own.
    """
    if isinstance(scores, ListScores) and not told_by(scores):
        return _asked_in_lists(scores, _CELLS_OF_LEADS, sigma, answered=answered).evenly
    found = _asked(_above_usual(scores, _CELLS_OF_LEADS, sigma), scores.shape).evenly
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
    if columns < _FEW or rows < MANY_MORE * columns:
        return False
    return lead_of_rows(scores.T).behind(lead_of_rows(scores), _SOME_DIFFERENCE) >= _CERTAIN


def lead_of_rows(scores: Scores, sigma: float | None = None) -> Lead:
    """The lead of rows' best scores, each score above what is usual in its column, over the width of its column.
    `sigma` is the spread of the scores, where it is known.
    """
    values = _above_usual(scores, sigma=sigma)
    return UNKNOWN if values is None else lead_of(*highest(in_widths(values)))


def lead_and_asked(scores: Scores, sigma: float | None = None) -> tuple[Lead, Asked]:
    """The same, and how rows ask for columns, where widths do not count."""
    values = _above_usual(scores, sigma=sigma)
    lead = UNKNOWN if values is None else lead_of(*highest(in_widths(values)))
    return lead, _asked(values, scores.shape)


def _asked(values: FloatArray | None, shape: tuple[int, int]) -> Asked:
    """How rows ask for columns, by some rows of scores of this shape; None: nothing is known of them."""
    return Asked(1 - of_classes(*shape), 1.0) if values is None else asked_of(*highest(values), shape)


def _asked_in_lists(lists: ListScores, cells: int, sigma: float | None, *, answered: bool = True) -> Asked:
    """How queries ask for lists' items."""
    sigma = spread(lists) if sigma is None else sigma
    if not sigma:
        return _asked(None, lists.shape)
    first, best = _best_listed(_above_usual_in_lists(lists, cells, sigma))
    asked = asked_of(first, best, lists.shape)
    if not answered or asked.evenly == 1:
        return asked
    each_item = _each_item(lead_of(first, best), _lead_of_listed_items(lists, sigma), lists.shape)
    return asked._replace(evenly=_evenly(asked, each_item))


def _lead_of_listed_items(lists: ListScores, sigma: float) -> Lead:
    """The lead of the items' best queries, among items that four queries list, each score above what is usual for its
    query; queries that leave an item out stand lower.
    """
    queries, items = lists.shape
    levels = absent_levels(lists, sigma)
    absent = np.where(np.isfinite(levels), levels, 0) * (items - np.diff(lists.starts))
    usual = (absent + np.bincount(lists.row_of_cell, lists.values, queries)) / items
    above = ((lists.values - usual[lists.row_of_cell]) / sigma).astype(np.float32)
    return lead_of(*_best_listed(ListScores.from_cells(lists.columns, lists.row_of_cell, above, (items, queries))))


def _above_usual_in_lists(lists: ListScores, cells: int, sigma: float) -> ListScores:
    """Some rows of lists, each score above what is usual in its column, in spreads.

    Pairs that are left out stand at one level in each row.
    """
    most = max(_LEAST_ROWS, cells * lists.shape[0] // max(1, len(lists.values)))
    some = lists.take(sampled_rows(lists, most))
    assert isinstance(some, ListScores), "parts of lists are lists"
    levels = absent_levels(some, sigma)
    levels = np.where(np.isfinite(levels), levels, 0)
    rest = levels.sum() - np.bincount(some.columns, levels[some.row_of_cell], some.shape[1])
    usual = (rest + np.bincount(some.columns, some.values, some.shape[1])) / some.shape[0]
    above = ((some.values - usual[some.columns]) / sigma).astype(np.float32)
    return ListScores.from_cells(some.row_of_cell, some.columns, above, some.shape)


def _best_listed(above: ListScores) -> tuple[IntArray, AnyArray]:
    """The best column (rows,) and the highest values (rows, places) of rows that list so many columns."""
    columns, values = above.topk(LEAST_PLACES)
    known = np.isfinite(values).all(axis=1)
    return columns[known, 0], values[known].astype(np.float64)


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
    return lead_of(*highest(in_widths(values)[np.unique(best)]))


def _above_usual(scores: Scores, cells: int | None = None, sigma: float | None = None) -> FloatArray | None:
    """Some rows, each score above what is usual in its column, in spreads; None where there is nothing to tell."""
    if not told_by(scores) or scores.shape[1] < LEAST_PLACES or scores.shape[0] < 2:
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
