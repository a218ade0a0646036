"""An item's nearest others, and how much each of them counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.pipelines.finding import finder_for
from rerankit.scores import Scores
from rerankit.scores.nearest import nearest
from rerankit.stages.neighbours.both_sides import adjacency


def others_nearest(scores: Scores, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k nearest other items (rows, k) of some items of a square relation, padded with −1, −inf."""
    finder = finder_for(scores)
    indices, values = _exact(scores, rows, k + 1) if finder is None else finder.lists(scores, rows, k + 1)
    is_own = indices == rows[:, None]
    # Where an item is not among its own nearest, the last one goes instead.
    drop = np.where(is_own.any(axis=1), is_own.argmax(axis=1), indices.shape[1] - 1)
    kept = np.arange(indices.shape[1]) != drop[:, None]
    shape = (len(rows), indices.shape[1] - 1)
    return indices[kept].reshape(shape), values[kept].reshape(shape)


def _exact(scores: Scores, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    part: AnyArray = rows
    every = len(rows) == scores.shape[0] and np.array_equal(rows, np.arange(len(rows)))
    return nearest(scores if every else scores.take(part), k)


def weights_of_nearest(near: IntArray, scores: FloatArray, sharpness: float, others: int) -> Any:
    """How much each of the nearest others (rows, k) counts, a softmax of `sharpness` · similarity over those of a row:
    (rows, others), sparse.

    >>> weights_of_nearest(np.array([[1, -1], [2, 0]]), np.float32([[0.5, -np.inf], [1, 1]]), 1.0, 3).toarray()
    array([[0. , 1. , 0. ],
           [0.5, 0. , 0.5]])
    """
    return adjacency(near, shares_of_nearest(near, scores, sharpness), others)


def shares_of_nearest(near: IntArray, scores: FloatArray, sharpness: float) -> AnyArray:
    """The same (rows, k), 0 at padding."""
    logits = np.where(near >= 0, sharpness * scores.astype(np.float64), -np.inf)
    highest = logits.max(axis=1, keepdims=True, initial=-np.inf)
    powers = np.exp(logits - np.where(np.isfinite(highest), highest, 0))
    shares: AnyArray = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-300)
    return shares
