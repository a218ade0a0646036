"""Ways to measure a pipeline on labels: on the problem's own, or on halves of other labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.bank import Bank
from rerankit.errors import InputError, rule
from rerankit.metrics import evaluate, traits_of
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.trainable import Trainable
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.things import Things, parted_things

_SPLITS = 3
LEAST_THINGS = 4
"""Fewer things than this make no two halves with anything to compare."""


class Trial(Protocol):
    """A way to measure pipelines: one value for each observation, the same observations for each pipeline."""

    description: str
    problem: Problem
    """Like the one the choice is for: what it brings says which stages can run."""
    groups: AnyArray | None
    compares: bool
    """Whether it tells which of two pipelines gains more; without labels only whether one gains can be told."""

    def values(self, pipeline: Pipeline) -> AnyArray:
        """(observations,), higher is better."""


@dataclass
class LabelledQueries:
    """The problem's own queries, whose right items are known. A stage that learns does so from half of the things and
    is measured on the other half, both ways round.
    """

    problem: Problem
    relevance: Relevance
    metric: str
    k: int
    compares = True

    def __post_init__(self) -> None:
        _check_metric(self.metric)
        things = parted_things(self.relevance, LEAST_THINGS)
        self._judged = np.flatnonzero((self.relevance.counts > 0) & (things.queries >= 0))
        self.groups: AnyArray | None = things.queries[self._judged]
        self.description = f"{len(self._judged)} labelled queries, {self.metric}"
        if len(np.unique(self.groups)) < LEAST_THINGS:
            raise InputError(
                f"'relevance' must label queries of {LEAST_THINGS} different things or more "
                f"(got {len(np.unique(self.groups))})"
            )

    def values(self, pipeline: Pipeline) -> AnyArray:
        if not learns(pipeline):
            return self._figures(pipeline)[self._judged]
        found = np.empty(self.problem.shape[0])
        assert self.groups is not None
        first = np.isin(self.groups, _half(np.unique(self.groups), seed=0))
        for taught, tested in ((first, ~first), (~first, first)):
            queries = self._judged[taught]
            fitted = fitted_to(pipeline, self.problem.subset(queries), self.relevance.subset(queries))
            found[self._judged[tested]] = self._figures(fitted)[self._judged[tested]]
        return found[self._judged]

    def _figures(self, pipeline: Pipeline) -> AnyArray:
        return _values(pipeline, self.problem, self.relevance, self.metric, self.k)


@dataclass
class Halves:
    """Other labelled pairs, cut into halves by what they show: one half is searched, the other one's queries are its
    bank and teach the stages that learn; three times over, both ways round.
    """

    pairs: Problem
    relevance: Relevance
    metric: str
    k: int
    compares = True

    def __post_init__(self) -> None:
        _check_metric(self.metric)
        things = parted_things(self.relevance, 2 * LEAST_THINGS)
        known = np.setdiff1d(np.intersect1d(things.queries, things.items), [-1])
        if len(known) < 2 * LEAST_THINGS:
            raise InputError(
                f"'bank' must hold labelled pairs of {2 * LEAST_THINGS} different things or more (got {len(known)})"
            )
        self._parts = [part for seed in range(_SPLITS) for part in _both_ways(things, known, seed)]
        self.problem = self._tested(*self._parts[0])
        self.groups: AnyArray | None = np.concatenate([things.queries[self._queries(part[0])] for part in self._parts])
        self.description = f"{len(known)} labelled pairs, one half the bank of the other, {self.metric}"

    def values(self, pipeline: Pipeline) -> AnyArray:
        found = []
        for tested, taught in self._parts:
            problem, right = self._tested(tested, taught), self.relevance.subset(tested[0], tested[1])
            ready = pipeline
            if learns(pipeline):
                ready = fitted_to(pipeline, self.pairs.subset(*taught), self.relevance.subset(*taught))
            found.append(_values(ready, problem, right, self.metric, self.k)[right.counts > 0])
        return np.concatenate(found)

    def _queries(self, half: tuple[IntArray, IntArray]) -> IntArray:
        queries, items = half
        return queries[self.relevance.subset(queries, items).counts > 0]

    def _tested(self, tested: tuple[IntArray, IntArray], taught: tuple[IntArray, IntArray]) -> Problem:
        part = self.pairs.subset(*tested)
        whole, (queries, items), others = self.pairs, tested, taught[0]
        same = whole.query_scores
        bank = Bank(
            to_gallery=whole.scores.take(others, items),
            to_queries=None if same is None else same.take(others, queries),
            to_bank=None if same is None else same.take(others, others),
        )
        return part.with_banks(query_bank=bank)


def _both_ways(
    things: Things, known: IntArray, seed: int
) -> list[tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]]:
    first = np.isin(np.arange(things.number), _half(known, seed))
    here, there = (
        (np.flatnonzero(which[things.queries] & (things.queries >= 0)), np.flatnonzero(which[things.items]))
        for which in (first, ~first)
    )
    return [(here, there), (there, here)]


def _half(labels: IntArray, seed: int) -> IntArray:
    return np.random.default_rng(seed).permutation(labels)[: len(labels) // 2]


def learns(pipeline: Pipeline) -> bool:
    """Whether a stage of the pipeline must be fitted first."""
    return any("weights" in one.needs and not one.fitted for one in pipeline.stages)


def fitted_to(pipeline: Pipeline, problem: Problem, relevance: Relevance) -> Pipeline:
    """The pipeline with the stages that lack weights fitted, each on what the ones before it make."""
    for one in pipeline.stages:
        if "weights" in one.needs and not one.fitted and not isinstance(one, Trainable):
            raise rule("among", "must hold stages that have weights or a 'fit'", one)
    return pipeline.clone().fit(problem, relevance) if learns(pipeline) else pipeline


def _values(pipeline: Pipeline, problem: Problem, relevance: Relevance, metric: str, k: int) -> AnyArray:
    ranking: Ranking = pipeline.rerank(problem, problem.ranking(k))
    found = evaluate(ranking, relevance, [metric], empty="skip")
    return next(iter(found.per_query.values()))


def _check_metric(metric: str) -> None:
    if traits_of(metric).better != "higher":
        raise rule("metric", "must be one where higher is better", metric)


def check_trials(names: Sequence[str], given: Sequence[object]) -> None:
    """Refuse more than one way to measure."""
    several = [name for name, one in zip(names, given, strict=True) if one is not None]
    if len(several) > 1:
        raise InputError(f"{' and '.join(map(repr, several))} exclude each other: give one of them")
