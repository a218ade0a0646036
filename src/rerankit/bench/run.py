"""Running a benchmark: every pipeline on every set of scores, on the same candidates, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rerankit import bars
from rerankit.bench.batches import batch_curve, check_sizes, known_metrics
from rerankit.bench.examples import examples
from rerankit.bench.inputs import Contender, ScoreSet, contenders, score_set
from rerankit.bench.known import code_behind, describe, keep_parts, kept_parts, run_key, run_name
from rerankit.bench.result import PartRow, Result, StageRow
from rerankit.checksums import found_by
from rerankit.engines import Engine, engine_of
from rerankit.errors import InputError, rule
from rerankit.events import emit, track, within
from rerankit.files import check_place
from rerankit.measure import Cost, machine, measure
from rerankit.metrics import Evaluation, hubness
from rerankit.pipelines.pipeline import Pipeline, Step
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.runs import on_engine
from rerankit.tasks import Benchmark, Part, Task


class Where(NamedTuple):
    """Where it is worked: on an engine, in shards of so many rows."""

    engine: Engine | None = None
    shard_size: int | None = None

    @classmethod
    def of(cls, engine: Any, shard_size: int | None) -> Where:
        """The same of an engine or its name."""
        if engine is None and shard_size is not None:
            raise InputError("'shard_size' belongs to work in shards: give 'engine', too")
        return cls(None if engine is None else engine_of(engine), shard_size)


HERE = Where()


def bench(
    task: Task | Benchmark,
    scores: Any,
    pipelines: Any,
    *,
    data: str | Path | None = None,
    k: int = 100,
    out: str | Path | None = None,
    again: bool = False,
    tuning: Mapping[str, Any] | None = None,
    batch_sizes: Sequence[int] = (),
    progress: bool = False,
    engine: Any = None,
    shard_size: int | None = None,
) -> list[Result]:
    """Run every pipeline on every set of scores and give a result for each pair.

    scores: a file, matrix or problem (a mapping by matrix name for tasks with several matrices), or a list of
    such sets, one for each backbone; `score_set` gives a set another label than its file's name.
    pipelines: pipelines, stages, names, YAML files or saved folders; a mapping gives them labels.
    k: how many candidates of each query are re-ranked; all pipelines get the same ones.
    out: a folder for the JSON files. A finished run there is read, not repeated, unless `again`; an
    interrupted one goes on after its last finished part.
    tuning: how a pipeline's parameters were chosen, by label (`TuningResult.record`), kept with its results.
    batch_sizes: for pipelines that look at other queries, also answer some queries in batches of these sizes.
    progress: draw bars on stderr that say how far it is.
    engine, shard_size: where searches and stages that go over all scores are worked on in shards ("local", "ray", a
    `rerankit.engines.Engine`), as in `rerankit.runs.on_engine`. Figures are the same; seconds are those by the clock.

    >>> import tempfile
    >>> import numpy as np
    >>> from rerankit.tasks import task
    >>> folder = tempfile.mkdtemp()
    >>> small = task("generic").write_miniature(Path(folder))
    >>> (result,) = bench(small, np.eye(6, 9), "mutual-rank", data=folder, k=5)
    >>> result.parts[0].k, result.looks_at
    (5, Looks(queries=True))
    """
    if k < 1:
        raise rule("k", "must be at least 1", k)
    benchmark = _loaded(task, data)
    if not benchmark.parts:
        raise InputError(
            f"task '{benchmark.task.card.name}' has nothing to evaluate: its data says no right answers, as on a blind "
            "test split; re-rank it and write the server's files"
        )
    sets = [
        each if isinstance(each, ScoreSet) else score_set(benchmark, each)
        for each in (scores if isinstance(scores, list) else [scores])
    ]
    folder = None if out is None else Path(out)
    if folder is not None:
        check_place(folder / "result.json")
    sizes, where = check_sizes(batch_sizes), Where.of(engine, shard_size)
    with bars.progress(progress):
        return [
            _run(benchmark, one, each, k, folder, again, (tuning or {}).get(each.label), sizes, where)
            for one in sets
            for each in contenders(pipelines)
        ]


def _loaded(task: Task | Benchmark, data: str | Path | None) -> Benchmark:
    if isinstance(task, Benchmark):
        return task
    if not isinstance(task, Task):
        raise rule("task", "must be a task, such as rerankit.tasks.task('flickr30k'), or what it loads", repr(task))
    if data is None:
        raise rule("data", "must be the folder of the task's files", "none")
    return task.load(data)


def _run(
    benchmark: Benchmark,
    scores: ScoreSet,
    each: Contender,
    k: int,
    folder: Path | None,
    again: bool,
    tuning: Any,
    sizes: tuple[int, ...],
    where: Where,
) -> Result:
    task = describe(benchmark)
    pipeline = {"label": each.label, "text": repr(each.pipeline), "checksum": each.checksum}
    inputs = {"label": scores.label, "sha256": dict(scores.checksums)}
    seeds = [seed for one in each.pipeline if (seed := one.get_params().get("seed")) is not None]
    settings = {"k": k, "seeds": seeds, **({"batch_sizes": list(sizes)} if sizes else {})}
    code = code_behind(benchmark, each.pipeline)
    found = {name: found_by(each.pipeline, problem) for name, problem in scores.problems.items()}
    key = run_key(task, inputs["sha256"], pipeline["checksum"], settings, code, found)
    path = None if folder is None else folder / f"{run_name(benchmark, scores, each, key)}.json"
    partial = None if path is None else path.with_name(f".{path.name}.partial")
    if path is not None and partial is not None and path.is_file() and not again:
        partial.unlink(missing_ok=True)
        return _known(path, tuning)
    for part in benchmark.parts[:1]:
        each.pipeline.check(benchmark.problem(part, scores.problems[part.matrix]))
    rows = {} if partial is None or again else kept_parts(partial, key)
    for part in track(benchmark.parts, f"{benchmark.task.card.name}: {scores.label}, {each.label}"):
        if part.name not in rows:
            problem = benchmark.problem(part, scores.problems[part.matrix])
            with within(task=benchmark.task.card.name, part=part.name):
                rows[part.name] = run_part(benchmark, part, problem, each.pipeline, k, sizes, where)
            keep_parts(partial, key, rows.values())
    parts = tuple(rows[part.name] for part in benchmark.parts)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    result = Result(
        task,
        inputs,
        pipeline,
        settings,
        parts,
        summaries(benchmark, parts),
        _environment(code, where),
        key,
        now,
        tuning,
    )
    if path is not None and partial is not None:
        figures = {name: result.summary[name] for name in ("first", "last")}
        benchmark.task.draw(figures, path.with_suffix(".png"))  # first: a run that has its result is not repeated
        result.write(path)
        partial.unlink(missing_ok=True)
    emit("result", f"{scores.label}, {each.label}", outcome=result, task=benchmark.task.card.name)
    return result


def _known(path: Path, tuning: Any) -> Result:
    """The result of a finished run; how its parameters were chosen is added when that is known only now."""
    result = Result.read(path)
    if tuning is None or result.tuning == tuning:
        return result
    result = replace(result, tuning=tuning)
    result.write(path)
    return result


def run_part(
    benchmark: Benchmark,
    part: Part,
    problem: Problem,
    pipeline: Pipeline,
    k: int,
    sizes: Sequence[int] = (),
    where: Where = HERE,
) -> PartRow:
    """Figures of a part before, after each stage, and at best; `pipeline` is the one for the matrix as it is."""
    with on_engine(where.engine, problem, where.shard_size):
        return _part(benchmark, part, problem, pipeline, k, sizes)


def _part(
    benchmark: Benchmark, part: Part, problem: Problem, pipeline: Pipeline, k: int, sizes: Sequence[int]
) -> PartRow:
    pipeline = pipeline.reversed() if part.reverse else pipeline
    ranking = problem.ranking(min(k, problem.shape[1]))
    tail = problem.scores if problem.scores.complete else None
    metrics = known_metrics(benchmark, part, tail is not None)
    first = benchmark.evaluate(part, problem.scores if tail is not None else ranking, metrics=metrics)
    best = benchmark.evaluate(part, ideal(ranking, part.relevance, last=part.wrong), tail, metrics)
    rows: list[StageRow] = []
    steps, last = pipeline.steps(problem, ranking), ranking
    for _ in pipeline:
        with measure() as cost:
            step = next(steps)
        last = step.ranking
        rows.append(_row(step, problem.shape[0], benchmark.evaluate(part, last, tail, metrics), cost))
    next(steps, None)  # which ends the run
    digest = hashlib.sha256(np.ascontiguousarray(ranking.indices).tobytes()).hexdigest()
    figures = first, rows[-1].evaluation if rows else first
    return PartRow(
        part.name,
        part.group,
        *(problem.shape[0], problem.shape[1], ranking.shape[1]),
        digest,
        first,
        best,
        tuple(rows),
        _numbers(part),
        hubness(ranking),
        () if part.wrong else examples(problem, part.relevance, (ranking, last), figures),
        batch_curve(benchmark, part, problem, pipeline, k, sizes) if pipeline.looks_at(problem).queries else None,
    )


def _numbers(part: Part) -> tuple[int, ...] | None:
    """Which queries of a part depend on each other, as numbers."""
    if part.together is None:
        return None
    number: dict[Any, int] = {}
    return tuple(number.setdefault(label, len(number)) for label in part.together)


def _environment(code: Mapping[str, str], where: Where) -> dict[str, str]:
    """Versions and hardware; the device is the GPU where there is one that this process uses."""
    found = machine()
    engine = {} if where.engine is None else {"engine": repr(where.engine)}
    return {**code, **found, "device": found.get("gpu", "cpu"), **engine}


def _row(step: Step, queries: int, figures: Evaluation, cost: Cost) -> StageRow:
    return StageRow(
        repr(step.stage),
        figures,
        step.seconds,
        step.seconds / queries,
        cost.peak_bytes,
        cost.gpu_peak_bytes or None,
        step.looks_at,
        hubness(step.ranking),
    )


def ideal(ranking: Ranking, relevance: Relevance, *, last: bool = False) -> Ranking:
    """The candidates in the best order there is: by grade, or with what is named `last`."""
    keys = relevance.rows * relevance.shape[1] + relevance.indices
    wanted = np.arange(len(ranking))[:, None] * relevance.shape[1] + ranking.indices
    spot = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    found = (keys[spot] == wanted) & ranking.mask if len(keys) else np.zeros(ranking.shape, np.bool_)
    grades = np.where(found, relevance.grades[spot] if len(keys) else 0.0, 0.0)
    return ranking.with_scores(np.where(ranking.mask, -grades if last else grades, -np.inf))


def summaries(benchmark: Benchmark, parts: Sequence[PartRow]) -> dict[str, Any]:
    """The task's figures before, at best, after each stage and at the end."""

    def figures(by_part: Iterable[Evaluation]) -> dict[str, float]:
        named = dict(zip((part.name for part in parts), by_part, strict=True))
        return benchmark.task.summary(named, benchmark.parts)

    depth = min((len(part.stages) for part in parts), default=0)
    first, main = figures(part.first for part in parts), benchmark.task.card.main
    return {
        "main": main
        if main in first
        else next(iter(first)),  # a task can be asked for other metrics than its usual ones
        "first": first,
        "ceiling": figures(part.ceiling for part in parts),
        "stages": [figures(part.stages[at].evaluation for part in parts) for at in range(depth)],
        "last": figures(part.last for part in parts),
    }
