"""What a report shows, as values: one view for each part of a task under each backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rerankit.bench import PartRow, Result, compare_results
from rerankit.errors import InputError, rule
from rerankit.looks import Looks
from rerankit.metrics import Evaluation, Hubness, traits_of
from rerankit.statistics import Cell, Comparison
from rerankit.statistics.render import scale, shown

FIRST = "first"
KINDS = {
    FIRST: "first stage",
    "alone": "looks at one query at a time",
    "bank": "looks at a bank of other queries",
    "others": "looks at the other test queries",
}


@dataclass(frozen=True)
class System:
    """The first stage, or a pipeline; `key` is its name within the page."""

    key: str
    label: str
    looks_at: Looks
    last: Evaluation
    row: PartRow
    result: Result | None = None

    @property
    def kind(self) -> str:
        """One of `KINDS`: by what it looks at besides a query and its candidates."""
        if self.result is None:
            return FIRST
        return "others" if self.looks_at.queries else "bank" if self.looks_at.bank else "alone"

    @property
    def labels(self) -> bool:
        """Whether it was fitted with labels."""
        return self.looks_at.labels

    @property
    def milliseconds(self) -> float | None:
        """Of re-ranking a query."""
        return 1000 * sum(stage.seconds_per_query for stage in self.row.stages) if self.result else None

    @property
    def megabytes(self) -> float | None:
        """Held at once by the stage that held most."""
        peaks = [stage.peak_ram for stage in self.row.stages if stage.peak_ram is not None]
        return max(peaks) / 1e6 if self.result and peaks else None

    @property
    def hubness(self) -> Hubness | None:
        """How often items come up in its answers."""
        return self.row.hubness if self.result is None or not self.row.stages else self.row.stages[-1].hubness


@dataclass(frozen=True)
class View:
    """One part of a task under one backbone: all systems, the best first by the main metric."""

    key: str
    scores: str
    part: str
    metric: str
    row: PartRow
    table: Comparison
    systems: tuple[System, ...]

    @property
    def first(self) -> System:
        """The first stage."""
        return next(each for each in self.systems if each.kind == FIRST)

    @property
    def pipelines(self) -> tuple[System, ...]:
        """All but the first stage."""
        return tuple(each for each in self.systems if each.kind != FIRST)

    def cell(self, system: System, metric: str | None = None) -> Cell:
        """A system's cell of a metric, the main one by default."""
        return self.table.cell(system.label, metric or self.metric)

    def ceiling(self, metric: str) -> float:
        """What the best order of the candidates would reach."""
        return self.row.ceiling[metric]

    def figure(self, value: float, metric: str | None = None, *, sign: bool = False) -> str:
        """A value of a metric as it is shown: fractions in percent."""
        factor, digits = scale(metric or self.metric)
        return f"{factor * value:{'+' if sign else ''}.{digits}f}".replace("-", "−")

    @property
    def shown(self) -> str:
        """The main metric as papers write it."""
        return shown(self.metric)

    @property
    def cuts(self) -> tuple[str, ...]:
        """Up to three metrics that are fractions: success at 1, 5 and 10 where they are there."""
        fractions = [name for name in self.table.metrics if scale(name)[0] == 100 and traits_of(name).sign > 0]
        best = [name for name in fractions if name.startswith("success@")] or fractions
        return tuple(best[:3])


@dataclass(frozen=True)
class Chapter:
    """One task with all its views."""

    key: str
    task: Mapping[str, Any]
    results: tuple[Result, ...]
    views: tuple[View, ...] = field(default=())


def chapters(results: Sequence[Result], metric: str | None = None, **options: Any) -> list[Chapter]:
    """Results by task, backbone and part; `options` are those of `compare_results`.

    metric: by which systems are sorted; the task's main figure where a part has it, else its first metric.
    """
    if not results:
        raise rule("results", "must hold at least one result", "none")
    found = list({result.key: result for result in results}.values())
    by_task: dict[str, list[Result]] = {}
    for result in found:
        by_task.setdefault(json.dumps([result.task[name] for name in ("name", "params", "sha256")]), []).append(result)
    made = []
    for number, own in enumerate(by_task.values()):
        key = f"t{number}"
        made.append(Chapter(key, own[0].task, tuple(own), tuple(_views(key, own, metric, options))))
    return made


def _views(chapter: str, results: Sequence[Result], metric: str | None, options: Mapping[str, Any]) -> list[View]:
    by_scores: dict[str, list[Result]] = {}
    for result in results:
        by_scores.setdefault(result.scores["label"], []).append(result)
    keys = {
        result.key: f"s{number}"
        for number, label in enumerate(dict.fromkeys(each.label for each in results))
        for result in results
        if result.label == label
    }
    views = []
    for number, (scores, own) in enumerate(by_scores.items()):
        for place, (part, table) in enumerate(compare_results(own, **options).items()):
            main = _main(own[0], table, metric)
            views.append(_view(f"{chapter}v{number}p{place}", scores, part, main, table, own, keys))
    return views


def _main(result: Result, table: Comparison, metric: str | None) -> str:
    if metric is not None:
        if metric not in table.metrics:
            raise InputError(f"'metric' must be a metric of the results: {', '.join(table.metrics)} (got {metric})")
        return metric
    name = str(result.summary["main"]).rpartition("/")[2]
    usable = name in table.metrics and name != "rsum"
    return name if usable else table.metrics[0]


def _view(
    key: str, scores: str, part: str, metric: str, table: Comparison, results: Sequence[Result], keys: Mapping[str, str]
) -> View:
    row = results[0].part(part)
    systems = [System("s-first", table.systems[0], Looks(), row.first, row)]
    for label, result in zip(table.systems[1:], results, strict=True):
        own = result.part(part)
        systems.append(System(keys[result.key], label, own.looks_at, own.last, own, result))
    sign = traits_of(metric).sign
    systems.sort(key=lambda each: -sign * table.cell(each.label, metric).value)
    return View(key, scores, part, metric, row, table, tuple(systems))


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which of (cost, quality) no other beats in both, by cost.

    >>> pareto([(1.0, 5.0), (2.0, 4.0), (3.0, 7.0)])
    [0, 2]
    """
    order = sorted(range(len(points)), key=lambda at: (points[at][0], -points[at][1]))
    kept: list[int] = []
    for at in order:
        if not kept or points[at][1] > points[kept[-1]][1]:
            kept.append(at)
    return kept


@dataclass(frozen=True)
class Shift:
    """Queries by the rank of their first right item before (columns) and after (rows of `counts`)."""

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    gained: int
    same: int
    lost: int
    entered: int
    """How many came to the first place."""
    left: int
    """How many lost it."""


def shift(before: Any, after: Any, k: int) -> Shift | None:
    """How the ranks of queries moved, with a bin for ranks beyond `k` and for what is not listed; None when unknown."""
    if before is None or after is None:
        return None
    edges = [edge for edge in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if edge < k] + [k]
    names = [
        f"{low + 1}–{high}" if low + 1 < high else f"{high}" for low, high in zip([0, *edges], edges, strict=False)
    ]
    counted = ~(np.isnan(before) & np.isnan(after))
    old, new = (np.where(np.isnan(ranks), np.inf, ranks)[counted] for ranks in (before, after))
    counts = np.zeros((len(edges) + 1, len(edges) + 1), np.int64)
    np.add.at(counts, (np.searchsorted(edges, new), np.searchsorted(edges, old)), 1)
    return Shift(
        (*names, f"> {k}"),
        tuple(map(tuple, counts.tolist())),
        int(np.count_nonzero(new < old)),
        int(np.count_nonzero(new == old)),
        int(np.count_nonzero(new > old)),
        int(np.count_nonzero((new <= 1) & (old > 1))),
        int(np.count_nonzero((new > 1) & (old <= 1))),
    )
