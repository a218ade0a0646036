"""A way to measure a pipeline without labels: what of the order both directions agree on survives noise."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem
from rerankit.scores import DenseScores, ListScores, Scores
from rerankit.stages.hubness.spread import spread

_DRAWS = 6
_NOISE = 0.7  # spreads
_CELLS = 4_000_000  # that are looked at
LEAST_PAIRS = 30
"""Fewer pairs than this are no evidence."""


class Agreement:
    """Pairs that are each other's first choice are taken for right, and noise is added to all scores: a pipeline is
    worth what share of the pairs it finds again, against the order by the noisy scores.

    Noise is independent from score to score, whereas that some items score high for everybody stays: a correction that
    is right about them finds more. With a query bank, the bank's queries are looked at, one half of them for the other,
    so that the choice does not depend on the test queries. Nothing that permutes, scales or shifts the scores changes
    it. Where a query has many right items, or an item, one of them is its partner: where there are more queries than
    items, an item's first choices are as many as there are queries for each item.
    """

    groups: AnyArray | None = None

    def __init__(self, problem: Problem) -> None:
        bank = problem.query_bank
        rows = problem.scores if bank is None or bank.to_gallery is None else bank.to_gallery
        self._with_bank = rows is not problem.scores
        values = _in_order(_dense(rows))
        self._partner, self._pairs = _mutual(values)
        wide = spread(DenseScores(values)) or 1.0
        random = np.random.default_rng(0)
        self._noisy = [
            (values + np.float32(_NOISE * wide) * random.standard_normal(values.shape, np.float32))
            for _ in range(_DRAWS)
        ]
        whose = "the bank's" if self._with_bank else "the"
        self.description = (
            f"{len(self._pairs)} pairs that are each other's first choice among {whose} queries, no labels: the share "
            "that is found again in noise"
        )
        self.problem = self._part(self._noisy[0], self._sides()[0])

    @property
    def evidence(self) -> str:
        """Why there is too little to go by; nothing where there is enough."""
        if len(self._pairs) < LEAST_PAIRS:
            return f"only {len(self._pairs)} pairs are each other's first choice, {LEAST_PAIRS} are needed"
        return ""

    def values(self, pipeline: Pipeline) -> AnyArray:
        found = np.zeros(len(self._partner))
        for noisy in self._noisy:
            for side in self._sides():
                problem = self._part(noisy, side)
                ranking = pipeline.rerank(problem, problem.ranking(100))
                found[side] += ranking.indices[:, 0] == self._partner[side]
        result: AnyArray = found[self._pairs] / _DRAWS
        return result

    def _sides(self) -> list[IntArray]:
        """Queries that are searched together: all, or each half beside the other as its bank."""
        every = np.arange(len(self._partner))
        return [every[0::2], every[1::2]] if self._with_bank else [every]

    def _part(self, noisy: FloatArray, side: IntArray) -> Problem:
        if not self._with_bank:
            return Problem(noisy)
        others = np.setdiff1d(np.arange(len(noisy)), side)
        return Problem(noisy[side], query_bank=Bank(to_gallery=noisy[others]))


def _dense(scores: Scores) -> FloatArray:
    """Scores of rows and columns that are spread evenly, at most so many cells; absent ones are the row's lowest."""
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
    """Rows and columns by their highest scores, so that the order in which they came plays no part in the noise."""
    rows = np.argsort(-values.max(axis=1, initial=-np.inf), kind="stable")
    columns = np.argsort(-values.max(axis=0, initial=-np.inf), kind="stable")
    return np.ascontiguousarray(values[rows][:, columns])


def _mutual(values: FloatArray) -> tuple[IntArray, IntArray]:
    """Each query's first item, and the queries that are among that item's first ones."""
    queries, items = values.shape
    first = values.argmax(axis=1) if items else np.zeros(queries, np.int64)
    each = max(1, round(queries / max(items, 1)))
    best = np.argpartition(-values, each - 1, axis=0)[:each] if queries else np.zeros((each, 0), np.int64)
    return first, np.flatnonzero((best[:, first] == np.arange(queries)).any(axis=0))
