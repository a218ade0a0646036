"""Choosing parameters on a validation split, and only there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from rerankit.bench.inputs import Contender, ScoreSet, contender, score_set
from rerankit.bench.run import run_part, summaries
from rerankit.errors import InputError, rule
from rerankit.events import track
from rerankit.pipeline import Pipeline
from rerankit.tasks import Benchmark


@dataclass(frozen=True)
class Tuned:
    """The pipeline with the chosen parameters, and how they were chosen."""

    contender: Contender
    record: Mapping[str, Any]


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
    against: Benchmark | None = None,
) -> Tuned:
    """The best of the space's parameters on a validation benchmark.

    space: ``{"parameter": values}`` for a pipeline of one stage, ``{"stage-name.parameter": values}`` or
    ``{"position.parameter": values}`` for more. Every combination is tried, or `trials` random ones of them.
    figure: the task's figure that decides (its main one by default; lower is better for ranks).
    against: the benchmark that the choice is for; it is refused when it is the validation data itself.
    """
    if (
        against is not None
        and validation.checksum == against.checksum
        and validation.task.get_params() == (against.task.get_params())
    ):
        raise InputError("'validation' must not be the data that is tested on (got the same files and parameters)")
    given = contender(pipeline)
    found = scores if isinstance(scores, ScoreSet) else score_set(validation, scores)
    wanted = figure or validation.task.card.main
    tried: list[dict[str, Any]] = []
    for values in track(list(_points(space, trials, seed)), f"tuning {given.label}"):
        made = _with(given.pipeline, values)
        tried.append({"values": values, "figure": _score(validation, found, made, k, wanted)})
    sign = -1 if wanted.rpartition("/")[2] in ("median_rank", "mean_rank") else 1
    best = max(tried, key=lambda each: sign * each["figure"])
    record = {
        "task": validation.task.card.name,
        "params": validation.task.get_params(),
        "sha256": validation.checksum,
        "scores": dict(found.checksums),
        "figure": wanted,
        "method": "grid" if trials is None else f"random, {trials} trials, seed {seed}",
        "k": k,
        "tried": tried,
        "chosen": best["values"],
    }
    return Tuned(Contender(given.label, _with(given.pipeline, best["values"])), record)


def _score(validation: Benchmark, scores: ScoreSet, pipeline: Pipeline, k: int, figure: str) -> float:
    rows = [
        run_part(validation, part, validation.problem(part, scores.problems[part.matrix]), pipeline, k)
        for part in validation.parts
    ]
    summary: dict[str, float] = summaries(validation, rows)["last"]
    if figure not in summary:
        raise InputError(f"'figure' must be one of the task's figures: {', '.join(summary)} (got {figure!r})")
    return summary[figure]


def _points(space: Mapping[str, Sequence[Any]], trials: int | None, seed: int) -> Iterator[dict[str, Any]]:
    if not space or not all(len(values) for values in space.values()):
        raise rule("space", "must name parameters with at least one value each", dict(space))
    if trials is None:
        yield from (dict(zip(space, values, strict=True)) for values in product(*space.values()))
        return
    if trials < 1:
        raise rule("trials", "must be at least 1", trials)
    sizes = [len(values) for values in space.values()]
    total = int(np.prod(sizes))
    chosen = np.random.default_rng(seed).choice(total, min(trials, total), replace=False)
    for number in sorted(chosen.tolist()):
        places = np.unravel_index(number, sizes)
        yield {name: values[int(at)] for (name, values), at in zip(space.items(), places, strict=True)}


def _with(pipeline: Pipeline, values: Mapping[str, Any]) -> Pipeline:
    """The pipeline with parameters changed."""
    changes: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        where, _, parameter = name.rpartition(".")
        changes.setdefault(_position(pipeline, where, name), {})[parameter] = value
    return Pipeline([one.clone(**changes.get(at, {})) for at, one in enumerate(pipeline)])


def _position(pipeline: Pipeline, where: str, name: str) -> int:
    if not where and len(pipeline) == 1:
        return 0
    if where.isdigit() and int(where) < len(pipeline):
        return int(where)
    found = [at for at, one in enumerate(pipeline) if one.name == where]
    if len(found) != 1:
        stages = ", ".join(f"{at} or {one.name}" for at, one in enumerate(pipeline))
        raise InputError(f"'space' must name one stage before the parameter: {stages} (got {name!r})")
    return found[0]
