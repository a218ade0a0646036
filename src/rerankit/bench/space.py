"""A space of parameters: which values each pipeline is tried with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rerankit.bench.inputs import Contender
from rerankit.errors import InputError
from rerankit.pipelines.pipeline import Pipeline


def spaces(
    pipelines: Sequence[Pipeline], space: Mapping[str, Sequence[Any]], argument: str = "space"
) -> list[dict[str, Sequence[Any]]]:
    """The part of a space that is about each of several pipelines: what names a stage is for those that have it."""
    own = [
        {name: values for name, values in space.items() if _concerns(each, name.rpartition(".")[0])}
        for each in pipelines
    ]
    lost = sorted(set(space) - {name for each in own for name in each})
    if lost:
        stages = ", ".join(dict.fromkeys(one.name for each in pipelines for one in each))
        raise InputError(f"'{argument}' must name stages of the pipelines: {stages} (got {', '.join(lost)})")
    return own


def _concerns(pipeline: Pipeline, where: str) -> bool:
    return not where or where.isdigit() or any(one.name == where for one in pipeline)


def changed(contenders: Sequence[Contender], values: Mapping[str, Any], argument: str = "values") -> list[Contender]:
    """The contenders with parameters changed, each in those that have the stage that a name begins with."""
    own = spaces([each.pipeline for each in contenders], {name: [value] for name, value in values.items()}, argument)
    return [
        replace(each, pipeline=with_values(each.pipeline, {name: value for name, (value,) in one.items()}, argument))
        for each, one in zip(contenders, own, strict=True)
    ]


def with_values(pipeline: Pipeline, values: Mapping[str, Any], argument: str = "space") -> Pipeline:
    """The pipeline with parameters changed."""
    changes: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        where, _, parameter = name.rpartition(".")
        changes.setdefault(_position(pipeline, where, name, argument), {})[parameter] = value
    return Pipeline([one.clone(**changes.get(at, {})) for at, one in enumerate(pipeline)])


def _position(pipeline: Pipeline, where: str, name: str, argument: str) -> int:
    if not where and len(pipeline) == 1:
        return 0
    if where.isdigit() and int(where) < len(pipeline):
        return int(where)
    found = [at for at, one in enumerate(pipeline) if one.name == where]
    if len(found) != 1:
        stages = ", ".join(f"{at} or {one.name}" for at, one in enumerate(pipeline))
        raise InputError(f"'{argument}' must name one stage before the parameter: {stages} (got {name!r})")
    return found[0]
