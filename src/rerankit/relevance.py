"""Relevance: which gallery items are right for a query; stages never see it, except in `fit`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray, check_unlabelled, float32, frozen, real_matrix, row_numbers, to_numpy
from rerankit.errors import InputError, rule, several
from rerankit.finite import check_finite
from rerankit.lines import Judged, judged_alike, judgements_of
from rerankit.pairs import ByRow, Pairs, as_pairs, by_row, check_apart, flat, renumbered

_SHOWN = 3


class Relevant(NamedTuple):
    """What is right for one query: items, their grades, and the items left out of its gallery."""

    items: IntArray
    grades: FloatArray
    excluded: IntArray


class Relevance(ByRow):
    """Relevant items per query with grades, and items to leave out; compressed by row, immutable.

    `indptr` (queries + 1), `indices` and `grades` (grades are above zero); the items left out (the reference image in
    composed retrieval, same-camera junk in re-identification) are the `Pairs` of `excluded`. They are given as
    `exclude`: a list that has a list of rows for each query, a tuple of two arrays (the rows and the columns of the
    pairs), or a mask of booleans.

    >>> relevance = Relevance.from_lists([[0], [2, 1]], gallery_size=3)
    >>> relevance
    Relevance(2 queries × 3 items, 3 relevant, 0 excluded)
    >>> relevance.reversed().of(2).items
    array([1])
    """

    grades: FloatArray
    excluded: Pairs

    def __init__(
        self, rows: Any, columns: Any, shape: tuple[int, int], grades: Any = None, *, exclude: Any = None
    ) -> None:
        size = checks.integer("shape", shape[0], least=1), checks.integer("shape", shape[1], least=1)
        row = row_numbers(rows, size[0], "rows")
        column = row_numbers(columns, size[1], "columns")
        grade = np.ones(len(row), np.float32) if grades is None else _numbers(grades)
        if not len(row) == len(column) == len(grade):
            raise rule("grades", f"must be one for each of the {len(row)} pairs", f"{len(grade)}")
        _check_grades(grade)
        positive = grade > 0  # a judged but irrelevant pair (grade 0) says nothing a missing one does not
        row, column, grade = row[positive], column[positive], grade[positive]
        starts, order = by_row(row, column, size, "columns")
        excluded = as_pairs(exclude, size, "exclude") or Pairs([], [], size)
        self._keep(shape=size, indptr=starts, indices=frozen(column[order]), grades=frozen(grade[order]))
        self._keep(excluded=excluded)
        check_apart(self.keys, excluded, "exclude")

    @classmethod
    def from_lists(
        cls,
        items: Sequence[Iterable[int]],
        gallery_size: int,
        *,
        grades: Sequence[Iterable[float]] | None = None,
        exclude: Any = None,
    ) -> Relevance:
        """From one list of relevant gallery items per query."""
        rows, columns = flat(items, "items")
        _check_lists(grades, len(items), "grades")
        if not isinstance(exclude, Pairs | tuple):
            _check_lists(exclude, len(items), "exclude")
        columns = row_numbers(columns, gallery_size, "items")
        grade = None if grades is None else _flat_grades(grades, items)
        return cls(rows, columns, (len(items), gallery_size), grade, exclude=exclude)

    @classmethod
    def from_dict(cls, qrels: Any, query_ids: Sequence[Any], gallery_ids: Sequence[Any]) -> Relevance:
        """From qrels, ``{query id: {item id: grade}}``, or the same as a table, an object of ranx, a list of records.

        Every id must be known.

        >>> Relevance.from_dict({"q": {"b": 2}}, ["q"], ["a", "b"]).of(0).grades
        array([2.], dtype=float32)
        """
        judged: Judged | None = judgements_of(qrels, "qrels")
        if judged is None:
            raise rule("qrels", "must map queries to {item: grade}", type(qrels).__name__)
        query_row, item_row = _rows(query_ids, "query_ids"), _rows(gallery_ids, "gallery_ids")
        judged = judged_alike(judged, query_row, item_row)
        _check_known(judged, query_row, "queries")
        _check_known((item for items in judged.values() for item in items), item_row, "gallery items")
        cells = [
            (query_row[query], item_row[item], checks.number(f"qrels[{query!r}][{item!r}]", grade))
            for query, items in judged.items()
            for item, grade in items.items()
        ]
        table = np.array(cells, np.float64).reshape(-1, 3)
        pairs = table[:, :2].astype(np.int64)
        return cls(pairs[:, 0], pairs[:, 1], (len(query_row), len(item_row)), table[:, 2])

    @classmethod
    def from_sparse(cls, matrix: Any) -> Relevance:
        """From a scipy sparse matrix or array of grades (queries, gallery)."""
        if not hasattr(matrix, "tocoo"):
            raise rule("matrix", "must be a scipy sparse matrix or array", type(matrix).__name__)
        cells = matrix.tocoo()
        return cls(cells.row.astype(np.int64), cells.col.astype(np.int64), cells.shape, cells.data)

    @classmethod
    def from_dense(cls, grades: Any, *, exclude: Any = None) -> Relevance:
        """From a matrix of grades, or of booleans, (queries, gallery)."""
        check_unlabelled(grades, "grades")
        given = to_numpy(grades, "grades")
        matrix = real_matrix(given.astype(np.float32) if given.dtype == np.bool_ else given, "grades")
        check_finite(matrix, "grades")
        rows, columns = np.nonzero(matrix)
        return cls(rows, columns, matrix.shape, matrix[rows, columns], exclude=exclude)

    @classmethod
    def from_labels(cls, query_labels: Any, gallery_labels: Any, *, exclude: Any = None) -> Relevance:
        """Items with the query's label are right, but for those left out, such as the same camera's pictures.

        >>> Relevance.from_labels(["cat", "dog"], ["dog", "cat", "cat"]).of(0).items
        array([1, 2])
        >>> Relevance.from_labels(["cat", "dog"], ["dog", "cat", "cat"], exclude=[[2], []]).of(0).items
        array([1])
        """
        queries, items = _numbered(query_labels, gallery_labels)
        by_label = np.argsort(items, kind="stable")
        sorted_items = items[by_label]
        first = np.searchsorted(sorted_items, queries, "left")
        counts = np.searchsorted(sorted_items, queries, "right") - first
        rows = np.repeat(np.arange(len(queries)), counts)
        inside = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        columns, shape = by_label[first[rows] + inside], (len(queries), len(items))
        excluded = as_pairs(exclude, shape, "exclude")
        right = slice(None) if excluded is None else ~np.isin(rows * shape[1] + columns, excluded.keys)
        return cls(rows[right], columns[right], shape, exclude=excluded)

    def of(self, query: int) -> Relevant:
        """Items, grades and excluded items of one query."""
        checks.integer("query", query, least=0, most=self.shape[0] - 1)
        here = slice(self.indptr[query], self.indptr[query + 1])
        return Relevant(self.indices[here], self.grades[here], self.excluded.of(query))

    def excluding(self, pairs: Pairs | None) -> Relevance:
        """The same judgements with more items left out, none of which may be relevant."""
        if pairs is None or pairs is self.excluded or not len(pairs):
            return self
        check_apart(self.keys, pairs, "exclude")
        return self.from_checked(
            **{**self.__dict__, "excluded": pairs if not len(self.excluded) else self.excluded | pairs}
        )

    def reversed(self) -> Relevance:
        """The same judgements from the gallery's side."""
        return Relevance(self.indices, self.rows, self.shape[::-1], self.grades, exclude=self.excluded.reversed())

    def subset(self, queries: Any = None, gallery: Any = None) -> Relevance:
        """The judgements among some queries and some items, renumbered in the given order."""
        query = row_numbers(queries, self.shape[0], "queries")
        item = row_numbers(gallery, self.shape[1], "gallery")
        rows, columns, pairs = renumbered(self.rows, self.indices, query, item, self.shape)
        excluded = self.excluded.take(query, item)
        return Relevance(rows, columns, (len(query), len(item)), self.grades[pairs], exclude=excluded)

    def to_dense(self) -> FloatArray:
        """A matrix of grades (queries, gallery)."""
        dense = np.zeros(self.shape, np.float32)
        dense[self.rows, self.indices] = self.grades
        return dense

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Relevance):
            return NotImplemented
        alike = all(
            np.array_equal(getattr(self, part), getattr(other, part)) for part in ("indptr", "indices", "grades")
        )
        return self.shape == other.shape and alike and self.excluded == other.excluded

    def __hash__(self) -> int:
        return hash((self.shape, self.indptr.tobytes(), self.indices.tobytes(), self.grades.tobytes()))

    def __repr__(self) -> str:
        queries, items = self.shape
        return (
            f"Relevance({queries} queries × {items} items, {len(self.indices)} relevant, {len(self.excluded)} excluded)"
        )


def agreeing(argument: str, value: Any, shape: tuple[int, int], excluded: Pairs | None) -> Relevance:
    """A `Relevance` of a problem's or a ranking's shape, less the items it leaves out, which must not be relevant."""
    if not isinstance(value, Relevance):
        raise rule(argument, "must be a rerankit.Relevance, such as Relevance.from_lists(…)", type(value).__name__)
    if value.shape != shape:
        raise rule(argument, f"must have the problem's shape {shape}", f"shape {value.shape}")
    return value.excluding(excluded)


def _flat_grades(grades: Sequence[Iterable[float]], items: Sequence[Iterable[int]]) -> FloatArray:
    lengths = [len(list(row)) for row in grades], [len(list(row)) for row in items]
    if lengths[0] != lengths[1]:
        row = next(row for row, (mine, theirs) in enumerate(zip(*lengths, strict=True)) if mine != theirs)
        raise rule(
            "grades",
            "must have one grade for each item of a query",
            f"{lengths[0][row]} for {lengths[1][row]} in {row}",
        )
    return np.array([grade for row in grades for grade in row], np.float32)


def _rows(ids: Any, argument: str) -> dict[Any, int]:
    """The row of each id."""
    names = np.asarray(ids).tolist()
    found = {name: row for row, name in enumerate(names)}
    if len(found) < len(names):
        raise rule(argument, "must be unique", f"{len(names) - len(found)} repeated")
    return found


def _numbered(query_labels: Any, gallery_labels: Any) -> tuple[IntArray, IntArray]:
    """Labels of both sides as whole numbers, the same for what is equal."""
    known: dict[Any, int] = {}
    found, texts = [], []
    for given, argument in ((query_labels, "query_labels"), (gallery_labels, "gallery_labels")):
        labels = to_numpy(given, argument)
        if labels.ndim != 1 or not labels.size:
            raise rule(argument, "must be a list of labels", f"shape {labels.shape}")
        values = labels.tolist()
        missing = next((row for row, label in enumerate(values) if _is_missing(label)), None)
        if missing is not None:
            raise rule(
                argument,
                "must have a label for each, one of its own for what belongs to none",
                f"{values[missing]} at {missing}",
            )
        texts.append({isinstance(label, str | bytes) for label in values})
        found.append(np.array([known.setdefault(label, len(known)) for label in values], np.int64))
    if texts[0].isdisjoint(texts[1]):
        raise rule("gallery_labels", "must be of the kind of 'query_labels'", "texts on one side, numbers on the other")
    return found[0], found[1]


def _is_missing(label: Any) -> bool:
    return label is None or (not isinstance(label, str | bytes) and str(label) in ("nan", "NaT", "<NA>"))


def _check_lists(lists: Sequence[Any] | None, count: int, argument: str) -> None:
    given = len(lists) if isinstance(lists, Collection) else -1
    if lists is not None and given != count:
        got = type(lists).__name__ if given < 0 else f"{given} lists"
        raise rule(argument, f"must have one list for each of the {count} queries", got)


def _numbers(grades: Any) -> FloatArray:
    given = to_numpy(grades, "grades")
    if given.ndim != 1 or given.dtype.kind not in "fiub":
        raise rule("grades", "must be a list of numbers", f"dtype {given.dtype}, shape {given.shape}")
    return float32(given, "grades")


def _check_grades(grades: FloatArray) -> None:
    if grades.size and not (np.isfinite(grades).all() and grades.min() >= 0):
        raise rule(
            "grades",
            "must be finite and not negative",
            f"{grades[~(np.isfinite(grades) & (grades >= 0))][:_SHOWN].tolist()}",
        )


def _check_known(names: Iterable[Any], known: Mapping[Any, int], what: str) -> None:
    unknown = list(dict.fromkeys(name for name in names if name not in known))
    if unknown:
        raise InputError(f"'qrels' must name only known {what} (got {several('unknown', unknown)})")
