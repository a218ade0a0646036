"""Recall, precision and R-precision: how many relevant items are among the first k."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray, IntArray
from rerankit.metrics.metric import traits
from rerankit.metrics.places import Places, first_at


def _found(places: Places, k: int | IntArray) -> FloatArray:
    """Expected relevant items among the first k (queries,)."""
    return places.per_query(places.relevant * (places.within(k) / places.size))


def recall(places: Places, k: int) -> FloatArray:
    """Share of a query's relevant items among the first k (queries,)."""
    return _found(places, k) / np.maximum(places.totals, 1)


@traits(better="lower")
def neg_recall(places: Places, k: int) -> FloatArray:
    """How far the first k are filled with items named as wrong (queries,): 1 when none of them, or of the k, is left.

    What is relevant here is what is wrong (`Part.wrong` of a task); NegRecall@k of PinPoint. The pessimist's ties put
    relevant items last, so that of this figure they give the lowest value.
    """
    return _found(places, k) / np.maximum(np.minimum(places.totals, k), 1)


def precision(places: Places, k: int) -> FloatArray:
    """Share of the first k that is relevant (queries,); the divisor is k even when the gallery is smaller."""
    return _found(places, k) / k


def precision_found(places: Places, k: int) -> FloatArray:
    """Precision at k, or at the query's last relevant item where that comes first (queries,).

    So a query with fewer than k relevant items can still reach 1; mP@k of revisited Oxford and Paris.
    """
    values = precision(places, k)
    lists = np.diff(places.indptr) > 0
    last = places.indptr[1:][lists] - 1
    complete = (places.earlier[last] + places.relevant[last] == places.totals[lists]) & (places.above[last] < k)
    for group, query in zip(last[complete], np.flatnonzero(lists)[complete], strict=True):
        # From behind, the last relevant item of a group stands where from the front the first does.
        chance = first_at(int(places.size[group]), int(places.relevant[group]))[::-1]
        place = places.above[group] + places.relevant[group] + np.arange(len(chance))
        inside = place <= k
        values[query] += places.totals[query] * (chance * (1.0 / place - 1.0 / k))[inside].sum()
    return values


def r_precision(places: Places) -> FloatArray:
    """Precision at R, where R is how many relevant items the query has (queries,)."""
    return _found(places, places.totals) / np.maximum(places.totals, 1)
