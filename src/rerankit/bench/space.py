"""A space of parameters: which values each pipeline is tried with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from rerankit.errors import InputError, rule
from rerankit.pipelines.pipeline import Pipeline


def spaces(pipelines: Sequence[Pipeline], space: Mapping[str, Sequence[Any]]) -> list[dict[str, Sequence[Any]]]:
    """The part of a space that is about each of several pipelines: what names a stage is for those that have it."""
    own = [
        {name: values for name, values in space.items() if _concerns(each, name.rpartition(".")[0])}
        for each in pipelines
    ]
    lost = sorted(set(space) - {name for each in own for name in each})
    if lost:
        stages = ", ".join(dict.fromkeys(one.name for each in pipelines for one in each))
        raise InputError(f"'space' must name stages of the pipelines: {stages} (got {', '.join(lost)})")
    return own


def _concerns(pipeline: Pipeline, where: str) -> bool:
    return not where or where.isdigit() or any(one.name == where for one in pipeline)


def points(space: Mapping[str, Sequence[Any]], trials: int | None, seed: int) -> Iterator[dict[str, Any]]:
    """Every combination of the space's values, or `trials` random ones."""
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


def with_values(pipeline: Pipeline, values: Mapping[str, Any]) -> Pipeline:
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
