"""Runs and judgements as people have them in memory: dictionaries, tables, objects of ranx, lists of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rerankit.adapters import Table, ranx_values, table_of
from rerankit.arrays import AnyArray
from rerankit.columns import Columns, columns_of
from rerankit.errors import InputError, rule, several
from rerankit.ids import Ids
from rerankit.ranking import Ranking
from rerankit.triples import (
    Judgements,
    Triples,
    check_names,
    from_dict,
    is_pair,
    refuse_distances,
    refuse_none,
    to_dict,
)

Asked = Literal["scores", "grades"]
Judged = Mapping[Any, Mapping[Any, float]]
_CALLED = {"scores": "a run", "grades": "judgements"}


def lines_of(value: Any, wanted: Asked, argument: str) -> Triples | None:
    """The lines of a run (`scores`) or of judgements (`grades`); None when the value is nothing of the kind.

    >>> lines_of({"q": {"a": 0.5}}, "scores", "run").items
    ['a']
    >>> lines_of([[("b", 0.9), ("a", 0.5)], [("a", 0.7)]], "scores", "run").queries
    [0, 0, 1]
    """
    if isinstance(value, Mapping) and not hasattr(value, "tocoo"):  # a kind of SciPy's sparse matrices maps, too
        return from_dict(value, wanted, argument)
    if isinstance(value, list) and _is_paired(value):
        return from_dict(dict(enumerate(value)), wanted, argument)
    known = ranx_values(value)
    if known is not None:
        if known[1] != wanted:
            raise rule(argument, f"must be {_CALLED[wanted]}", f"{_CALLED[known[1]]}, {type(value).__name__} of ranx")
        return from_dict(known[0], wanted, argument)
    table = _records(value) if isinstance(value, list) else table_of(value)
    if table is None:
        return None
    try:
        columns = columns_of(name for name in table.names if isinstance(name, str))
    except InputError as error:
        raise InputError(f"'{argument}': {error}") from error
    return None if columns is None else of_table(table, columns, wanted, argument)


def _is_paired(lists: Sequence[Any]) -> bool:
    """Whether these are lists of (item, value), one for each query: what no matrix is."""
    return is_pair(next((pair for found in lists if isinstance(found, list | tuple) for pair in found), None))


def runs_of(runs: Any) -> dict[str, Triples]:
    """The lines of runs by name, each of them in any form."""
    if not isinstance(runs, Mapping) or not runs:
        raise rule("runs", "must map names to runs, the first of which gives the scores", type(runs).__name__)
    found = {}
    for name, run in runs.items():
        lines = lines_of(run.to_dict() if isinstance(run, Ranking) else run, "scores", f"runs[{name!r}]")
        if lines is None:
            raise rule(f"runs[{name!r}]", "must be a run, such as {query: {item: score}}", type(run).__name__)
        refuse_none(lines, f"'runs[{name!r}]' ")
        found[name] = lines
    return found


def judgements_of(value: Any, argument: str) -> Judgements | None:
    """`{query: {item: grade}}` of judgements in any form; None when the value is nothing of the kind.

    Many collections mark "judged, and wrong" by a negative grade; it says what a grade of zero says.
    """
    if isinstance(value, dict) and all(type(items) is dict for items in value.values()):
        return value
    triples = lines_of(value, "grades", argument)
    if triples is None:
        return None
    return {query: {i: max(g, 0.0) for i, g in items.items()} for query, items in to_dict(triples).items()}


def judged_alike(judged: Judged, queries: Any, items: Any) -> Judged:
    """Judgements by the names that others know queries and items by, or by None.

    Libraries that read files make 10 of "10" where they can: where one side has whole numbers and the other texts,
    those that say the same are one name.

    >>> judged_alike({"1": {"10": 2.0}}, [1], [10, 11])
    {1: {10: 2.0}}
    """
    query, item = _translated(judged, queries), _translated((i for found in judged.values() for i in found), items)
    if query is None and item is None:
        return judged
    query, item = query or {}, item or {}
    return {query.get(q, q): {item.get(i, i): grade for i, grade in found.items()} for q, found in judged.items()}


def _translated(names: Iterable[Any], others: Any) -> dict[Any, Any] | None:
    """The other side's name for each name, where one side has whole numbers and the other texts."""
    if others is None:
        return None
    mine, known = set(names), set(np.asarray(others).tolist() if isinstance(others, Ids) else others)
    kinds = {isinstance(name, str) for name in mine}, {isinstance(name, str) for name in known}
    if kinds[0] == kinds[1] and len(kinds[0]) == 1:
        return None
    by_text = {str(name): name for name in known}
    return {name: by_text[str(name)] for name in mine if str(name) in by_text}


def of_table(table: Table, columns: Columns, wanted: Asked, argument: str) -> Triples:
    """The lines of a table."""
    values = _numbers(table.column(columns.value), f"{argument}[{columns.value!r}]")
    whole = columns.either and bool(np.all(values == np.rint(values)))
    if columns.what != wanted and not (wanted == "grades" and whole):
        raise rule(
            argument,
            f"must be {_CALLED[wanted]}, with a column {'score' if wanted == 'scores' else 'grade'}",
            f"{_CALLED[columns.what]}, with a column {columns.value}",
        )
    queries, items = (_names(table.column(name), f"{argument}[{name!r}]") for name in (columns.query, columns.item))
    if columns.rank is not None:
        refuse_distances(queries, values, table.column(columns.rank), f"'{argument}': ")
    triples = Triples(queries, items, 0 - values if columns.ranks else values, wanted)
    refuse_none(triples, f"'{argument}' ")
    return triples


def _names(column: AnyArray, argument: str) -> list[Any]:
    """Names as they are: whole numbers or texts."""
    names: list[Any] = column.tolist()
    if column.dtype.kind in "iuU":
        return names
    check_names(names, argument)
    return names


def _numbers(column: AnyArray, argument: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        if column.dtype.kind == "c":
            raise TypeError
        values = np.asarray(column, np.float64)
    except (TypeError, ValueError) as cause:
        raise rule(argument, "must be numbers", f"dtype {column.dtype}") from cause
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise rule(argument, "must be finite in every row", several("rows that are not", bad.tolist(), len(values)))
    return values


class _Records(Table):
    """A list of named tuples, such as `ScoredDoc` and `Qrel` of ir_measures, or of dictionaries, as from JSON."""

    def __init__(self, records: Sequence[Any]) -> None:
        self._records = records
        first = records[0]
        self.names, self.labels, self.numbered = list(getattr(first, "_fields", first)), None, False

    def column(self, name: str) -> AnyArray:
        place = name if isinstance(self._records[0], Mapping) else self.names.index(name)
        try:
            values = [record[place] for record in self._records]
        except (KeyError, IndexError, TypeError) as cause:
            raise InputError(f"every line must have '{name}', as the first has") from cause
        return np.array(values, None if isinstance(values[0], int | float) else object)

    def kinds(self) -> list[str]:
        return ["other"] * len(self.names)


def _records(value: list[Any]) -> Table | None:
    """A list of named tuples or of dictionaries as a table, or None."""
    named = bool(value) and (isinstance(value[0], Mapping) or hasattr(value[0], "_fields"))
    return _Records(value) if named else None
