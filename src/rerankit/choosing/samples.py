"""Scores that pipelines are tried on without labels: a matrix of moderate size, in an order of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem
from rerankit.scores import ListScores, Scores

_CELLS = 4_000_000  # that are looked at
LEAST = 30
"""Fewer observations than this are no evidence."""


def sample_of(scores: Scores) -> FloatArray:
    """Scores of rows and columns that are spread evenly, at most so many cells; absent ones are the row's lowest.

    Rows and columns stand in the order of their highest scores, so that the order in which they came plays no part in
    what is drawn for them.
    """
    return _in_order(_dense(scores))


def halved(values: FloatArray) -> list[tuple[slice, slice]]:
    """Both halves of the rows (every second one), each with the other; one row, which is no evidence, with itself."""
    if len(values) < 2:
        return [(slice(None), slice(None))]
    first, second = slice(0, None, 2), slice(1, None, 2)
    return [(first, second), (second, first)]


def with_bank(values: FloatArray, bank: FloatArray) -> Problem:
    """A problem whose bank is other rows."""
    return Problem(np.ascontiguousarray(values), query_bank=Bank(to_gallery=np.ascontiguousarray(bank)))


def found_first(pipeline: Pipeline, parts: Sequence[tuple[slice, Problem]], right: IntArray) -> AnyArray:
    """Whether each row's right item comes first (rows,), 1 or 0; every part is some rows and their problem."""
    found = np.zeros(len(right))
    for side, problem in parts:
        ranking = pipeline.rerank(problem, problem.ranking(100))
        found[side] = ranking.indices[:, 0] == right[side]
    return found


def _dense(scores: Scores) -> FloatArray:
    rows, columns = scores.shape
    if isinstance(scores, ListScores):
        raise InputError(
            "a choice without labels needs a matrix or embeddings: lists say nothing of the other direction"
        )
    some = np.unique(np.linspace(0, rows - 1, max(1, min(rows, max(256, _CELLS // columns)))).astype(np.int64))
    most = max(1, min(columns, _CELLS // len(some)))
    items = np.unique(np.linspace(0, columns - 1, most).astype(np.int64))
    ordered = np.argsort(-_highest(scores), kind="stable")
    values = scores.take(np.sort(ordered[some]), None if len(items) == columns else items).rows()
    lowest = np.where(np.isfinite(values), values, np.inf).min(axis=1, keepdims=True)
    found: FloatArray = np.where(np.isfinite(values), values, np.where(np.isfinite(lowest), lowest, 0))
    return found.astype(np.float32)


def _highest(scores: Scores) -> FloatArray:
    found: FloatArray = scores.topk(1)[1][:, 0]
    return found


def _in_order(values: FloatArray) -> FloatArray:
    rows = np.argsort(-values.max(axis=1, initial=-np.inf), kind="stable")
    columns = np.argsort(-values.max(axis=0, initial=-np.inf), kind="stable")
    return np.ascontiguousarray(values[rows][:, columns])
