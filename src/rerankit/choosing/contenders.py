"""What is tried when nothing else is said, what is to be preferred first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rerankit.errors import rule
from rerankit.pipelines.needs import WEIGHTS
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage, stage
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores

# In the order of what they gain with half of a set as the bank of the other, on the panel of benchmarks/panel.py.
HUBNESS = ("sinkhorn", "inverted-softmax", "nnn", "csls", "dual-softmax", "mutual-rank", "dual-is")
_LEARNERS_LEAST = 100  # labelled queries


def contenders(among: Sequence[Any] | None, problem: Problem, labels: int | None) -> list[Pipeline]:
    """Pipelines from names, stages and pipelines; the usual ones for None. `labels` counts labelled queries."""
    if among is None:
        return [one if isinstance(one, Pipeline) else Pipeline([one]) for one in _usual(problem, labels)]
    if isinstance(among, str) or not isinstance(among, Iterable):
        raise rule("among", "must be a list of names, stages or pipelines", among)
    found = [one if isinstance(one, Pipeline) else Pipeline([one]) for one in among]
    if not found:
        raise rule("among", "must hold one pipeline or more", among)
    return found


def _usual(problem: Problem, labels: int | None) -> Iterable[Stage | Pipeline]:
    for name in HUBNESS:
        yield stage(name)
    if labels is None:  # what neighbours say cannot be told from scores with noise
        return
    # Labels tell what neighbours are worth: no caution is needed.
    if problem.query_scores is not None and problem.gallery_scores is not None:
        yield stage("consensus")
        for k1 in (5, 20):
            yield stage("k-reciprocal", k1=k1, k2=max(1, k1 // 4), strength=1)
            yield stage("gnn", k1=k1, k2=max(2, k1 // 4), strength=1)
    if problem.gallery_scores is not None:
        for name in ("alpha-qe", "dba", "diffusion"):
            yield stage(name, strength=1)
    if labels >= _LEARNERS_LEAST:
        yield stage("learned-fusion")
        if isinstance(problem.scores, EmbeddingScores):
            yield stage("metric")
            for name in ("mutual-rank", "sinkhorn"):
                yield Pipeline([stage("metric"), name])


def obstacle(pipeline: Pipeline, problem: Problem, test_queries: bool) -> str:
    """Why a pipeline cannot be tried; nothing where it can."""
    faults = [
        fault for fault in pipeline.unmet(problem) if not (fault.need.kind == WEIGHTS and hasattr(fault.stage, "fit"))
    ]
    if faults:
        return str(faults[0])
    if not test_queries and pipeline.looks_at(problem).queries:
        return "looks at the other test queries"
    return ""
