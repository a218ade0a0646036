"""Reciprocal rank of the first relevant item."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.average_precision import harmonic_between
from rerankit.metrics.lists import FloatArray
from rerankit.metrics.places import Places, first_at


def reciprocal_rank(places: Places, k: int | None = None) -> FloatArray:
    """Expected 1 / rank of the first relevant item, 0 beyond k (queries,)."""
    values = np.zeros(places.queries)
    first = places.first
    above, size = places.above[first], places.size[first]
    relevant, within = places.relevant[first], places.within(k)[first]
    found = np.where(size == 1, within / (above + 1.0), 0.0)
    one = (relevant == 1) & (size > 1)
    if one.any():
        found[one] = harmonic_between(above[one], above[one] + within[one]) / size[one]
    for group in np.flatnonzero((relevant > 1) & (size > 1)):
        chance = first_at(int(size[group]), int(relevant[group]))[: within[group]]
        found[group] = (chance / (above[group] + 1.0 + np.arange(len(chance)))).sum()
    values[places.query[first]] = found
    return values
