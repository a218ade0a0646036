"""Average precision, with its four usual divisors. Ties are averaged exactly (McSherry and Najork, 2008)."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray, IntArray
from rerankit.metrics.places import Places


def _precisions(places: Places, k: int | IntArray | None) -> FloatArray:
    """Expected sum of precisions at the relevant items among the first k (queries,)."""
    within = places.within(k)
    single = places.size == 1
    before = places.earlier + 1.0
    values = np.where(single, within * before / (places.above + 1.0), 0.0)
    if not single.all():
        tied = ~single
        above, size = places.above[tied], places.size[tied]
        relevant, inside = places.relevant[tied], within[tied]
        # At place i of a group stands a relevant item with chance r / n; of the i − 1 items of the group
        # ahead of it (i − 1)(r − 1) / (n − 1) are then relevant.
        harmonic = harmonic_between(above, above + inside)
        slope = (relevant - 1) / (size - 1)
        sums = before[tied] * harmonic + slope * (inside - (above + 1) * harmonic)
        values[tied] = relevant / size * sums
    return places.per_query(values)


def harmonic_between(low: IntArray, high: IntArray) -> FloatArray:
    """1/(low + 1) + … + 1/high, element by element."""
    from scipy.special import digamma

    return np.asarray(digamma(high + 1.0) - digamma(low + 1.0), np.float64)


def average_precision(places: Places, k: int | None = None) -> FloatArray:
    """Precision averaged over relevant items (queries,); cut at k it is divided by min(k, R), as in CIRCO."""
    most = places.totals if k is None else np.minimum(places.totals, k)
    return _precisions(places, k) / np.maximum(most, 1)


def average_precision_all(places: Places, k: int) -> FloatArray:
    """Average precision cut at k and divided by all R relevant items (queries,): trec_eval's `map_cut`."""
    return _precisions(places, k) / np.maximum(places.totals, 1)


def average_precision_at_r(places: Places) -> FloatArray:
    """mAP@R (queries,): average precision cut at R, the number of relevant items, divided by R."""
    return _precisions(places, places.totals) / np.maximum(places.totals, 1)


def average_precision_trapezoid(places: Places) -> FloatArray:
    """Area under the precision-recall line (queries,), as the Oxford and Paris buildings are scored.

    At each relevant item the precision before and after it are averaged. Tied groups are taken in random
    order, item by item.
    """
    within = places.size
    relevant, above, earlier = places.relevant, places.above, places.earlier
    values = np.zeros(len(within))
    single = within == 1
    values[single] = 0.5 * (_ratio(earlier, above)[single] + (earlier + 1.0)[single] / (above + 1.0)[single])
    for group in np.flatnonzero(~single):
        steps = np.arange(within[group])
        ahead = earlier[group] + steps * (relevant[group] - 1) / (within[group] - 1)
        place = above[group] + steps
        sums = 0.5 * (_ratio(ahead, place) + (ahead + 1.0) / (place + 1.0))
        values[group] = relevant[group] / within[group] * sums.sum()
    return places.per_query(values) / np.maximum(places.totals, 1)


def _ratio(found: FloatArray | IntArray, above: IntArray) -> FloatArray:
    """Precision just before a place; 1 before the first."""
    return np.where(above == 0, 1.0, found / np.maximum(above, 1))
