"""Where items stand in rows of scores, by counting: nothing is sorted, nothing but a mask is written.

A block of rows small enough for the processor's cache is read once and compared with each relevant item's
score. Rows and columns (both directions of one matrix) are counted in the same pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rerankit import settings
from rerankit.finite import check_finite
from rerankit.metrics.lists import IntArray, Lists

CACHE_BYTES = 1 << 20
"""A block and its mask should stay in the second-level cache."""
SORT_FROM = 8
"""From this many items in a row, sorting one copy of the row is cheaper than passing over it per item."""
MOST_LEVELS = 16
"""Columns with more items than this are counted from transposed blocks instead of in the same pass."""
_FLUSH = 255
"""Rows that a uint8 counter can take."""


@dataclass(frozen=True)
class Counts:
    """Per wanted item: items strictly above it, items tied with it (itself included), ties before it."""

    above: IntArray
    tied: IntArray
    before: IntArray


class Counter(Protocol):
    """Something that reads blocks of rows in order."""

    def add(self, start: int, block: NDArray[Any]) -> None:
        """Read rows `start` onwards."""


class RowCounter:
    """Counts along rows: one list of wanted columns per row; `removed` columns count for nothing."""

    def __init__(self, wanted: Lists, removed: Lists, width: int, index: bool = False) -> None:
        self.wanted, self.removed, self.index = wanted, removed, index
        self._mask = np.empty(width, np.bool_)
        self._above = np.zeros(len(wanted.items), np.int64)
        self._tied = np.zeros(len(wanted.items), np.int64)
        self._before = np.zeros(len(wanted.items), np.int64)

    def add(self, start: int, block: NDArray[Any]) -> None:
        """Count in rows `start` onwards, `block` (rows, gallery)."""
        bounds = self.wanted.indptr[start : start + len(block) + 1].tolist()
        for offset, (low, high) in enumerate(pairwise(bounds)):
            if low < high:
                self._row(start + offset, block[offset], slice(low, high))

    def _row(self, query: int, row: NDArray[Any], span: slice) -> None:
        items = self.wanted.items[span]
        values = row[items]
        if len(items) >= SORT_FROM:
            ranked = np.sort(row)
            right = np.searchsorted(ranked, values, "right")
            self._above[span] = len(row) - right
            self._tied[span] = right - np.searchsorted(ranked, values, "left")
        else:
            mask = self._mask
            for place, value in enumerate(values, span.start):
                above = np.count_nonzero(np.greater(row, value, out=mask))
                self._above[place] = above
                self._tied[place] = np.count_nonzero(np.greater_equal(row, value, out=mask)) - above
        if self.index:
            self._before[span] = [np.count_nonzero(row[:j] == v) for j, v in zip(items, values, strict=True)]
        low, high = self.removed.indptr[query : query + 2]
        if low < high:
            self._take_away(row, self.removed.items[low:high], items, values, span)

    def _take_away(self, row: NDArray[Any], gone: IntArray, items: IntArray, values: NDArray[Any], span: slice) -> None:
        scores = row[gone]
        for place, (item, value) in enumerate(zip(items, values, strict=True), span.start):
            same = scores == value
            self._above[place] -= np.count_nonzero(scores > value)
            self._tied[place] -= np.count_nonzero(same)
            if self.index:
                self._before[place] -= np.count_nonzero(same & (gone < item))

    def counts(self) -> Counts:
        """What was counted."""
        return Counts(self._above, self._tied, self._before)


class ColumnCounter:
    """Counts along columns while rows pass by: one list of wanted rows per column; `removed` rows count for nothing.

    The p-th wanted item of every column makes one row of thresholds. Comparing a block with it and adding
    the mask up over rows, as bytes, is all the work.
    """

    def __init__(self, wanted: Lists, removed: Lists, matrix: NDArray[Any]) -> None:
        self.wanted, self.removed, self._matrix = wanted, removed, matrix
        counts, columns = wanted.counts, wanted.queries
        level = np.arange(len(columns)) - np.repeat(wanted.indptr[:-1], counts)
        self._spots = (level, columns)
        shape = (int(counts.max(initial=0)), matrix.shape[1])
        # A column with fewer items is compared with the highest number there is: nothing lies above it.
        highest = np.inf if matrix.dtype.kind == "f" else np.iinfo(matrix.dtype).max
        self._thresholds = np.full(shape, highest, matrix.dtype)
        self._thresholds[self._spots] = matrix[wanted.items, columns]
        self._totals = np.zeros((2, *shape), np.int64)
        self._bytes = np.zeros((2, *shape), np.uint8)
        self._mask = np.empty((0, shape[1]), np.bool_)
        self._rows = 0

    def add(self, start: int, block: NDArray[Any]) -> None:
        """Count rows `start` onwards, `block` (rows, columns) of at most 255 rows."""
        if len(block) > len(self._mask):
            self._mask = np.empty(block.shape, np.bool_)
        if self._rows + len(block) > _FLUSH:
            self._flush()
        mask = self._mask[: len(block)]
        as_bytes = mask.view(np.uint8)
        for level, limit in enumerate(self._thresholds):
            for kind, compare in enumerate((np.greater, np.greater_equal)):
                compare(block, limit, out=mask)
                self._bytes[kind, level] += np.add.reduce(as_bytes, axis=0, dtype=np.uint8)
        self._rows += len(block)

    def _flush(self) -> None:
        self._totals += self._bytes
        self._bytes[:] = 0
        self._rows = 0

    def counts(self) -> Counts:
        """What was counted; ties before an item are not known here."""
        self._flush()
        above, upto = (totals[self._spots] for totals in self._totals)
        if len(self.removed.items):
            for span in self._spans():
                lost_above, lost_upto = self._lost(span)
                above[span] -= lost_above
                upto[span] -= lost_upto
        return Counts(above, upto - above, np.zeros_like(above))

    def _spans(self) -> Iterator[slice]:
        """Wanted items in groups that have about as many removed items as fit a block."""
        ends = np.cumsum(self.removed.counts[self.wanted.queries])
        if len(ends):
            cuts = np.searchsorted(ends, np.arange(0, ends[-1] + 1, CACHE_BYTES))
            for low, high in pairwise([*np.unique(cuts).tolist(), len(ends)]):
                yield slice(low, high)

    def _lost(self, span: slice) -> tuple[IntArray, IntArray]:
        """Removed items above, and not below, each of some wanted items."""
        columns = self.wanted.queries[span]
        counts = self.removed.counts[columns]
        owner = np.repeat(np.arange(len(columns)), counts)
        inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        rows = self.removed.items[self.removed.indptr[columns][owner] + inside]
        scores = self._matrix[rows, columns[owner]]
        values = self._matrix[self.wanted.items[span], columns][owner]
        size = len(columns)
        return (
            np.bincount(owner[scores > values], minlength=size),
            np.bincount(owner[scores >= values], minlength=size),
        )


def blocks_of(source: Any) -> Iterator[tuple[int, NDArray[Any]]]:
    """Cache-sized blocks of rows of an array or of `Scores`, each with its first row.

    Arrays (memory maps too) are read as they are; other scores are asked for as many rows at a time as the
    memory budget allows.
    """
    queries, gallery = source.shape
    dense = isinstance(source, np.ndarray)
    width = max(1, gallery) * (source.dtype.itemsize if dense else 4)
    step = min(_FLUSH, max(1, CACHE_BYTES // width))
    outer = queries if dense else max(step, settings.memory_budget() // width)
    for first in range(0, queries, max(outer, 1)):
        part = source if dense else source.rows(slice(first, min(first + outer, queries)))
        for start in range(0, len(part), step):
            yield first + start, np.ascontiguousarray(part[start : start + step])


def count(source: Any, *counters: Counter) -> None:
    """One pass of the counters over all rows; refuses scores that are not finite."""
    for start, block in blocks_of(source):
        check_finite(block, "scores", start)
        for counter in counters:
            counter.add(start, block)
