"""PMRP: plausible-match R-precision, R-precision averaged over several readings of what is relevant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rerankit.errors import rule
from rerankit.metrics.lists import FloatArray
from rerankit.metrics.places import Places
from rerankit.metrics.recall import r_precision


def pmrp(readings: Sequence[Places]) -> FloatArray:
    """R-precision averaged over readings of relevance (queries,), in COCO: labels differing in 0, 1 and 2 places.

    A reading in which a query has no relevant item leaves that query out of the average.
    """
    if not readings:
        raise rule("readings", "must hold at least one reading of what is relevant", "none")
    values = np.stack([np.where(each.totals > 0, r_precision(each), np.nan) for each in readings])
    known = ~np.isnan(values)
    return np.where(known.any(0), np.nansum(values, axis=0) / np.maximum(known.sum(0), 1), np.nan)
