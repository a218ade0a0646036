"""Discounted cumulative gain, normalised by the best possible order."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray
from rerankit.metrics.places import Places


def ndcg(places: Places, k: int | None = None) -> FloatArray:
    """Normalised gain of the first k with the grade as gain and discount log2(rank + 1) (queries,)."""
    within = places.within(k)
    deepest = int((places.above + within).max(initial=0))
    longest = int(places.totals.max(initial=0))
    discounts = 1.0 / np.log2(np.arange(2, max(deepest, longest) + 2))
    sums = np.concatenate([[0.0], np.cumsum(discounts)])
    # Past the cut `within` is 0, so the place before which nothing counts may lie outside the table.
    start = np.minimum(places.above, deepest)
    share = (sums[start + within] - sums[start]) / places.size
    found = places.per_query(places.gain * share)
    best = _ideal(places, k, discounts)
    return found / np.where(best > 0, best, 1.0)


def _ideal(places: Places, k: int | None, discounts: FloatArray) -> FloatArray:
    owner = np.repeat(np.arange(places.queries), places.totals)
    rank = np.arange(len(owner)) - np.repeat(places.ideal_indptr[:-1], places.totals)
    counted = rank < (len(discounts) if k is None else k)
    weights = np.where(counted, places.ideal * discounts[np.minimum(rank, len(discounts) - 1)], 0.0)
    return np.bincount(owner, weights=weights, minlength=places.queries).astype(np.float64)
