"""What is usual among some queries: what single scores are compared with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.cutting import is_cut
from rerankit.pipelines.prepared import State
from rerankit.scores import EmbeddingScores, ListScores, Scores, Searching, blocks
from rerankit.stages.hubness.highest import column_top
from rerankit.stages.hubness.spread import ROWS, absent_levels, fall_of, places_looked_at

_DEEPEST = 10  # spreads below the highest score of a row: nothing counts as lower


class Frame(NamedTuple):
    """Spread, levels and means of the scores (rows, columns) of some queries."""

    spread: float
    absent: AnyArray | None
    """The level (rows,) at which pairs stand that lists leave out; None of a matrix."""
    usual: AnyArray
    """Each row's mean (rows,)."""
    centre: AnyArray | None = None
    """The mean (d,) of the items' vectors, where scores are products of vectors."""
    steepness: float = 1.0
    """Of the rows right behind their first place (`Fall`)."""

    def state(self) -> State:
        """Everything, to be written."""
        arrays = {"usual": self.usual, "absent": self.absent, "centre": self.centre}
        return State(
            {name: array for name, array in arrays.items() if array is not None},
            {"spread": self.spread, "steepness": self.steepness},
        )

    @classmethod
    def of_state(cls, state: State) -> Frame | None:
        """What `state` gave, or None where nothing was written."""
        if "usual" not in state.arrays:
            return None
        arrays = state.arrays
        values = state.values
        return cls(values["spread"], arrays.get("absent"), arrays["usual"], arrays.get("centre"), values["steepness"])

    def usual_of(self, scores: Scores) -> AnyArray:
        """What is usual for other queries, by their scores of the same items (queries,)."""
        absent = absent_levels(scores, self.spread) if isinstance(scores, ListScores) else None
        return usual_scores(scores, self.spread, absent, self.centre)


def frame_of(scores: Scores) -> Frame:
    """The frame of scores or lists.

    >>> import numpy as np
    >>> from rerankit import DenseScores
    >>> frame_of(DenseScores([[1.0, 2.0, 3.0]])).usual
    array([2.])
    """
    sigma, steepness = fall_of(scores)
    absent = absent_levels(scores, sigma) if isinstance(scores, ListScores) else None
    centre = scores.mean_column() if isinstance(scores, EmbeddingScores) else None
    return Frame(sigma, absent, usual_scores(scores, sigma, absent, centre), centre, steepness)


def frame_and_highest(scores: Scores, k: int) -> tuple[Frame, FloatArray]:
    """The frame, and the k highest scores of every column less what is usual for its row (columns, k).

    Of vectors both are from one pass, where most of the rows it goes over have a say in the frame.
    """
    centre = scores.mean_column() if isinstance(scores, EmbeddingScores) else None
    if centre is None:
        frame = frame_of(scores)
        return frame, column_top(scores, k, frame.usual, frame.absent)
    assert isinstance(scores, EmbeddingScores)
    if not isinstance(scores, Searching) and scores.shape[0] <= 2 * ROWS and not is_cut():
        scores = Searching(scores, places_looked_at(scores.shape[1]))
    usual = scores.products_of_rows(centre)
    highest = column_top(scores, k, usual)
    sigma, steepness = fall_of(scores)
    return Frame(sigma, None, usual, centre, steepness), highest


def usual_scores(scores: Scores, sigma: float, absent: AnyArray | None, centre: AnyArray | None) -> AnyArray:
    """Each row's mean (rows,), in which no score counts as lower than ten `sigma` below the row's highest: masked pairs
    would decide it otherwise. A row without a list has the mean 0. Of vectors, among which nothing is masked, it is
    the product with the items' mean, so that no item is read.
    """
    if centre is not None and isinstance(scores, EmbeddingScores):
        return scores.products_of_rows(centre)
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
