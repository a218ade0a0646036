"""What is usual among some queries: what single scores are compared with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.pipelines.prepared import State
from rerankit.scores import ListScores, Scores, blocks
from rerankit.stages.hubness.spread import absent_levels, spread

_DEEPEST = 10  # spreads below the highest score of a row: nothing counts as lower


class Frame(NamedTuple):
    """Spread, levels and means of the scores (rows, columns) of some queries."""

    spread: float
    absent: AnyArray | None
    """The level (rows,) at which pairs stand that lists leave out; None of a matrix."""
    usual: AnyArray
    """Each row's mean (rows,)."""

    def state(self) -> State:
        """Everything, to be written."""
        arrays = {"usual": self.usual, **({} if self.absent is None else {"absent": self.absent})}
        return State(arrays, {"spread": self.spread})

    @classmethod
    def of_state(cls, state: State) -> Frame | None:
        """What `state` gave, or None where nothing was written."""
        if "usual" not in state.arrays:
            return None
        return cls(state.values["spread"], state.arrays.get("absent"), state.arrays["usual"])


def frame_of(scores: Scores) -> Frame:
    """The frame of scores or lists.

    >>> import numpy as np
    >>> from rerankit import DenseScores
    >>> frame_of(DenseScores([[1.0, 2.0, 3.0]])).usual
    array([2.])
    """
    sigma = spread(scores)
    absent = absent_levels(scores, sigma) if isinstance(scores, ListScores) else None
    return Frame(sigma, absent, usual_scores(scores, sigma, absent))


def usual_scores(scores: Scores, sigma: float, absent: AnyArray | None) -> AnyArray:
    """Each row's mean (rows,), in which no score counts as lower than ten `sigma` below the row's highest: masked pairs
    would decide it otherwise. A row without a list has the mean 0.
    """
    if isinstance(scores, ListScores):
        assert absent is not None
        counts = np.diff(scores.starts)
        sums = np.bincount(scores.row_of_cell, scores.values, minlength=len(counts))
        rest = np.where(np.isfinite(absent), absent, 0) * (scores.shape[1] - counts)
        return np.where(counts, (sums + rest) / scores.shape[1], 0)
    found = np.empty(scores.shape[0])
    for block in blocks(len(found), scores.shape[1] * 8):
        values = scores.rows(block)
        lowest = values.max(axis=1, keepdims=True) - np.float32(_DEEPEST * sigma)
        found[block] = np.maximum(values, lowest).mean(axis=1, dtype=np.float64)
    return found
