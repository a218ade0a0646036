"""`tune`: the parameters that are best on problems at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit import bars, checks
from rerankit.bench.draws import Draws, draws
from rerankit.bench.run import Where
from rerankit.bench.space import spaces, with_values
from rerankit.choosing.chosen import styled
from rerankit.errors import InputError, rule
from rerankit.events import emit, track
from rerankit.metrics import evaluate, traits_of
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem, as_problem
from rerankit.relevance import Relevance
from rerankit.runs import on_engine


@dataclass(frozen=True)
class Setting:
    """A pipeline with some values of its parameters, and its figure on each problem; the mean decides."""

    pipeline: Pipeline
    values: Mapping[str, Any]
    figures: tuple[float, ...]

    @property
    def figure(self) -> float:
        """The mean over the problems."""
        return float(np.mean(self.figures))


class TunedPipeline(Pipeline):
    """The pipeline with the parameters that were best; `tried` has all settings in their order, `table()` the best
    first, `metric` what was measured.
    """

    def __init__(self, pipeline: Pipeline, tried: Sequence[Setting], metric: str) -> None:
        super().__init__(pipeline.stages)
        self.tried, self.metric = tuple(tried), metric

    def table(self, style: str = "text") -> str:
        """What was tried, best first, as text, markdown, latex or html."""
        several = len(self.tried[0].figures) > 1
        names = [f"problem {at}" for at in range(1, 1 + len(self.tried[0].figures))] if several else []
        rows = [
            (
                " >> ".join(map(repr, each.pipeline.stages)),
                f"{each.figure:.4g}",
                *(f"{figure:.4g}" for figure in each.figures if several),
            )
            for each in _best_first(self.tried, self.metric)
        ]
        return styled(style, ("tried", f"mean {self.metric}" if several else self.metric, *names), rows, names=1)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return self.table("html")


def tune(
    pipelines: Any,
    space: Mapping[str, Sequence[Any]],
    problem: Any,
    relevance: Relevance | Sequence[Relevance],
    *,
    metric: str = "success@1",
    trials: int | None = None,
    seed: int = 0,
    sampler: Any = "random",
    k: int = 100,
    progress: bool = False,
    engine: Any = None,
    shard_size: int | None = None,
) -> TunedPipeline:
    """The parameters that are best on problems whose right items are known, and not those that are tested on.

    pipelines: a name, stage or pipeline, or a list of several.
    space: ``{"parameter": values}`` for pipelines of one stage, ``{"stage-name.parameter": values}`` or
    ``{"position.parameter": values}`` for others. Of several pipelines, what names a stage is for those that have it.
    problem, relevance: one of each, or a list of each: several sets, or both directions. The mean of their figures
    decides, so that none is won at the cost of the others.
    trials: so many settings of each pipeline in place of all. k: candidates of each query.
    sampler: how they are chosen: ``"random"``, ``"tpe"`` (by the figures of those before; extra ``optuna``), both by
    `seed`, or a sampler of optuna.
    engine, shard_size: where it is worked in shards, as in `rerankit.runs.on_engine`; the figures are the same.

    For benchmarks on files, with records of what was tried, there is `rerankit.bench.tune`; `rerankit.choose` asks
    whether anything is better than the order as it came.

    >>> random = np.random.default_rng(0)
    >>> scores = random.normal(size=(60, 60)) + 2 * random.normal(size=60) + 3 * np.eye(60)
    >>> tuned = tune("nnn", {"neighbours": [1, 10]}, scores, Relevance.from_dense(np.eye(60)))
    >>> tuned
    Pipeline([stage('nnn', neighbours=10)])
    >>> [(each.values, round(each.figure, 2)) for each in tuned.tried]
    [({'neighbours': 1}, 0.32), ({'neighbours': 10}, 0.72)]
    """
    checks.integer("k", k, least=1)
    where = Where.of(engine, shard_size)
    problems = list(_paired(problem, relevance))
    given = _pipelines(pipelines)
    if not space:
        raise rule("space", "must name parameters with a list of at least one value each", dict(space))
    how = trials, seed, sampler, traits_of(metric).better
    drawn = [draws(own, *how) if own else Draws([{}], "as it is") for own in spaces(given, space)]
    searches = list(zip(given, drawn, strict=True))
    _check([with_values(pipeline, values) for pipeline, each in searches for values in each.examples], problems)
    tried: list[Setting] = []
    with bars.progress(progress):
        every = ((each, pipeline, values) for pipeline, each in searches for values in each)
        for each, pipeline, values in track(every, "tuning", sum(map(len, drawn))):
            made = with_values(pipeline, values)
            tried.append(
                Setting(made, values, tuple(_figure(made, one, right, metric, k, where) for one, right in problems))
            )
            each.tell(tried[-1].figure)
    tuned = TunedPipeline(_best_first(tried, metric)[0].pipeline, tried, metric)
    emit("tuned", f"{tuned!r}: {metric}", outcome=tuned)
    return tuned


def _pipelines(given: Any) -> list[Pipeline]:
    found = given if isinstance(given, list | tuple) else [given]
    if not found:
        raise rule("pipelines", "must hold one pipeline or more", given)
    return [one if isinstance(one, Pipeline) else Pipeline([one]) for one in found]


def _paired(problem: Any, relevance: Any) -> Iterator[tuple[Problem, Relevance]]:
    several = isinstance(relevance, list | tuple)
    problems, right = (problem, relevance) if several else ([problem], [relevance])
    if not several or (isinstance(problem, list | tuple) and len(problem) == len(relevance) and len(problem)):
        for at, (one, known) in enumerate(zip(problems, right, strict=True), 1):
            found = as_problem(one)
            if not isinstance(known, Relevance):
                raise rule("relevance", "must be a rerankit.Relevance, or a list of them", type(known).__name__)
            if known.shape != found.shape:
                where = f" of problem {at}" if several else ""
                raise rule("relevance", f"must be of the shape {found.shape}{where}", known.shape)
            yield found, known
        return
    raise rule(
        "problem", f"must be a list of {len(relevance)} problems, one for each relevance", type(problem).__name__
    )


def _check(settings: Sequence[Pipeline], problems: Sequence[tuple[Problem, Any]]) -> None:
    """Say what is missing before anything runs."""
    for pipeline in settings:
        for one, _ in problems:
            faults = pipeline.unmet(one)
            if faults:
                raise InputError(str(faults[0]))


def _figure(pipeline: Pipeline, problem: Problem, relevance: Relevance, metric: str, k: int, where: Where) -> float:
    with on_engine(where.engine, problem, where.shard_size):
        found = pipeline.rerank(problem, problem.ranking(k))
    return evaluate(found, relevance, [metric], empty="skip")[metric]


def _best_first(tried: Sequence[Setting], metric: str) -> list[Setting]:
    lower = traits_of(metric).better == "lower"
    return sorted(tried, key=lambda each: each.figure if lower else -each.figure)
