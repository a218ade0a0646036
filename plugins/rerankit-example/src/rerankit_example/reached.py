"""A metric: is anything relevant in the list at all? No re-ranking of the list can do better than its mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def reached(places: Any) -> NDArray[np.float64]:
    """1 for a query whose list holds a relevant item, 0 for the others (queries,).

    A metric is a function of `rerankit.metrics.Places`, which says where the relevant items of each query
    stand; one that takes a second argument `k` is called by names such as `reached@10`.
    """
    values = np.zeros(places.queries)
    values[places.query[places.first]] = 1
    return values
