"""The first columns of rows, looked for in shards of rows where work is cut."""

from __future__ import annotations

from functools import partial

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.cutting import NamedArrays, in_parts, joined
from rerankit.scores.embedding import EmbeddingScores
from rerankit.scores.protocol import Scores


def nearest(scores: Scores, k: int) -> tuple[IntArray, FloatArray]:
    """The first k columns of every row by the tie rule, and their scores (rows, k); padded with −1, −inf.

    >>> from rerankit import DenseScores
    >>> nearest(DenseScores([[1.0, 3.0, 2.0]]), 2)
    (array([[1, 2]]), array([[3., 2.]], dtype=float32))
    """
    parts = in_parts("nearest", partial(_nearest, scores, k), scores.shape[0])
    return joined(parts, "indices"), joined(parts, "scores")


def _nearest(scores: Scores, k: int, rows: slice) -> NamedArrays:
    indices, values = some_rows(scores, rows).topk(k)
    return {"indices": indices, "scores": values}


def some_rows(scores: Scores, rows: slice) -> Scores:
    """Neighbouring rows of scores; nothing is copied of vectors."""
    if rows == slice(0, scores.shape[0]):
        return scores
    if isinstance(scores, EmbeddingScores):
        return scores.part(rows, slice(None))
    return scores.take(np.arange(rows.start, rows.stop))


def some_columns(scores: Scores, columns: slice) -> Scores:
    """Neighbouring columns of scores; nothing is copied of vectors."""
    if columns == slice(0, scores.shape[1]):
        return scores
    if isinstance(scores, EmbeddingScores):
        return scores.part(slice(None), columns)
    return scores.take(None, np.arange(columns.start, columns.stop))
