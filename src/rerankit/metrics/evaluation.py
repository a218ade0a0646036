"""`Evaluation`: the figures of one system on one set of queries, and the values they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rerankit import checks
from rerankit.errors import InputError, rule
from rerankit.events import emit
from rerankit.metrics.lists import FloatArray
from rerankit.metrics.places import Places
from rerankit.metrics.rank import first_rank
from rerankit.metrics.registry import Measure, measure

Empty = Literal["error", "skip", "zero"]
EMPTY: tuple[Empty, ...] = ("error", "skip", "zero")
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Evaluation(Mapping[str, float]):
    """Figures by metric name; `per_query` holds the value of each query (queries,).

    Queries without a relevant item are NaN in `per_query` and left out of the figures when they were skipped;
    `skipped` says how many. `ranks` (queries,) is where the first relevant item of each query stands, from 1; NaN
    where none is listed.
    """

    figures: Mapping[str, float]
    per_query: Mapping[str, FloatArray]
    query_ids: tuple[Any, ...] | None = None
    ties: str = "expected"
    empty: str = "error"
    skipped: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)
    """`listed`: the length of the lists, where one of the metrics looks further; `beyond` names these metrics."""
    ranks: FloatArray | None = None

    def __getitem__(self, name: str) -> float:
        found = self.figures.get(name)
        return self.figures[measure(name).name] if found is None else found

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    @property
    def queries(self) -> int:
        """How many queries were evaluated, skipped ones included."""
        return len(next(iter(self.per_query.values())))

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON; a skipped query's value is None."""
        return {
            "figures": dict(self.figures),
            "per_query": {name: _listed(values) for name, values in self.per_query.items()},
            "query_ids": None if self.query_ids is None else list(self.query_ids),
            "ties": self.ties,
            "empty": self.empty,
            "skipped": self.skipped,
            "ranks": None if self.ranks is None else _listed(self.ranks),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evaluation:
        """What `to_dict` wrote."""
        ids, ranks = data.get("query_ids"), data.get("ranks")
        return cls(
            {name: float(figure) for name, figure in data["figures"].items()},
            {name: np.array(values, np.float64) for name, values in data["per_query"].items()},
            None if ids is None else tuple(ids),
            data.get("ties", "expected"),
            data.get("empty", "error"),
            int(data.get("skipped", 0)),
            ranks=None if ranks is None else np.array(ranks, np.float64),
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.4f}" for name, value in self.figures.items())
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"Evaluation({self.queries} queries{skipped}: {shown})"


def evaluation(
    places: Mapping[str, Places],
    wanted: Sequence[Measure],
    *,
    ties: str,
    empty: Empty,
    query_ids: Any = None,
    listed: int | None = None,
) -> Evaluation:
    """Figures of the measures from places by scope ("gallery", and "subset" when there is one).

    `listed` is how many items a query's list has at the most, where the gallery has more.
    """
    whole = places["gallery"]
    missing = whole.totals == 0
    _check_empty(missing, empty, query_ids)
    figures, per_query = {}, {}
    for each in wanted:
        if each.metric.traits.scope not in places:
            raise InputError(f"metric '{each.name}' needs 'subset', the items each query chooses among (got none)")
        found = each.per_query(places[each.metric.traits.scope])
        counted = found if empty == "zero" else found[~missing]
        figures[each.name] = _figure(each, counted)
        per_query[each.name] = found if empty == "zero" else np.where(missing, np.nan, found)
    ids = None if query_ids is None else tuple(np.asarray(query_ids).tolist())
    skipped = 0 if empty == "zero" else int(missing.sum())
    ranks = first_rank(whole)
    shown = np.where(np.isfinite(ranks), ranks, np.nan)
    outcome = Evaluation(figures, per_query, ids, ties, empty, skipped, _beyond(wanted, listed), shown)
    emit("evaluated", ", ".join(figures), outcome=outcome)
    return outcome


def _beyond(wanted: Sequence[Measure], listed: int | None) -> dict[str, Any]:
    """The metrics whose cut-off lies behind the end of the lists: what is not listed counts as not found."""
    behind = [] if listed is None else [each.name for each in wanted if each.k is not None and each.k > listed]
    return {"listed": listed, "beyond": behind} if behind else {}


def _listed(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(x) else float(x) for x in values]


def _figure(each: Measure, values: FloatArray) -> float:
    figure = each.summary(values)
    if np.isinf(figure):
        raise InputError(
            f"metric '{each.name}' needs the rank of every query's relevant item (got {np.isinf(values).sum()} of "
            f"{len(values)} queries whose relevant items are not in the list); rank deeper, give the scores behind "
            "the list as 'tail', or use mrr or success@k"
        )
    return figure


def check_empty(empty: str) -> Empty:
    """The policy, or an error that lists them."""
    return checks.choice("empty", empty, EMPTY)


def _check_empty(missing: np.ndarray[Any, np.dtype[np.bool_]], empty: Empty, query_ids: Any) -> None:
    if empty == "skip" and missing.all():
        raise rule("relevance", "must have a relevant item for one query at least", f"none for {len(missing)} queries")
    if empty != "error" or not missing.any():
        return
    rows = np.flatnonzero(missing)
    shown = (rows if query_ids is None else np.asarray(query_ids)[rows])[:_SHOWN].tolist()
    raise InputError(
        f"'relevance' must have a relevant item for every query (got {len(rows)} without, such as {shown}); "
        "say empty='skip' to leave them out, or empty='zero' to count them as failures"
    )
