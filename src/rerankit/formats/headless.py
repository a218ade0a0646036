"""Lines of a run or of judgements that no header names, as MS MARCO and TREC write them, and what their values are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.columns import Columns
from rerankit.formats.text import is_number
from rerankit.triples import Triples, refuse_distances

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Rows = list[list[str]]


def named_lines(
    queries: list[str], items: list[str], values: Floats, columns: Columns, ranks: Sequence[object] | None
) -> Triples:
    """Lines under named columns; whole numbers under names that call grades "score" too may be either."""
    if ranks is not None:
        refuse_distances(queries, values, ranks)
    either = columns.either and bool(np.all(values == np.rint(values)))
    return Triples(queries, items, -values if columns.ranks else values, "unsaid" if either else columns.what)


def lines_of(rows: Rows) -> Triples | None:
    """The lines of rows without a header, or None when they can be nothing but a matrix.

    Six columns with Q0 are a run of TREC. Four with a zero between query and item are judgements of TREC and MS MARCO.
    Three are MS MARCO's run when the last counts each query's items from 1; else a query, an item and a number,
    where the first two are whole numbers or texts.

    >>> lines_of([["7", "31", "1"], ["7", "12", "2"]]).values.tolist()
    [-1.0, -2.0]
    """
    width, names = len(rows[0]), [list(map(str.strip, column)) for column in zip(*rows, strict=True)]
    if width == 6 and {text.upper() for text in names[1]} == {"Q0"}:
        return _triples(names[0], names[2], names[4], "scores")
    if width == 4 and set(names[1]) <= {"0", "Q0"} and all(map(_is_name, (names[0], names[2], names[3]))):
        return _triples(names[0], names[2], names[3], "grades")
    if width != 3 or not all(map(_is_name, names[:2])):
        return None
    found = _triples(names[0], names[1], names[2], "unsaid")
    if found is None:
        return None
    if _counts(names[0], found.values):
        return Triples(found.queries, found.items, -found.values, "scores")
    return Triples(found.queries, found.items, found.values, "unsaid", matrix=_as_matrix(names[:2], found.values))


def _is_name(column: list[str]) -> bool:
    """Whether a column may hold names: whole numbers or texts, and no number with a point."""
    return all(text.removeprefix("-").isdecimal() or not is_number(text) for text in column)


def _triples(queries: list[str], items: list[str], values: list[str], what: str) -> Triples | None:
    if not all(map(is_number, values)):
        return None
    numbers = np.array(values, np.float64)
    return Triples(queries, items, numbers, what) if np.isfinite(numbers).all() else None  # type: ignore[arg-type]


def _counts(queries: list[str], values: Floats) -> bool:
    """Whether the values count the lines of every query from 1, which nothing but ranks do."""
    seen: dict[str, int] = {}
    for query, value in zip(queries, values.tolist(), strict=True):
        seen[query] = rank = seen.get(query, 0) + 1
        if value != rank:
            return False
    return len(seen) < len(queries)  # with one line for each query, a column of ones tells nothing


def _as_matrix(names: list[list[str]], values: Floats) -> AnyArray | None:
    """The matrix that lines of numbers may be; None where there is a name among them."""
    if not all(is_number(text) for column in names for text in column):
        return None
    return np.stack([*(np.array(column, np.float64) for column in names), values], axis=1)
