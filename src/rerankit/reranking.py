"""`rerank`: the one call for a problem and a stage, here or in shards on an engine."""

from __future__ import annotations

from typing import Any

from rerankit import bars
from rerankit.errors import InputError
from rerankit.pipelines.pipeline import as_pipeline
from rerankit.pipelines.stage import Stage
from rerankit.problem import as_problem
from rerankit.ranking import Ranking


def rerank(
    problem: Any,
    how: str | Stage,
    k: int | None = 100,
    *,
    progress: bool = False,
    engine: Any = None,
    out: Any = None,
    resume: bool = False,
    shard_size: int | None = None,
    **params: Any,
) -> Ranking:
    """Re-rank the first k candidates of every query (None: the whole gallery).

    `problem` is a `Problem` or anything that is a matrix of scores (queries, gallery), higher is better; `how` a
    stage's name with its parameters, a stage, or a pipeline. With `progress`, bars on stderr say how far it is.

    With an `engine` ("local", "ray", a `rerankit.engines.Engine`) or a folder `out`, blocks of `shard_size` queries are
    re-ranked by themselves, each of which becomes a file of `out`; `resume` goes on with a run that was stopped
    (docs/scale.md).

    >>> rerank([[0.9, 0.8], [0.7, 0.1]], "mutual-rank", k=2).indices
    array([[0, 1],
           [0, 1]])
    """
    pipeline = as_pipeline(how, params)
    given = as_problem(problem)
    pipeline.check(given)
    with bars.progress(progress):
        if engine is not None or out is not None:
            from rerankit.runs import rerank_in_shards

            return rerank_in_shards(given, pipeline, k, engine=engine, out=out, resume=resume, shard_size=shard_size)
        if resume or shard_size is not None:
            raise InputError("'resume' and 'shard_size' belong to a run in shards: give 'out' or 'engine', too")
        given = given.searching(k)
        started = pipeline.started(given) or pipeline
        return started.rerank(given, given.ranking(k))
