"""Whether some items are asked for by many queries that are sure of them: popular items look like hubs and are none."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, IntArray

_CHANCE = 2.0  # standard errors
_HUBS = 1.5  # times as many meetings as by chance: sure queries that are wrong meet on hubs, too
_FEW = 20  # queries: what fewer show is chance
_CLASSES, _ITEMS = 10, 20  # columns that may be classes of queries, and that are things of their own
_SEVERAL, _MANY = 5, 10  # queries for each: of a thing of its own, and of a class


def asked_evenly(first: IntArray, sure: AnyArray, items: int) -> float:
    """How far queries that are sure of their first item are spread over the items as by chance, from 1 down to 0.

    `first` is each query's first item (queries,), `sure` how sure it is of it, from 0 to 1 (queries,).
    Two sure queries meet on an item by chance once for every `items` pairs of them. The number is one and a half times
    that many meetings over how many there are, less what those vary by chance; 1 where there are no more, and for few
    queries.

    >>> asked_evenly(np.arange(100), np.ones(100), 100)
    1.0
    >>> asked_evenly(np.repeat([0, 1], 50), np.ones(100), 100) < 0.1
    True
    """
    if len(sure) < _FEW:
        return 1.0
    of_items, squares = (np.bincount(first, weights) for weights in (sure, np.square(sure)))
    there_are = float((np.square(of_items) - squares).sum()) / 2
    by_chance = float(np.square(of_items.sum()) - squares.sum()) / 2 / items
    at_least = max(0.0, there_are - _CHANCE * float(np.sqrt(there_are + 1)))
    return min(1.0, (_HUBS * by_chance + 1) / (at_least + 1))


def of_classes(queries: int, items: int) -> float:
    """How likely the items are classes that many queries belong to, from 0 to 1: few, and far fewer than the queries.

    Classes are seldom equally large, and nothing tells a large one from a hub where there are hardly others to compare
    it with.

    >>> of_classes(1000, 10), of_classes(30, 10), of_classes(1000, 100)
    (1.0, 0.0, 0.0)
    """
    few = (_ITEMS - items) / (_ITEMS - _CLASSES)
    many = (queries / max(items, 1) - _SEVERAL) / (_MANY - _SEVERAL)
    return float(np.clip(few, 0, 1) * np.clip(many, 0, 1))


def left_out(first: IntArray, items: int) -> float:
    """The share of items that should be some query's first one, were items drawn by chance, and are not; 0 at least.

    >>> left_out(np.arange(100), 100), round(left_out(np.arange(100) // 2, 100), 2)
    (0.0, 0.21)
    """
    by_chance = -items * np.expm1(-len(first) / items)
    return max(0.0, 1 - len(np.unique(first)) / float(by_chance)) if len(first) else 1.0


def sure_of(leads: AnyArray) -> AnyArray:
    """How likely each lead (queries,) is one that chance does not give, from 0 to 1.

    A lead by chance is exponential with mean 1. Of all leads that are at least as large, the share that is not by
    chance; how many are by chance at all is told by the small ones (Storey's false discovery rate).

    >>> sure_of(np.array([0.1, 0.2, 0.3, 0.9, 12.0, 13.0])).round(2)
    array([0.1 , 0.1 , 0.1 , 0.19, 1.  , 1.  ])
    """
    number = len(leads)
    chance = np.exp(-leads)
    by_chance = min(1.0, 2 * (int((chance > 0.5).sum()) + 1) / number)
    order = np.argsort(chance, kind="stable")
    wrong = by_chance * chance[order] * number / np.arange(1, number + 1)
    sure = np.empty(number)
    sure[order] = 1 - np.minimum(np.minimum.accumulate(wrong[::-1])[::-1], 1)
    return sure
