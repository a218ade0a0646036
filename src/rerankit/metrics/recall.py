"""Recall, precision and R-precision: how many relevant items are among the first k."""

from __future__ import annotations

import numpy as np

from rerankit.metrics.lists import FloatArray, IntArray
from rerankit.metrics.places import Places


def _found(places: Places, k: int | IntArray) -> FloatArray:
    """Expected relevant items among the first k (queries,)."""
    return places.per_query(places.relevant * (places.within(k) / places.size))


def recall(places: Places, k: int) -> FloatArray:
    """Share of a query's relevant items among the first k (queries,)."""
    return _found(places, k) / np.maximum(places.totals, 1)


def precision(places: Places, k: int) -> FloatArray:
    """Share of the first k that is relevant (queries,); the divisor is k even when the gallery is smaller."""
    return _found(places, k) / k


def r_precision(places: Places) -> FloatArray:
    """Precision at R, where R is how many relevant items the query has (queries,)."""
    return _found(places, places.totals) / np.maximum(places.totals, 1)
