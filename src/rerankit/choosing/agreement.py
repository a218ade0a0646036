"""A way to measure a pipeline without labels: what of the order both directions agree on survives noise."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.choosing.samples import LEAST, found_first, halved, sample_of, with_bank
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem
from rerankit.scores import DenseScores
from rerankit.stages.hubness.spread import spread

_DRAWS = 6
_NOISE = 0.7  # spreads


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
    compares = False

    def __init__(self, problem: Problem) -> None:
        bank = problem.query_bank
        rows = problem.scores if bank is None or bank.to_gallery is None else bank.to_gallery
        self._with_bank = rows is not problem.scores
        values = sample_of(rows)
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
        self.problem = self._problems(self._noisy[0])[0][1]

    @property
    def evidence(self) -> str:
        """Why there is too little to go by; nothing where there is enough."""
        if len(self._pairs) < LEAST:
            return f"only {len(self._pairs)} pairs are each other's first choice, {LEAST} are needed"
        return ""

    def values(self, pipeline: Pipeline) -> AnyArray:
        found = sum(found_first(pipeline, self._problems(noisy), self._partner) for noisy in self._noisy)
        result: AnyArray = np.asarray(found)[self._pairs] / _DRAWS
        return result

    def _problems(self, noisy: FloatArray) -> list[tuple[slice, Problem]]:
        """Queries that are searched together: all, or each half with the other one as its bank."""
        if not self._with_bank:
            return [(slice(None), Problem(noisy))]
        return [(side, with_bank(noisy[side], noisy[others])) for side, others in halved(noisy)]


def _mutual(values: FloatArray) -> tuple[IntArray, IntArray]:
    """Each query's first item, and the queries that are among that item's first ones."""
    queries, items = values.shape
    first = values.argmax(axis=1) if items else np.zeros(queries, np.int64)
    each = max(1, round(queries / max(items, 1)))
    best = np.argpartition(-values, each - 1, axis=0)[:each] if queries else np.zeros((each, 0), np.int64)
    return first, np.flatnonzero((best[:, first] == np.arange(queries)).any(axis=0))
