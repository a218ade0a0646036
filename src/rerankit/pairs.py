"""Pairs of a query and a gallery item, compressed by row: what relevance and left-out items are kept in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, BoolArray, IntArray, frozen, row_numbers, to_numpy
from rerankit.errors import rule, several
from rerankit.values import Value

Shape = tuple[int, int]


class ByRow(Value):
    """Pairs (query, item) compressed by row: the items of query i are `indices[indptr[i]:indptr[i + 1]]`."""

    shape: Shape
    indptr: IntArray
    indices: IntArray

    @property
    def counts(self) -> IntArray:
        """Items of every query."""
        return np.diff(self.indptr)

    @property
    def rows(self) -> IntArray:
        """The query of every pair, in the order of `indices`."""
        return np.repeat(np.arange(self.shape[0]), self.counts)

    @property
    def keys(self) -> IntArray:
        """One ascending number for each pair."""
        return self.rows * self.shape[1] + self.indices


class Pairs(ByRow):
    """Pairs (query, item) of a problem of some shape, each of them once: the items left out of a query's gallery, say.

    The items of query i, ascending, are `indices[indptr[i]:indptr[i + 1]]`.

    >>> pairs = Pairs.from_lists([[3, 1], []], gallery_size=4)
    >>> pairs, pairs.of(0).tolist(), pairs.holds([[3, 0], [3, -1]]).tolist()
    (Pairs(2 in 2 × 4), [1, 3], [[True, False], [False, False]])
    """

    def __init__(self, rows: Any, columns: Any, shape: Shape, argument: str = "pairs") -> None:
        row = row_numbers(rows, shape[0], f"{argument} rows")
        column = row_numbers(columns, shape[1], f"{argument} columns")
        if len(row) != len(column):
            raise rule(argument, "must have as many rows as columns", f"{len(row)} and {len(column)}")
        starts, order = by_row(row, column, shape, argument)
        self._keep(shape=shape, indptr=starts, indices=frozen(column[order]))

    @classmethod
    def from_lists(cls, items: Sequence[Iterable[int]], gallery_size: int, argument: str = "pairs") -> Pairs:
        """From one list of gallery items per query."""
        rows, columns = flat(items, argument)
        return cls(rows, columns, (len(items), gallery_size), argument)

    def of(self, query: int) -> IntArray:
        """The items of one query, ascending."""
        return self.indices[self.indptr[query] : self.indptr[query + 1]]

    def holds(self, items: Any) -> BoolArray:
        """Which of some items (queries, K), −1 for none, make a pair with their query."""
        listed = np.asarray(items)
        if not len(self):
            return np.zeros(listed.shape, bool)
        keys, wanted = self.keys, np.arange(self.shape[0])[:, None] * self.shape[1] + listed
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found: BoolArray = (keys[at] == wanted) & (listed >= 0)
        return found

    def reversed(self) -> Pairs:
        """The same pairs for the reversed problem."""
        return Pairs(self.indices, self.rows, self.shape[::-1])

    def take(self, queries: IntArray | None = None, items: IntArray | None = None) -> Pairs:
        """The pairs among some queries and some items, renumbered in the given order."""
        if queries is None and items is None:
            return self
        query = np.arange(self.shape[0]) if queries is None else queries
        item = np.arange(self.shape[1]) if items is None else items
        rows, columns, _ = renumbered(self.rows, self.indices, query, item, self.shape)
        return Pairs(rows, columns, (len(query), len(item)))

    def __or__(self, other: Pairs) -> Pairs:
        """The pairs of both."""
        if other is self or not len(other):
            return self
        keys = np.union1d(self.keys, other.keys)
        return Pairs(keys // self.shape[1], keys % self.shape[1], self.shape)

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pairs):
            return NotImplemented
        return self is other or (self.shape == other.shape and np.array_equal(self.keys, other.keys))

    def __hash__(self) -> int:
        return hash((self.shape, self.indptr.tobytes(), self.indices.tobytes()))

    def __repr__(self) -> str:
        return f"Pairs({len(self)} in {self.shape[0]} × {self.shape[1]})"


def as_pairs(value: Any, shape: Shape, argument: str) -> Pairs | None:
    """Pairs from themselves, from a list of items per query, from a tuple of rows and columns, or from a mask of
    booleans (queries, items), true where a pair is one; None for none.

    >>> as_pairs(np.array([[False, True], [False, False]]), (2, 2), "exclude")
    Pairs(1 in 2 × 2)
    """
    if value is None:
        return None
    if (mask := mask_of(value, argument)) is not None:
        if mask.shape != shape:
            raise rule(argument, f"as a mask must be of shape {shape}", f"{mask.shape}")
        rows, columns = np.nonzero(mask)
        return Pairs(rows, columns, shape, argument)
    if isinstance(value, tuple):
        sizes = [to_numpy(each, argument).size for each in value]
        if len(sizes) != 2 or sizes[0] != sizes[1]:
            got = ", ".join(map(str, sizes))
            need = "as a tuple must be two arrays of one length, the rows and the columns of the pairs"
            raise rule(argument, f"{need} (a list of items for each query must be in a list)", f"arrays of {got}")
        return Pairs(value[0], value[1], shape, argument)
    pairs = value if isinstance(value, Pairs) else Pairs.from_lists(value, shape[1], argument)
    if pairs.shape != shape:
        raise rule(argument, f"must be for {shape[0]} queries and {shape[1]} items", f"{pairs.shape}")
    return pairs


def mask_of(value: Any, argument: str) -> BoolArray | None:
    """An array of booleans, of numpy or another library; None of anything else."""
    if not str(getattr(value, "dtype", "")).endswith("bool"):
        return None
    return to_numpy(value, argument)


def check_apart(relevant: IntArray, excluded: Pairs, argument: str) -> None:
    """Refuse left-out items that are relevant; `relevant` are keys as in `Pairs.keys`."""
    both = np.intersect1d(relevant, excluded.keys)
    if len(both):
        shown = several("relevant (query, item)", cells(both, excluded.shape[1]))
        raise rule(argument, "must not hold relevant items", shown)


def by_row(rows: IntArray, columns: IntArray, shape: Shape, argument: str) -> tuple[IntArray, IntArray]:
    """Where each row starts, and the order of the pairs by row and column; a pair that comes twice is refused."""
    keys = rows * shape[1] + columns
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    again = keys[1:][keys[1:] == keys[:-1]]
    if len(again):
        shown = several("repeated (query, item)", cells(again, shape[1]))
        raise rule(argument, "must name an item once for a query", shown)
    return frozen(np.searchsorted(keys, np.arange(shape[0] + 1) * shape[1])), order


def cells(keys: IntArray, width: int) -> list[tuple[int, int]]:
    """(query, item) of each key."""
    return list(zip((keys // width).tolist(), (keys % width).tolist(), strict=True))


def flat(lists: Sequence[Iterable[int]], argument: str) -> tuple[IntArray, IntArray]:
    """Row and item of every entry of one list per query."""
    one_each = "must be one list of gallery row numbers per query"
    if not isinstance(lists, Collection):
        raise rule(argument, one_each, type(lists).__name__)
    if not all(isinstance(items, Iterable) and not isinstance(items, str) for items in lists):
        raise rule(argument, one_each, f"{list(lists)[:3]}")
    rows = [row for row, items in enumerate(lists) for _ in items]
    values = to_numpy([item for items in lists for item in items], argument)
    if values.size and values.dtype.kind not in "iu":
        raise rule(argument, "must list gallery row numbers", f"dtype {values.dtype}")
    return np.array(rows, np.int64), values.astype(np.int64)


def renumbered(
    rows: IntArray, columns: IntArray, queries: IntArray, items: IntArray, shape: Shape
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs by row among some queries and some items, each of which may be named several times, and their numbers."""
    owner, pairs = _of_rows(rows, queries, shape[0])
    columns = columns[pairs]
    by_column = np.argsort(columns, kind="stable")
    place, chosen = _of_rows(columns[by_column], items, shape[1])
    chosen = by_column[chosen]
    return owner[chosen], place, pairs[chosen]


def _of_rows(rows: IntArray, chosen: IntArray, count: int) -> tuple[IntArray, AnyArray]:
    """Of pairs in the order of their rows, those of chosen rows: where each row stands in `chosen`, and the pairs."""
    starts = np.searchsorted(rows, np.arange(count + 1))
    counts = np.diff(starts)[chosen]
    owner = np.repeat(np.arange(len(chosen)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, starts[chosen][owner] + inside
