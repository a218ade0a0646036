"""Choosing parameters on a validation split, and only there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rerankit import bars
from rerankit.bench.draws import draws
from rerankit.bench.inputs import Contender, ScoreSet, contender, score_set
from rerankit.bench.known import code_behind, run_key, run_name
from rerankit.bench.run import HERE, Where, run_part, summaries
from rerankit.bench.space import with_values
from rerankit.checksums import found_by
from rerankit.errors import FormatError, InputError
from rerankit.events import emit, track
from rerankit.files import atomic
from rerankit.metrics import traits_of
from rerankit.pipelines.pipeline import Pipeline
from rerankit.reading import read_json
from rerankit.tasks import Benchmark


@dataclass(frozen=True)
class TuningResult:
    """The pipeline with the chosen parameters, and how they were chosen."""

    contender: Contender
    record: Mapping[str, Any]


def _check_other_data(validation: Benchmark, against: Benchmark | None) -> None:
    if against is None or validation.checksum != against.checksum:
        return
    if validation.task.get_params() == against.task.get_params():
        raise InputError("'validation' must not be the data that is tested on (got the same files and parameters)")


def tune(
    pipeline: Any,
    space: Mapping[str, Sequence[Any]],
    validation: Benchmark,
    scores: Any,
    *,
    k: int = 100,
    figure: str | None = None,
    trials: int | None = None,
    seed: int = 0,
    sampler: Any = "random",
    against: Benchmark | None = None,
    out: str | Path | None = None,
    progress: bool = False,
    engine: Any = None,
    shard_size: int | None = None,
) -> TuningResult:
    """The best of the space's parameters on a validation benchmark.

    space: ``{"parameter": values}`` for a pipeline of one stage, ``{"stage-name.parameter": values}`` or
    ``{"position.parameter": values}`` for more. Every combination is tried, or `trials` of them that `sampler` chooses.
    sampler: ``"random"``, ``"tpe"`` (by the figures of those before; extra ``optuna``), both by `seed`, or a sampler of
    optuna.
    figure: the task's figure that decides (its main one by default; lower is better where its metric says so).
    against: the benchmark that the choice is for; it is refused when it is the validation data itself.
    out: a folder that keeps what was tried: a search that is interrupted or asked for again does not repeat it.
    progress: draw bars on stderr that say how far it is.
    engine, shard_size: where it is worked, as in `bench`.
    """
    _check_other_data(validation, against)
    given = contender(pipeline)
    found = scores if isinstance(scores, ScoreSet) else score_set(validation, scores)
    where = Where.of(engine, shard_size)
    wanted = figure or validation.task.card.main
    drawn = draws(space, trials, seed, sampler, traits_of(wanted).better)
    known = FoundFigures.of(out, validation, found, given, k, wanted)
    tried: list[dict[str, Any]] = []
    with bars.progress(progress):
        for values in track(drawn, f"tuning {given.label}"):
            made = with_values(given.pipeline, values)
            figure_of = known.figure(values, partial(_score, validation, found, made, k, wanted, where))
            tried.append({"values": values, "figure": figure_of})
            drawn.tell(figure_of)
    best = (min if traits_of(wanted).better == "lower" else max)(tried, key=lambda each: each["figure"])
    record = {
        "task": validation.task.card.name,
        "params": validation.task.get_params(),
        "sha256": validation.checksum,
        "scores": dict(found.checksums),
        "figure": wanted,
        "method": drawn.method,
        "k": k,
        "tried": tried,
        "chosen": best["values"],
    }
    tuned = TuningResult(Contender(given.label, with_values(given.pipeline, best["values"])), record)
    emit("tuned", f"{given.label}: {wanted}", outcome=tuned, task=validation.task.card.name)
    return tuned


@dataclass
class FoundFigures:
    """Figures that a search has found so far, in a file that survives an interruption."""

    path: Path | None
    figures: dict[str, float]

    @classmethod
    def of(
        cls, out: str | Path | None, validation: Benchmark, scores: ScoreSet, given: Contender, k: int, figure: str
    ) -> FoundFigures:
        """What is known of one pipeline on one validation set; nothing where the file is absent or damaged."""
        if out is None:
            return cls(None, {})
        task = (validation.task.card.name, validation.checksum, validation.task.get_params())
        code = code_behind(validation, given.pipeline)
        found = {name: found_by(given.pipeline, problem) for name, problem in scores.problems.items()}
        key = run_key(*task, dict(scores.checksums), given.checksum, k, figure, code, found)
        path = Path(out) / f".{run_name(validation, scores, given, key)}.tuning"
        try:
            kept = read_json(path, dict)
        except FormatError:
            kept = {}
        return cls(path, {name: value for name, value in kept.items() if isinstance(value, float)})

    def figure(self, values: Mapping[str, Any], find: Callable[[], float]) -> float:
        """The figure of some values; found now, and kept, when it is not known."""
        name = json.dumps(values, sort_keys=True, default=str)
        if name not in self.figures:
            self.figures[name] = find()
            if self.path is not None:
                with atomic(self.path) as temporary:
                    temporary.write_text(json.dumps(self.figures), encoding="utf-8")
        return self.figures[name]


def _score(
    validation: Benchmark, scores: ScoreSet, pipeline: Pipeline, k: int, figure: str, where: Where = HERE
) -> float:
    rows = [
        run_part(validation, part, validation.problem(part, scores.problems[part.matrix]), pipeline, k, where=where)
        for part in validation.parts
    ]
    summary: dict[str, float] = summaries(validation, rows)["last"]
    if figure not in summary:
        raise InputError(f"'figure' must be one of the task's figures: {', '.join(summary)} (got {figure!r})")
    return summary[figure]
