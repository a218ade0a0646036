"""The kit for metrics: values of queries that depend on where their items stand, and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit.metrics.lists import FloatArray, truth_of
from rerankit.metrics.metric import Metric, MetricFunction
from rerankit.metrics.sources import places_of
from rerankit.relevance import Relevance
from rerankit.testing.process import leaving_alone
from rerankit.testing.run import expect, failing

_QUERIES, _GALLERY = 7, 12
_CUTS = {"required": (1, 3), "optional": (None, 2), "none": (None,)}


def check_metric(function: MetricFunction, *, of_wrong: bool = False) -> None:
    """A number for each query, whatever other queries there are; no ranking is better than the best one, none worse
    than the worst. `of_wrong` says that what is judged is what should come last.

    >>> from rerankit.metrics.reciprocal_rank import reciprocal_rank
    >>> check_metric(reciprocal_rank)
    """
    metric = Metric.of(getattr(function, "__name__", "metric"), function)
    random = np.random.default_rng(0)
    right = [random.choice(_GALLERY, 1 + row % 3, replace=False).tolist() for row in range(_QUERIES)]
    relevance, scores = Relevance.from_lists(right, _GALLERY), random.normal(size=(_QUERIES, _GALLERY)).round(1)
    for k in _CUTS[metric.cut]:
        _check(metric, k, scores, relevance, of_wrong)


def _check(metric: Metric, k: int | None, scores: Any, relevance: Relevance, of_wrong: bool) -> None:
    name = metric.name if k is None else f"{metric.name}@{k}"
    with leaving_alone(name):
        values = _values(metric, k, scores, relevance)
    for ties in ("optimistic", "pessimistic"):
        _values(metric, k, scores, relevance, ties)
    expect(np.array_equal(_values(metric, k, scores, relevance), values), f"{name} gives other values the second time")
    backwards = np.arange(_QUERIES)[::-1]
    for rows, change in ((backwards, "in another order"), (backwards[::2], "without some of the others")):
        found = _values(metric, k, scores[rows], relevance.subset(queries=rows))
        expect(np.allclose(found, values[rows]), f"{name} gives other values to queries {change}")
    _check_cut(metric, k, scores, relevance)
    best, worst = (_values(metric, k, sign * relevance.to_dense(), relevance) for sign in (1, -1))
    sign = -metric.traits.sign if of_wrong else metric.traits.sign
    better = sign * best >= sign * values - 1e-9
    expect(bool(better.all()), f"{name}: the best ranking has a worse value than another one: {best} and {values}")
    expect(bool((sign * values >= sign * worst - 1e-9).all()), f"{name}: the worst ranking has a better value")


def _check_cut(metric: Metric, k: int | None, scores: Any, relevance: Relevance) -> None:
    """What stands behind the first k may come in any order."""
    places = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    behind = np.where(places < (_GALLERY if k is None else k), places, _GALLERY + _GALLERY - places)
    values, found = (_values(metric, k, -order, relevance) for order in (places, behind))
    expect(np.array_equal(values, found), f"{metric.name}@{k} depends on the order of what stands behind place {k}")


def _values(metric: Metric, k: int | None, scores: Any, relevance: Relevance, ties: Any = "expected") -> FloatArray:
    places = places_of(np.asarray(scores, np.float64), truth_of(relevance), ties)
    with failing(metric.name):
        values = np.asarray(metric.function(places, *(() if k is None else (k,))))
    queries = relevance.shape[0]
    good = values.shape == (queries,) and values.dtype.kind in "fiub" and bool(np.isfinite(values).all())
    expect(good, f"{metric.name} must give a finite number for each of {queries} queries (got {values!r})")
    return values.astype(np.float64)
