"""A result as rows for people: quality before, after and at best, cost, flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rerankit.bench.result import Result
from rerankit.statistics.render import latex, markdown, plain, scale


def rows(results: Sequence[Result], figures: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row per result and stage; figures are the task's own, the main one by default.

    Fractions are in percent. "ceiling" is what the best order of the candidates would reach.
    """
    made: list[dict[str, Any]] = []
    for result in results:
        asked = list(figures or [result.summary["main"]])
        before = _figures(result.summary["first"], asked)
        common = {"scores": result.scores["label"], "k": max((part.k for part in result.parts), default=0)}
        ceiling = {f"ceiling {name}": value for name, value in _figures(result.summary["ceiling"], asked).items()}
        made.append({**common, "pipeline": "first stage", **before, **ceiling, **_cost(result, None)})
        for at, summary in enumerate(result.summary["stages"]):
            name = result.label if len(result.summary["stages"]) == 1 else f"{result.label} [{at + 1}]"
            made.append({**common, "pipeline": name, **_figures(summary, asked), **ceiling, **_cost(result, at)})
    return list({tuple(row.items()): row for row in made}.values())


def _figures(summary: dict[str, float], asked: Sequence[str]) -> dict[str, float]:
    return {name: scale(name)[0] * summary[name] for name in asked}


def _cost(result: Result, stage: int | None) -> dict[str, Any]:
    if stage is None:
        return {"seconds": None, "ms/query": None, "peak MB": None, "GPU MB": None, "flags": ""}
    found = [part.stages[stage] for part in result.parts]
    ram = [row.peak_ram for row in found if row.peak_ram is not None]
    gpu = [row.peak_gpu for row in found if row.peak_gpu is not None]
    flags = [name for name in ("transductive", "bank", "labels") if any(getattr(row, name) for row in found)]
    queries = sum(part.queries for part in result.parts)
    seconds = sum(row.seconds for row in found)
    return {
        "seconds": seconds,
        "ms/query": 1000 * seconds / max(queries, 1),
        "peak MB": max(ram) / 1e6 if ram else None,
        "GPU MB": max(gpu) / 1e6 if gpu else None,
        "flags": ", ".join(flags),
    }


def table(results: Sequence[Result], figures: Sequence[str] | None = None, style: str = "text") -> str:
    """The rows as text, Markdown or LaTeX."""
    found = rows(results, figures)
    head = list(found[0]) if found else []
    cells = [[_text(row[name]) for name in head] for row in found]
    return {"text": plain, "markdown": markdown, "latex": latex}[style](head, cells)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
