"""rSum: the image-text field's one number."""

from __future__ import annotations

from rerankit.metrics.lists import FloatArray
from rerankit.metrics.places import Places
from rerankit.metrics.success import success


def rsum(places: Places) -> FloatArray:
    """100 × (success@1 + success@5 + success@10) (queries,): one direction's share of rSum."""
    return 100.0 * (success(places, 1) + success(places, 5) + success(places, 10))
