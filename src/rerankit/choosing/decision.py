"""`choose`: the pipeline to use for a problem, or none."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rerankit import bars, checks
from rerankit.arrays import AnyArray
from rerankit.choosing.agreement import Agreement
from rerankit.choosing.chosen import Chosen, Tried
from rerankit.choosing.contenders import contenders, obstacle
from rerankit.choosing.planted import Planted, planted_in
from rerankit.choosing.trials import Halves, LabelledQueries, Trial, check_trials, fitted_to, learns
from rerankit.errors import rule
from rerankit.events import track
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem, as_problem
from rerankit.relevance import Relevance
from rerankit.statistics import bootstrap, improvements

BY_LABELS, UNLABELLED = 0.01, 0.05
"""The levels at which a gain counts: by labels the largest of several gains is chosen, without the first."""


def choose(
    problem: Any,
    relevance: Relevance | None = None,
    *,
    bank: tuple[Problem, Relevance] | None = None,
    among: Sequence[Any] | None = None,
    metric: str = "success@1",
    test_queries: bool = True,
    significance: float | None = None,
    budget: float | None = None,
    k: int = 100,
    progress: bool = False,
) -> Chosen:
    """A pipeline that is significantly better than leaving the order alone; otherwise an empty one. Of several such the
    first that is tried is chosen unless labels say that another one gains significantly more.

    It is measured by `metric`

    - on the problem's own queries, where `relevance` says what is right for them (queries without are left out);
    - or on `bank`, other labelled pairs (a problem and its relevance) of the same kind: each half of them is searched
      with the other half as its bank. What is chosen is for one query at a time: the pairs' queries are to be the
      bank of the problem. Where the labels are too few to tell, the problem's bank is asked without them;
    - or without labels, a weaker ground, which sees corrections of hubs only: by how often the queries of the problem's
      bank find an item first that was drawn at random and raised (`Planted`); or, where there is no bank or its queries
      have items of their own in the gallery, by what of the agreement between both directions survives noise
      (`Agreement`).

    among: names, stages or pipelines to try, what is to be preferred first (None: the usual ones for what the problem
    brings). A stage that must be fitted is fitted on one half and measured on the other, and in the end fitted on all.
    test_queries: whether the answer may look at other test queries.
    significance: the level at which a gain counts, adjusted for how many were tried; None: 0.01 by labels, else 0.05.
    budget: seconds after which nothing more is tried.

    >>> random = np.random.default_rng(0)
    >>> scores = random.normal(size=(200, 200)) + 1.5 * random.normal(size=200) + 4 * np.eye(200)
    >>> chosen = choose(scores, Relevance.from_dense(np.eye(200)), among=["nnn", "sinkhorn"])
    >>> chosen
    Pipeline([stage('sinkhorn')])
    >>> choose(random.normal(size=(200, 200)), Relevance.from_dense(np.eye(200)), among=["nnn", "sinkhorn"])
    Pipeline([])
    """
    if significance is not None:
        checks.number("significance", significance, above=0, most=1)
    checks.boolean("test_queries", test_queries)
    if budget is not None:
        checks.number("budget", budget, least=0)
    check_trials(("relevance", "bank"), (relevance, bank))
    given = as_problem(problem)
    if bank is None and relevance is None:
        trial = planted_in(given) or Agreement(given)
        return _without_labels(trial, among, test_queries, significance, budget, progress)
    labelled, pairs = _labelled_trial(given, relevance, bank, metric, k)
    with bars.progress(progress):
        tried = contenders(among, labelled.problem, pairs[0].shape[0])
        chosen = _chosen(labelled, tried, test_queries, significance, budget)
        if bank is not None and not chosen.stages:
            chosen = _by_planting(given, chosen, test_queries, significance, budget)
    if not learns(chosen):
        return chosen
    return chosen.with_stages(fitted_to(chosen, *pairs))


def _without_labels(
    trial: Agreement | Planted,
    among: Sequence[Any] | None,
    test_queries: bool,
    significance: float | None,
    budget: float | None,
    progress: bool,
) -> Chosen:
    tried = contenders(among, trial.problem, None)
    if trial.evidence:
        return Chosen(
            Pipeline([]), measured_on=trial.description, base=np.nan, tried=(), reason=f"left alone: {trial.evidence}"
        )
    with bars.progress(progress):
        return _chosen(trial, tried, test_queries, significance, budget)


def _by_planting(
    problem: Problem, by_labels: Chosen, test_queries: bool, significance: float | None, budget: float | None
) -> Chosen:
    """Where labels are too few to tell, what the bank's queries tell without: of the pipelines that lose nothing by the
    labels the best one, if it is significantly better.
    """
    among = [each.pipeline for each in by_labels.tried if each.gain >= 0 and not learns(each.pipeline)]
    planted = planted_in(problem) if among else None
    if planted is None:
        return by_labels
    found = _without_labels(planted, among, test_queries, significance, budget, False)
    if not found.stages:
        return by_labels
    reason = f"{by_labels.reason}; without labels, of those that lose nothing by them: {found.reason}"
    return by_labels.with_stages(found, reason)


def _labelled_trial(
    given: Problem, relevance: Relevance | None, bank: tuple[Problem, Relevance] | None, metric: str, k: int
) -> tuple[Trial, tuple[Problem, Relevance]]:
    """The trial on labels, and the labelled pairs that it is made of."""
    if bank is not None:
        pairs = _checked_pairs(bank)
        return Halves(*pairs, metric, k), pairs
    assert relevance is not None, "without a bank there are labels of the problem"
    if relevance.shape != given.shape:
        raise rule("relevance", f"must be of the problem's shape {given.shape}", relevance.shape)
    return LabelledQueries(given, relevance, metric, k), (given, relevance)


def _chosen(
    trial: Trial, pipelines: Sequence[Pipeline], test_queries: bool, significance: float | None, budget: float | None
) -> Chosen:
    level = significance if significance is not None else BY_LABELS if trial.compares else UNLABELLED
    base, start = trial.values(Pipeline([])), time.perf_counter()
    found: list[tuple[Pipeline, AnyArray, float]] = []
    left_out: list[tuple[str, str]] = []
    for pipeline in track(list(pipelines), "choosing"):
        why = obstacle(pipeline, trial.problem, test_queries)
        began = time.perf_counter()
        if not why and budget is not None and began - start > budget:
            why = f"the budget of {budget:g} s was spent"
        if why:
            left_out.append((_name(pipeline), why))
            continue
        found.append((pipeline, trial.values(pipeline), time.perf_counter() - began))
    tried = _compared(trial, base, found)
    better = [
        (each, values) for each, (_, values, _) in zip(tried, found, strict=True) if each.p < level and each.gain > 0
    ]
    chosen = _preferred(trial, better, level)
    return Chosen(
        chosen.pipeline if chosen else Pipeline([]),
        measured_on=trial.description,
        base=100 * float(base.mean()),
        tried=tried,
        left_out=left_out,
        reason=_reason(chosen, tried, level),
    )


def _preferred(trial: Trial, better: Sequence[tuple[Tried, AnyArray]], level: float) -> Tried | None:
    """The first of those that gain; where the trial tells gains apart, the first that no other one gains significantly
    more than. The largest of several uncertain gains is largest by luck, too.
    """
    if not better or not trial.compares:
        return better[0][0] if better else None
    most, highest = max(better, key=lambda one: one[0].gain)
    for each, values in better:
        if each is most or improvements(values, [highest], groups=trial.groups)[0] >= level:
            return each
    return most


def _compared(trial: Trial, base: AnyArray, found: Sequence[tuple[Pipeline, AnyArray, float]]) -> list[Tried]:
    groups = trial.groups
    chances = improvements(base, [values for _, values, _ in found], groups=groups)
    tried = []
    for (pipeline, values, seconds), p in zip(found, chances, strict=True):
        low, high = bootstrap(100 * (values - base), groups=groups)
        gain, figure = 100 * float((values - base).mean()), 100 * float(values.mean())
        looks = pipeline.looks_at(trial.problem)
        tried.append(Tried(pipeline, looks, figure, gain, low, high, float(p), seconds))
    return tried


def _reason(chosen: Tried | None, tried: Sequence[Tried], level: float) -> str:
    if not tried:
        return "left alone: nothing could be tried"
    most = max(tried, key=lambda each: each.gain)
    if chosen is not None:
        why = (
            "it gains the most"
            if chosen is most
            else f"nothing gains surely more, {_name(most.pipeline)} {most.gain:+.1f}"
        )
        return f"chosen: {chosen.gain:+.1f} points, and no gain at all has p = {chosen.p:.2g}; {why}"
    return (
        f"left alone: nothing is significantly better at the {level:.0%} level "
        f"(best: {_name(most.pipeline)}, {most.gain:+.1f} points, p = {most.p:.2g})"
    )


def _name(pipeline: Pipeline) -> str:
    return " >> ".join(one.name for one in pipeline.stages)


def _checked_pairs(bank: Any) -> tuple[Problem, Relevance]:
    if not isinstance(bank, tuple) or len(bank) != 2 or not isinstance(bank[1], Relevance):
        raise rule("bank", "must be a pair of a problem and its relevance", bank)
    pairs = as_problem(bank[0])
    if bank[1].shape != pairs.shape:
        raise rule("bank[1]", f"must be of its problem's shape {pairs.shape}", bank[1].shape)
    return pairs, bank[1]
