"""Several systems on the same queries: one table with intervals, differences and what is significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from rerankit import checks
from rerankit.errors import InputError, rule, unknown_name
from rerankit.looks import Looks
from rerankit.metrics import Evaluation, Measure, measure
from rerankit.statistics.draws import Array
from rerankit.statistics.resampling import Summary, bootstrap, holm, paired_bootstrap, randomisation, student_t

Test = Literal["randomisation", "bootstrap", "student-t"]
TESTS: tuple[Test, ...] = ("randomisation", "bootstrap", "student-t")


@dataclass(frozen=True)
class Effect:
    """How two systems differ query by query: the second is better, the same, worse; Cohen's d of the differences."""

    wins: int
    ties: int
    losses: int
    size: float


@dataclass(frozen=True)
class Cell:
    """One system on one metric; the baseline itself has no difference, p or effect."""

    system: str
    metric: str
    value: float
    interval: tuple[float, float]
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted: float | None = None
    effect: Effect | None = None
    mark: str = ""
    """"+" significantly better than the baseline, "−" worse, "" neither."""


@dataclass(frozen=True)
class Comparison:
    """Systems × metrics against a baseline; `cells` in the order of systems, then metrics."""

    systems: tuple[str, ...]
    metrics: tuple[str, ...]
    baseline: str
    test: str
    level: float
    queries: int
    cells: tuple[Cell, ...]
    groups: int | None = None
    """How many groups of queries were resampled as a whole; None: each query on its own."""
    looks_at: Mapping[str, Looks] = field(default_factory=dict)
    """What systems looked at beyond a query and its candidates."""
    least_p: float = 0.0
    """Below this no adjusted p-value can be, with so many tests and so few samples."""

    def cell(self, system: str, metric: str) -> Cell:
        """One cell of the table."""
        for each in self.cells:
            if (each.system, each.metric) == (system, metric):
                return each
        raise unknown_name("cell", f"{system}/{metric}", [f"{c.system}/{c.metric}" for c in self.cells])

    def render(self, style: str = "text") -> str:
        """The table as "text", "md", "latex", "csv" or "html"."""
        from rerankit.statistics.render import render

        return render(self, style)

    def __repr__(self) -> str:
        return self.render()

    def _repr_html_(self) -> str:
        return self.render("html")


def compare(
    systems: Mapping[str, Evaluation],
    *,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    test: Test = "randomisation",
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
    groups: Any = None,
) -> Comparison:
    """Compare systems that were evaluated on the same queries.

    Every figure has its bootstrap interval, every difference to the baseline (the first system by default) a
    paired bootstrap interval and a p-value of the chosen test. p-values are adjusted by Holm's method over the
    whole table; a mark says that the adjusted one is below 1 − level.
    groups: one label per query; queries of one label, such as the captions of one picture, depend on each other
    and are drawn and swapped together (None: every query is on its own).

    >>> import numpy as np
    >>> from rerankit import evaluate
    >>> good, bad = np.eye(40), np.fliplr(np.eye(40))
    >>> table = compare({"bad": evaluate(bad, range(40)), "good": evaluate(good, range(40))}, metrics=["success@1"])
    >>> table.cell("good", "success@1").mark
    '+'
    """
    if not isinstance(systems, Mapping):
        raise rule("systems", "must map names to evaluations", type(systems).__name__)
    names = tuple(systems)
    if len(names) < 1:
        raise rule("systems", "must hold at least one system", "none")
    first = names[0] if baseline is None else checks.choice("baseline", baseline, names)
    checks.choice("test", test, TESTS)
    _check_same_queries(systems, first)
    wanted = [measure(name) for name in (metrics if metrics is not None else tuple(systems[first]))]
    labels = _counted(groups, systems[first])
    method = _Method(test, level, {"samples": samples, "seed": seed, "groups": labels})
    cells = [_cell(name, systems, first, each, method) for name in names for each in wanted]
    return Comparison(
        names,
        tuple(each.name for each in wanted),
        first,
        test,
        level,
        systems[first].queries,
        tuple(_adjusted(cells, wanted, level)),
        None if labels is None else len(set(labels)),
        least_p=_LEAST[test] * (len(names) - 1) * len(wanted) / (samples + 1),
    )


_LEAST: dict[str, int] = {"randomisation": 1, "bootstrap": 2, "student-t": 0}
"""The least p-value of each test, as a share of its samples and one."""


class _Method(NamedTuple):
    """How systems are compared: the test, the level of intervals, and what is drawn."""

    test: Test
    level: float
    draws: dict[str, Any]


def _cell(name: str, systems: Mapping[str, Evaluation], baseline: str, each: Measure, method: _Method) -> Cell:
    values = _values(systems[name], each, name)
    summary: Summary = each.metric.traits.summary
    figure = each.summary(values)
    cell = Cell(name, each.name, figure, bootstrap(values, summary=summary, level=method.level, **method.draws))
    if name == baseline:
        return cell
    other = _values(systems[baseline], each, baseline)
    low, high, p = paired_bootstrap(other, values, summary=summary, level=method.level, **method.draws)
    if method.test == "randomisation":
        p = randomisation(other, values, summary=summary, **method.draws)
    elif method.test == "student-t":
        p = student_t(other, values, groups=method.draws["groups"])
    return replace(
        cell,
        difference=figure - each.summary(other),
        difference_interval=(low, high),
        p=p,
        effect=effect(other, values, better=each.metric.traits.better),
    )


def effect(first: Array, second: Array, *, better: Literal["higher", "lower"] = "higher") -> Effect:
    """How the second system's values differ from the first's, query by query."""
    gain = (second - first) * (1.0 if better == "higher" else -1.0)
    spread = float(gain.std(ddof=1)) if len(gain) > 1 else 0.0
    wins, losses = int(np.count_nonzero(gain > 0)), int(np.count_nonzero(gain < 0))
    return Effect(wins, len(gain) - wins - losses, losses, float(gain.mean()) / spread if spread else 0.0)


def _adjusted(cells: Sequence[Cell], wanted: Sequence[Measure], level: float) -> list[Cell]:
    tested = [at for at, cell in enumerate(cells) if cell.p is not None]
    sign = {each.name: each.metric.traits.sign for each in wanted}
    done = list(cells)
    for at, p in zip(tested, holm([cells[at].p or 0.0 for at in tested]), strict=True):
        gain = sign[cells[at].metric] * (cells[at].difference or 0.0)
        mark = "" if p >= 1 - level or gain == 0 else "+" if gain > 0 else "−"
        done[at] = replace(cells[at], adjusted=float(p), mark=mark)
    return done


def _values(found: Evaluation, each: Measure, name: str) -> Array:
    if each.name not in found.per_query:
        raise InputError(f"system '{name}' was not evaluated on '{each.name}' (got {', '.join(found)})")
    values = np.asarray(found.per_query[each.name])
    return values[~np.isnan(values)]


def _counted(groups: Any, found: Evaluation) -> list[Any] | None:
    """The labels of the queries that count; None when no two of them share one."""
    if groups is None:
        return None
    labels = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if len(labels) != found.queries:
        raise rule("groups", f"must have one label for each of the {found.queries} queries", f"{len(labels)} labels")
    skipped = np.isnan(next(iter(found.per_query.values())))
    kept = [label for label, out in zip(labels, skipped, strict=True) if not out]
    return kept if len(set(kept)) < len(kept) else None


def _check_same_queries(systems: Mapping[str, Evaluation], baseline: str) -> None:
    known = systems[baseline]
    for name, found in systems.items():
        if found.queries != known.queries:
            raise InputError(
                f"'{name}' must be about the {known.queries} queries of '{baseline}' (got {found.queries})"
            )
        if found.query_ids is not None and known.query_ids is not None and found.query_ids != known.query_ids:
            other = [q for q, k in zip(found.query_ids, known.query_ids, strict=True) if q != k]
            raise InputError(
                f"'{name}' must have the queries of '{baseline}' in their order (got {len(other)} others, "
                f"such as {other[:3]})"
            )
        if (found.ties, found.empty, found.skipped) != (known.ties, known.empty, known.skipped):
            raise InputError(
                f"'{name}' and '{baseline}' must be evaluated alike (got ties {found.ties!r} and {known.ties!r}, "
                f"empty {found.empty!r} and {known.empty!r}, {found.skipped} and {known.skipped} queries skipped)"
            )
