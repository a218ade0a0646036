"""The rank of the first relevant item, as its mean or its median over queries."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray
from rerankit.metrics.metric import traits
from rerankit.metrics.places import Places


def first_rank(places: Places) -> FloatArray:
    """Expected rank of the first relevant item, from 1; infinite when none is ranked (queries,)."""
    values = np.full(places.queries, np.inf)
    first = places.first
    values[places.query[first]] = places.above[first] + (places.size[first] + 1) / (places.relevant[first] + 1)
    return values


@traits(better="lower", unit="number")
def mean_rank(places: Places) -> FloatArray:
    """Rank of the first relevant item (queries,), averaged over queries."""
    return first_rank(places)


@traits(summary="median", better="lower", unit="number")
def median_rank(places: Places) -> FloatArray:
    """Rank of the first relevant item (queries,), of which the median is taken."""
    return first_rank(places)
