"""Comparing results: per part of the task, first stage and pipelines in one table with significance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rerankit.bench.result import Result
from rerankit.errors import InputError
from rerankit.looks import Looks
from rerankit.metrics import Evaluation
from rerankit.statistics import Comparison, compare

FIRST = "first stage"


def compare_results(
    results: Sequence[Result],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    parts: Sequence[str] | None = None,
    allow_other_candidates: bool = False,
    independent: bool = False,
    **options: Any,
) -> dict[str, Comparison]:
    """One table per part: the first stage (the baseline unless one is named) and every pipeline.

    All results must be of one task, on the same data, and with the same scores from the same candidates.
    Results of several score sets, such as those of two backbones, have the set's label in front. Each set's first stage
    is a row, and all rows are compared with that of the first set: name another one as `baseline`, or give one set's
    results alone, to see what re-ranking adds to that set. Queries that depend on each other by the task's account,
    such as the captions of one picture, are resampled together, unless `independent` says to take every query on its
    own.
    """
    if not results:
        raise InputError("'results' must hold at least one result (got none)")
    _check_same_task(results)
    known = [part.name for part in results[0].parts]
    wanted = known if parts is None else list(parts)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"'parts' must be parts of the task: {', '.join(known)} (got {', '.join(unknown)})")
    tables = {}
    for name in wanted:
        if not allow_other_candidates:
            _check_same_candidates(results, name)
        systems = {label: found for label, found, _ in _systems(results, name)}
        groups = None if independent else _together(results, name)
        table = compare(systems, baseline=baseline or next(iter(systems)), metrics=metrics, groups=groups, **options)
        tables[name] = replace(table, looks_at={label: looks for label, _, looks in _systems(results, name)})
    return tables


def _together(results: Sequence[Result], part: str) -> tuple[int, ...] | None:
    known = (result.part(part).together for result in results)
    return next((labels for labels in known if labels is not None), None)


def _systems(results: Sequence[Result], part: str) -> list[tuple[str, Evaluation, Looks]]:
    """Label, figures and what was looked at, of the first stages and of every result, in their order."""
    several = len({result.scores["label"] for result in results}) > 1
    systems: dict[str, tuple[Evaluation, Looks]] = {}
    fronts = [f"{result.scores['label']}: " if several else "" for result in results]
    labels = [f"{front}{result.label}" for front, result in zip(fronts, results, strict=True)]
    for front, label, result in zip(fronts, labels, results, strict=True):
        systems.setdefault(f"{front}{FIRST}", (result.part(part).first, Looks()))
        if labels.count(label) > 1:
            label = f"{label}: {_stages(result)}"
        if label in systems:
            label = f"{label} ({result.key[:8]})"
        systems[label] = result.part(part).last, result.part(part).looks_at
    return [(label, *found) for label, found in systems.items()]


def _stages(result: Result) -> str:
    """What tells pipelines of one name apart: their parameters, or the stages when they are several."""
    text = str(result.pipeline["text"]).removeprefix("Pipeline([").removesuffix("])")
    single = re.fullmatch(r"stage\('[^']*'(?:, )?(.*)\)", text)
    return (single[1] or "defaults") if single and "stage(" not in single[1] else text


def _check_same_task(results: Sequence[Result]) -> None:
    first = results[0].task
    for result in results[1:]:
        for name in ("name", "params", "sha256"):
            if result.task[name] != first[name]:
                raise InputError(
                    f"'results' must be of one task on the same data (got {name} {first[name]!r} and "
                    f"{result.task[name]!r})"
                )


def _check_same_candidates(results: Sequence[Result], part: str) -> None:
    pools: dict[str, tuple[str, Result]] = {}
    for result in results:
        row = result.part(part)
        known = pools.setdefault(result.scores["label"], (row.candidates, result))
        if known[0] != row.candidates:
            raise InputError(
                f"'results' must re-rank the same candidates (got '{known[1].label}' with K = {known[1].part(part).k} "
                f"and '{result.label}' with K = {row.k} on '{result.scores['label']}', part '{part}')"
            )
