"""The tables of a report: rows and cells as its templates take them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rerankit.metrics import traits_of
from rerankit.reports.views import Chapter, Shift, System, View, shift
from rerankit.statistics import Cell
from rerankit.statistics.render import first_two, p_value, scale, shown


@dataclass(frozen=True)
class Head:
    """The head of a column of figures."""

    name: str
    text: str
    part: str = ""

    @property
    def better(self) -> str:
        """Which values are better: "higher" or "lower"."""
        return traits_of(self.name).better

    @property
    def sort(self) -> str:
        """The way a first click sorts: the best come first."""
        return "down" if self.better == "higher" else "up"


@dataclass(frozen=True)
class Figure:
    """A cell: the value as it is and as it is shown, what stands below it and what pointing at it shows."""

    value: str = ""
    text: str = ""
    metric: str = ""
    mark: str = ""
    place: int = 0
    """1 for the best of its column, 2 for the second."""
    small: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table."""

    system: System
    cells: tuple[Figure, ...]


def figures(view: View) -> tuple[list[Head], list[Line], list[Figure]]:
    """Heads, a line for each system, and the ceilings below: all metrics of a view, and what re-ranking costs."""
    heads = [Head(metric, shown(metric)) for metric in view.table.metrics]
    columns = [_column(view, metric) for metric in view.table.metrics]
    columns += [
        [_number(each.milliseconds, "{:.3g}") for each in view.systems],
        [_number(each.megabytes, "{:.1f}") for each in view.systems],
    ]
    lines = [Line(system, tuple(column[at] for column in columns)) for at, system in enumerate(view.systems)]
    return heads, lines, [_ceiling(view, metric) for metric in view.table.metrics]


def _column(view: View, metric: str) -> list[Figure]:
    cells = [view.cell(system, metric) for system in view.systems]
    places = _placed([cell.value for cell in cells], metric)
    return [_figure(view, metric, cell, place) for cell, place in zip(cells, places, strict=True)]


def _figure(view: View, metric: str, cell: Cell, place: int) -> Figure:
    interval = " … ".join(view.figure(end, metric) for end in cell.interval)
    text = view.figure(cell.value, metric)
    return Figure(repr(cell.value), text, metric, cell.mark, place, interval, _compared(view, cell, metric))


def _placed(values: Sequence[float], metric: str) -> list[int]:
    """1 for the best values of a metric, 2 for the second best."""
    return first_two([traits_of(metric).sign * value for value in values])


def _compared(view: View, cell: Cell, metric: str) -> str:
    effect = cell.effect
    if cell.difference is None or cell.difference_interval is None or effect is None:
        return ""
    low, high = (view.figure(end, metric, sign=True) for end in cell.difference_interval)
    change = f"{shown(metric)} {view.figure(cell.difference, metric, sign=True)} ({low} … {high})"
    counts = f"better on {effect.wins:,}, same on {effect.ties:,}, worse on {effect.losses:,} queries"
    return f"{change}, p {p_value(cell.adjusted)}; {counts}"


def _ceiling(view: View, metric: str) -> Figure:
    value = view.ceiling(metric)
    return Figure(repr(value), view.figure(value, metric), metric)


def _number(value: float | None, small: str) -> Figure:
    if value is None:
        return Figure()
    return Figure(repr(value), f"{value:,.0f}" if value >= 100 else small.format(value))


def overview(chapter: Chapter) -> tuple[list[Head], list[Line]]:
    """A row for each pipeline, a column for each part under each backbone, and one for the task's own main figure."""
    heads: list[Head] = []
    columns: list[dict[str, Figure]] = []
    backbones = list(dict.fromkeys(view.scores for view in chapter.views))
    for view in chapter.views:
        heads.append(Head(view.metric, view.shown, f"{view.scores}, {view.part}" if len(backbones) > 1 else view.part))
        found = zip(view.systems, _column(view, view.metric), strict=True)
        columns.append({system.key: replace(cell, small="") for system, cell in found})
    for scores in backbones:
        name, column = _summary(chapter, scores)
        if column:
            heads.append(Head(name, shown(name.rpartition("/")[2]), scores if len(backbones) > 1 else "all parts"))
            columns.append(column)
    systems = {system.key: system for view in chapter.views for system in view.systems}
    order = sorted(systems.values(), key=lambda each: _order(heads[-1], columns[-1].get(each.key)))
    return heads, [Line(each, tuple(column.get(each.key, Figure()) for column in columns)) for each in order]


def _order(head: Head, cell: Figure | None) -> float:
    return math.inf if cell is None else -traits_of(head.name).sign * float(cell.value)


def _summary(chapter: Chapter, scores: str) -> tuple[str, dict[str, Figure]]:
    """The task's main figure of each pipeline; nothing where it is one of the parts' own."""
    own = [result for result in chapter.results if result.scores["label"] == scores]
    name = str(own[0].summary["main"])
    if name in {f"{view.part}/{view.metric}" for view in chapter.views} or name not in own[0].summary["first"]:
        return name, {}
    keys = {each.result.key: each.key for view in chapter.views for each in view.pipelines if each.result is not None}
    values: dict[str, float] = {chapter.views[0].first.key: own[0].summary["first"][name]}
    values |= {keys[result.key]: result.summary["last"][name] for result in own}
    factor, digits = scale(name)
    places = _placed(list(values.values()), name.rpartition("/")[2])
    return name, {
        key: Figure(repr(value), f"{factor * value:.{digits}f}", name, place=place)
        for (key, value), place in zip(values.items(), places, strict=True)
    }


@dataclass(frozen=True)
class Moves:
    """How one pipeline moved the queries' ranks, as a coloured table."""

    key: str
    label: str
    shift: Shift
    cells: tuple[tuple[Mapping[str, Any], ...], ...]


def moves(view: View) -> list[Moves]:
    """For each pipeline whose results know ranks."""
    found = []
    for system in view.pipelines:
        known = shift(view.row.first.ranks, system.last.ranks, view.row.k)
        if known is not None:
            found.append(Moves(system.key, system.label, known, _shift_cells(known)))
    return found


def _shift_cells(known: Shift) -> tuple[tuple[Mapping[str, Any], ...], ...]:
    """Counts with the depth of their colour, and whether they are of queries that gained or lost."""
    most = math.log1p(max(map(max, known.counts)))

    def cell(new: int, old: int, count: int) -> Mapping[str, Any]:
        kind = "zero" if not count else "same" if new == old else "up" if new < old else "down"
        tip = f"{count:,} queries from {known.names[old]} to {known.names[new]}" if count else ""
        return {
            "count": count,
            "weight": round(6 + 84 * math.log1p(count) / most) if count else 0,
            "kind": kind,
            "tip": tip,
        }

    return tuple(tuple(cell(new, old, count) for old, count in enumerate(row)) for new, row in enumerate(known.counts))


def hub_lines(view: View) -> list[Line]:
    """Skewness, items that never come up, and the greatest hubs, for each system that knows them."""
    lines = []
    for system in view.systems:
        found = system.hubness
        if found is not None:
            cells = [
                Figure(repr(found.skewness), f"{found.skewness:.2f}"),
                Figure(repr(found.never), f"{found.never:,}"),
                Figure(repr(found.most), f"{found.most:,} ×"),
                Figure("", ", ".join(name for name, _ in found.hubs[:3])),
            ]
            lines.append(Line(system, tuple(cells)))
    return lines
