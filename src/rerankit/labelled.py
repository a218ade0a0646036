"""Scores as people have them: matrices with and without names, sparse ones, arrays on disk, runs in any form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rerankit.adapters import Table, table_of
from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import InputError, brief, rule, several
from rerankit.ids import Ids
from rerankit.lines import lines_of
from rerankit.pairs import Pairs
from rerankit.ranking import Ranking
from rerankit.scores import ListScores, Scores, as_scores
from rerankit.triples import Triples, to_lists
from rerankit.values import Named

_OWN = ("ranking", "scores")  # what stages call the scores that come in, and the problem's own
_NARROW = 4
"""Columns that lines have at the most, when their names do not say what they are."""


class Labelled(NamedTuple):
    """Scores and the names of their rows and columns, where there are any."""

    scores: Scores
    query_ids: Any = None
    gallery_ids: Any = None
    excluded: Pairs | None = None


def labelled(value: Any, query_ids: Any = None, gallery_ids: Any = None, argument: str = "scores") -> Labelled:
    """Scores from anything that can be scores; ids that are given name rows without names, and order those with.

    >>> labelled({"q": {"a": 0.5, "b": 0.7}})[:3]
    (ListScores(1 × 2, 2 cells), ['q'], ['a', 'b'])
    """
    if isinstance(value, Ranking):
        return _of_ranking(value, query_ids, gallery_ids, argument)
    table = table_of(value)
    lines = value if isinstance(value, Triples) else lines_of(value if table is None else table, "scores", argument)
    if lines is not None:
        indices, scores, queries, items = to_lists(lines, query_ids, gallery_ids)
        return Labelled(ListScores(indices, scores, len(items)), queries, items)
    if table is None:
        return Labelled(as_scores(value, argument), query_ids, gallery_ids)
    matrix, rows, columns = named_matrix(table, argument)
    matrix, rows = _aligned(matrix, rows, query_ids, f"rows of {argument}")
    transposed, columns = _aligned(matrix.T, columns, gallery_ids, f"columns of {argument}")
    return Labelled(as_scores(transposed.T, argument), rows, columns)


def labelled_vectors(value: Any, ids: Any, argument: str) -> tuple[Any, Any]:
    """Vectors (n, d), and their ids: those given, or the labels of a table's rows."""
    table = table_of(value)
    if table is None:
        return value, ids
    _refuse_names(table, table.names, argument)
    if table.labels is None or ids is None:
        return table.matrix(_numeric(table, table.names, argument)), table.labels if ids is None else ids
    return _aligned(table.matrix(_numeric(table, table.names, argument)), table.labels, ids, argument)


def named_matrix(table: Table, argument: str) -> tuple[AnyArray, Any, Any]:
    """The matrix of a table with a column for each gallery item, and the names of its rows and columns, or None.

    A first column of texts names the rows when nothing else does.
    """
    names, labels = table.names, table.labels
    if labels is None and len(names) > 2 and table.kinds()[0] == "text":
        labels, names = table.column(names[0]), names[1:]
    if _may_be_lines(table):
        raise rule(
            argument,
            "may be lines of query, item and score, or a matrix: name its columns query, item and score, or give the "
            "matrix without names, such as frame.to_numpy()",
            f"a table whose {len(table.names)} columns are {brief(table.names)}",
        )
    _refuse_names(table, names, argument)
    names = _numeric(table, names, argument)
    matrix = table.matrix(names)
    named = labels is not None or not table.numbered
    if named and matrix.dtype.kind == "f" and np.isnan(matrix).any():
        raise rule(
            argument,
            "must have a score in every cell; where pairs are absent, give lines with the columns query, item, score",
            f"{int(np.isnan(matrix).sum())} cells without",
        )
    return matrix, labels, None if table.numbered else names


def _may_be_lines(table: Table) -> bool:
    """Whether a table is as narrow as lines are, and begins as they do: with two columns that may hold names."""
    labels = table.labels
    named = labels is not None and np.asarray(labels).dtype.kind not in "iu"  # a choice of rows is labelled by numbers
    narrow = 2 < len(table.names) <= _NARROW
    return narrow and not named and all(kind in ("whole", "text") for kind in table.kinds()[:2])


def _refuse_names(table: Table, names: list[Any], argument: str) -> None:
    """Refuse a table without labels whose first column may name its rows: whole numbers, each once, beside reals."""
    kinds = table.kinds()
    if table.labels is not None or table.numbered or names != table.names or len(names) < 2:
        return
    if kinds[0] == "whole" and set(kinds[1:]) == {"real"}:
        column = table.column(names[0])
        if len(column) > 1 and len(np.unique(column)) == len(column):
            raise rule(
                argument,
                f"must say what column {names[0]!r} is, which may name the rows: make it the index or texts, "
                "or real numbers like the others",
                f"whole numbers, each once, such as {column[:3].tolist()}",
            )


def _numeric(table: Table, names: list[Any], argument: str) -> list[Any]:
    kinds = dict(zip(table.names, table.kinds(), strict=True))
    other = [name for name in names if kinds[name] not in ("whole", "real")]
    if other or not names:
        raise rule(argument, "must be a table of numbers", several("columns that are none", other, len(names)))
    return names


def _of_ranking(ranking: Ranking, query_ids: Any, gallery_ids: Any, argument: str) -> Labelled:
    scores = ListScores(ranking.indices, ranking.scores, ranking.gallery_size)
    excluded = ranking.excluded
    sides = ((ranking.query_ids, query_ids), (ranking.gallery_ids, gallery_ids))
    chosen = [_places(mine, given, argument) for mine, given in sides]
    if any(rows is not None for rows in chosen):
        scores = scores.take(*chosen)
        excluded = None if excluded is None else excluded.take(*chosen)
    queries, items = (mine if given is None else given for mine, given in sides)
    return Labelled(scores, queries, items, excluded)


def _places(mine: Ids | None, given: Any, argument: str) -> IntArray | None:
    """Where each given id stands among those of a ranking; None where one of them has no ids."""
    if mine is None or given is None:
        return None
    names, wanted = ([str(name) for name in np.asarray(ids).tolist()] for ids in (mine, given))
    if set(names) != set(wanted):
        raise InputError(f"'{argument}' is a ranking with ids, which must be those that are given")
    return Ids(names).rows_of(wanted)


def _aligned(matrix: AnyArray, labels: Any, ids: Any, argument: str) -> tuple[AnyArray, Any]:
    """Rows in the order of given ids, by their labels."""
    if labels is None or ids is None:
        return matrix, labels if ids is None else ids
    names = Ids([str(name) for name in np.asarray(labels).tolist()], argument)
    return matrix[names.rows_of([str(name) for name in np.asarray(ids).tolist()], argument)], ids


def in_order(value: Any, rows: Ids | None, columns: Ids | None, argument: str) -> Scores:
    """Scores in the order of the problem's ids, where they have names themselves."""
    found = labelled(value, rows, columns, argument)
    if found.query_ids is not rows or found.gallery_ids is not columns:
        raise rule(argument, "must have no names where the problem has no ids: give both or none", "names")
    return found.scores


def extra_scores_of(
    given: Any, shape: tuple[int, int], query_ids: Ids | None, gallery_ids: Ids | None
) -> Named[Scores]:
    """Further scores by name, each of the shape of the scores."""
    if given is None:
        return Named()
    if not isinstance(given, Mapping):
        raise rule("extra_scores", "must map names to scores", type(given).__name__)
    found = {}
    for name, value in given.items():
        if not isinstance(name, str) or not name or "/" in name or name in _OWN:
            raise rule("extra_scores", f"must have names without '/', other than {' and '.join(_OWN)}", repr(name))
        scores = in_order(value, query_ids, gallery_ids, f"extra_scores[{name!r}]")
        if scores.shape != shape:
            raise rule(f"extra_scores[{name!r}]", f"must have the shape of 'scores', {shape}", f"shape {scores.shape}")
        found[name] = scores
    return Named(found)
