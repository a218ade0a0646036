"""A result as rows for people: quality before, after and at best, cost, what it looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.bench.result import Result
from rerankit.errors import InputError
from rerankit.looks import Looks
from rerankit.metrics import Evaluation, measure
from rerankit.statistics.render import html, latex, markdown, plain, scale
from rerankit.tasks import Benchmark


def rows(results: Sequence[Result], figures: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row per result and stage; figures are the task's own, the main one by default.

    Fractions are in percent. "ceiling" is what the best order of the candidates would reach.
    """
    made: list[dict[str, Any]] = []
    for result in results:
        wanted = list(figures or [result.summary["main"]])
        before = _figures(result.summary["first"], wanted)
        front = {"scores": result.scores["label"]}
        depth = {"k": max((part.k for part in result.parts), default=0)}
        ceiling = {f"ceiling {name}": value for name, value in _figures(result.summary["ceiling"], wanted).items()}
        named = {"pipeline": "first stage", "looks at": ""}
        made.append({**front, **named, **depth, **before, **ceiling, **_cost(result, None)})
        for at, summary in enumerate(result.summary["stages"]):
            name = result.label if len(result.summary["stages"]) == 1 else f"{result.label} [{at + 1}]"
            looks = Looks.union(part.stages[at].looks_at for part in result.parts)
            named = {"pipeline": name, "looks at": looks.words}
            made.append({**front, **named, **depth, **_figures(summary, wanted), **ceiling, **_cost(result, at)})
    return list({tuple(row.items()): row for row in made}.values())


def figure_names(benchmark: Benchmark) -> list[str]:
    """The task's figures, which its summary of evaluations names, all of them 0."""
    blank = {}
    for part in benchmark.parts:
        names = [measure(name).name for name in benchmark.metrics(part)]
        values = dict.fromkeys(names, np.zeros(part.relevance.shape[0]))
        blank[part.name] = Evaluation(dict.fromkeys(names, 0.0), values)
    return list(benchmark.task.summary(blank, benchmark.parts))


def check_figures(wanted: Sequence[str], known: Collection[str]) -> None:
    """Refuse figures that a task does not have."""
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"'figures' must be figures of the task: {', '.join(known)} (got {', '.join(unknown)})")


def _figures(summary: dict[str, float], wanted: Sequence[str]) -> dict[str, float]:
    check_figures(wanted, summary)
    return {name: scale(name)[0] * summary[name] for name in wanted}


def _cost(result: Result, stage: int | None) -> dict[str, Any]:
    if stage is None:
        return {"seconds": None, "ms/query": None, "peak MB": None, "GPU MB": None}
    found = [part.stages[stage] for part in result.parts]
    ram = [row.peak_ram for row in found if row.peak_ram is not None]
    gpu = [row.peak_gpu for row in found if row.peak_gpu is not None]
    queries = sum(part.queries for part in result.parts)
    seconds = sum(row.seconds for row in found)
    return {
        "seconds": seconds,
        "ms/query": 1000 * seconds / max(queries, 1),
        "peak MB": max(ram) / 1e6 if ram else None,
        "GPU MB": max(gpu) / 1e6 if gpu else None,
    }


def table(results: Sequence[Result], figures: Sequence[str] | None = None, style: str = "text") -> str:
    """The rows as "text", "md", "latex" or "html"."""
    styles = {"text": plain, "md": markdown, "latex": latex, "html": html}
    checks.choice("style", style, styles)
    found = text_rows(results, figures)
    head = list(found[0]) if found else []
    return styles[style](head, [list(row.values()) for row in found], names_of(found))


def names_of(found: Sequence[Mapping[str, str]]) -> int:
    """How many columns at the front of `text_rows` name a row."""
    return sum(name in found[0] for name in ("scores", "pipeline", "looks at")) if found else 0


def text_rows(results: Sequence[Result], figures: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows as texts; columns that are empty all the way, such as a GPU's memory without one, are left out."""
    found = [{name: _text(value) for name, value in row.items()} for row in rows(results, figures)]
    return [{name: row[name] for name in row if any(each[name] for each in found)} for row in found]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
