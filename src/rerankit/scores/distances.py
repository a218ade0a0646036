"""Distances, of which lower is better, as scores; top-k lists by a metric, as vector databases return them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np

from rerankit.arrays import is_memory_map, real_matrix
from rerankit.errors import InputError, unknown_name
from rerankit.finite import check_all_scores
from rerankit.scores.dense import DenseScores
from rerankit.scores.lists import ListScores

ListMetric = Literal["cosine", "dot", "l2", "euclidean", "manhattan", "hamming", "distance"]
_HIGHER_IS_BETTER = ("cosine", "dot")


def listed(indices: Any, scores: Any, gallery_size: int, metric: ListMetric | None) -> ListScores:
    """Top-k lists by a metric; numbers that rise are refused when no metric says what they are.

    >>> listed([[3, 1]], [[0.1, 0.4]], 5, None)
    Traceback (most recent call last):
    rerankit.errors.InputError: 'scores' must not rise from the best to the last, as distances do (got 1 of 1 rows \
that rise, the first 0.1 … 0.4 in row 0): metric='l2' (or euclidean, manhattan, hamming, distance) takes them as \
distances, metric='dot' (or cosine) as scores in any order
    """
    if metric is not None and metric not in get_args(ListMetric):
        raise unknown_name("metric", str(metric), get_args(ListMetric))
    values = real_matrix(scores, "scores")
    if metric is None:
        lists = ListScores(indices, values, gallery_size)
        _refuse_rising(np.asarray(indices), values)
        return lists
    lower = metric not in _HIGHER_IS_BETTER
    return ListScores(indices, np.negative(values) if lower else values, gallery_size)


def _refuse_rising(indices: Any, values: Any) -> None:
    """Refuse rows of which no score is below the one before, and the last one above the first."""
    there = indices >= 0
    both = there[:, 1:] & there[:, :-1]
    rises, falls = (values[:, 1:] > values[:, :-1]) & both, (values[:, 1:] < values[:, :-1]) & both
    rows = np.flatnonzero(rises.any(axis=1) & ~falls.any(axis=1))
    if len(rows):
        row = rows[0]
        listed = values[row][there[row]]
        raise InputError(
            f"'scores' must not rise from the best to the last, as distances do (got {len(rows)} of {len(values)} rows "
            f"that rise, the first {listed[0]:.6g} … {listed[-1]:.6g} in row {row}): metric='l2' (or euclidean, "
            "manhattan, hamming, distance) takes them as distances, metric='dot' (or cosine) as scores in any order"
        )


def negated(distances: Any, argument: str) -> DenseScores:
    """Scores that are minus the distances of a matrix; those of a memory map are turned where they are read."""
    if isinstance(distances, DenseScores) and distances.of_distances:  # of a memory map with left-out cells
        return distances
    matrix = real_matrix(distances, argument)
    if is_memory_map(matrix):
        return DenseScores(matrix, argument, negate=True)
    check_all_scores(matrix, argument)
    return DenseScores(np.negative(matrix), argument)
