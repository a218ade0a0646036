"""Success: is any relevant item among the first k? The vision field's "R@k", and the CMC curve."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray, IntArray
from rerankit.metrics.metric import traits
from rerankit.metrics.places import Places


def success(places: Places, k: int) -> FloatArray:
    """Chance that at least one relevant item is among the first k (queries,)."""
    values = np.zeros(places.queries)
    first = places.first
    if len(first):
        values[places.query[first]] = _any_within(places.size[first], places.relevant[first], places.within(k)[first])
    return values


@traits(scope="subset")
def subset_success(places: Places, k: int) -> FloatArray:
    """Success among the query's own subset of the gallery (queries,): CIRR's R_subset@k."""
    return success(places, k)


def _any_within(size: IntArray, relevant: IntArray, places: IntArray) -> FloatArray:
    """1 − C(size − relevant, places) / C(size, places): any of `relevant` in random `places` of `size`."""
    alone = relevant == 1
    chance = places / size
    if alone.all():
        return np.asarray(chance, np.float64)
    none = np.ones(len(size))
    for taken in range(int(relevant.max())):
        inside = taken < relevant
        left = np.maximum(size - places - taken, 0) / np.maximum(size - taken, 1)
        none = np.where(inside, none * left, none)
    return np.where(alone, chance, 1.0 - none)


def cmc(places: Places, depth: int) -> FloatArray:
    """The cumulative match curve (depth,): mean success at 1, 2, …, depth, over queries with a relevant item."""
    some = places.totals > 0
    return np.array([success(places, k)[some].mean() if some.any() else np.nan for k in range(1, depth + 1)])
