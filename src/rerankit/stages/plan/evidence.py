"""Whether queries have right items in a gallery: by how far their best item is ahead."""

from __future__ import annotations

import numpy as np

from rerankit.scores import Scores

_SURE = 2.0  # standard errors at which the evidence counts in full
_LEAST = 4  # best items that are looked at


def items_are_there(scores: Scores) -> float:
    """How sure it is, from 0 to 1, that rows (queries) have a right item of their own among the columns.

    Of many items that are all wrong, the differences between the first and the second, the second and the third and
    so on, times 1, 2, 3 …, are about equally large, and smaller towards the top where scores have an end. A right item
    stands out from that. So the first difference is compared with the mean of the next two, over all rows: 1 where it
    is larger by two standard errors, 0 where it is not larger. Scale and shift of a row play no part. Where rows have
    several right items, it says nothing.

    >>> from rerankit import DenseScores
    >>> random = np.random.default_rng(0)
    >>> wrong = random.normal(size=(200, 100))
    >>> items_are_there(DenseScores(wrong)), items_are_there(DenseScores(wrong + 4 * np.eye(200, 100)))
    (0.0, 1.0)
    """
    best = scores.topk(_LEAST)[1].astype(np.float64)
    if best.shape[1] < _LEAST:
        return 0.0
    best = best[np.isfinite(best).all(axis=1)]
    if len(best) < 2:
        return 0.0
    steps = (best[:, :-1] - best[:, 1:]) * np.arange(1, _LEAST)
    ahead = steps[:, 0] - steps[:, 1:].mean(axis=1)
    error = float(ahead.std(ddof=1)) / np.sqrt(len(ahead))
    return float(np.clip(ahead.mean() / error / _SURE, 0, 1)) if error else 0.0
