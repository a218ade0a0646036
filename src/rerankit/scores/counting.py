"""How many rows of a column score above some values, by products in single precision that are made exact in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.above import Above
from rerankit.scores.products import Products
from rerankit.scores.topk import ascending_bits, flat_nonzero
from rerankit.threads import in_threads

_TALL = 1024  # columns that are counted in together, at most
_WIDE = 4096  # rows whose scores are made at once, at least
_PIECE = 64  # columns that a thread looks through at once
_HIT_BYTES = 80  # that a row takes which scores near or above a column's lowest value
_SHIFT = np.uint64(32)


Hits: TypeAlias = tuple[IntArray, IntArray, FloatArray]
"""Fast scores: each one's line (a place among some items), its row and itself."""


def counts_above(
    products: Products,
    columns: IntArray,
    values: FloatArray,
    less: AnyArray,
    rows: IntArray | None = None,
    kept: Above | None = None,
) -> tuple[IntArray, IntArray]:
    """How many rows score above each value (n,) in its column (n,), and how many score as much; columns ascend.

    `less` (rows,) is taken from the scores of each row first. Scores are products, no distances. `rows` (n,) says whose
    scores the values are, where they are such. `kept` is what was kept of all rows, less the same: what it tells is
    not searched for.
    """
    asked = _Asked(products.T.holding(), less.astype(np.float32), columns, values, rows)
    above, equal = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
    left = np.ones(len(asked.items), bool)
    for some, hits in asked.told_by(kept) if kept is not None and kept.worth else ():
        mine = asked.values_of(some)
        above[mine], equal[mine] = asked.counts(some, hits)
        left[some] = False
    remaining = np.flatnonzero(left)
    parts = [remaining[at : at + _TALL] for at in range(0, len(remaining), _TALL)]
    while parts:
        some = parts.pop()
        found = asked.searched(some)
        if found is None:  # too many to be kept at once
            parts += [some[: len(some) // 2], some[len(some) // 2 :]]
        else:
            mine = asked.values_of(some)
            above[mine], equal[mine] = asked.counts(some, found)
    return above, equal


class _Asked:
    """Values of items; `transposed` has items for rows."""

    def __init__(
        self, transposed: Products, shift: FloatArray, columns: IntArray, values: FloatArray, rows: IntArray | None
    ) -> None:
        self.transposed, self.shift, self.values, self.rows = transposed, shift, values, rows
        self.items, starts = np.unique(columns, return_index=True)
        self.starts, self.sizes = starts, np.diff(np.append(starts, len(columns)))
        self.lowest: FloatArray = np.minimum.reduceat(values, starts) if len(values) else values
        doubt = np.broadcast_to(transposed.doubt(self.items)[:, 0], self.items.shape)
        self.doubt = (doubt + 2.0**-22 * np.abs(shift).max(initial=0)).astype(np.float32)

    def values_of(self, some: IntArray) -> IntArray:
        """The numbers of the values of some items, item by item."""
        sizes = self.sizes[some]
        numbers: IntArray = np.repeat(self.starts[some] - np.cumsum(sizes) + sizes, sizes)
        numbers += np.arange(len(numbers))
        return numbers

    def told_by(self, kept: Above) -> Iterator[tuple[IntArray, Hits]]:
        """Some of the items whose values all lie above the bound of what was kept, and their hits."""
        bound = self.lowest - self.doubt
        told = bound - self.doubt > kept.bound
        for part in kept.parts():
            columns, rows, scores = kept.of(part)
            here = np.flatnonzero(told & (self.items >= part.start) & (self.items < part.stop))
            for some in (here[at : at + _TALL] for at in range(0, len(here), _TALL)):
                lines = np.full(part.stop - part.start, -1)
                lines[self.items[some] - part.start] = np.arange(len(some))
                ends = np.searchsorted(columns, [self.items[some[0]], self.items[some[-1]] + 1])
                mine = lines[columns[slice(*ends)] - part.start]
                wanted = ends[0] + np.flatnonzero((mine >= 0) & (scores[slice(*ends)] > bound[some][mine]))
                yield some, (mine[wanted - ends[0]], rows[wanted], scores[wanted])

    def searched(self, some: IntArray) -> Hits | None:
        """The same by products; None where several items have more rows near their values than the memory budget has
        room for.
        """
        hits, left = [], settings.memory_budget() // _HIT_BYTES
        for hit in _hits(self.transposed, self.items[some], (self.lowest - self.doubt)[some], self.shift):
            hits.append(hit)
            left -= len(hit[0])
            if left < 0 and len(some) > 1:
                return None
        lines, rows, scores = (np.concatenate(each) for each in zip(*hits, strict=True))
        return lines, rows, scores

    def counts(self, some: IntArray, hits: Hits) -> tuple[IntArray, IntArray]:
        """How many rows are above each value of some items, and how many equal."""
        mine, lines = self.values_of(some), np.repeat(np.arange(len(some)), self.sizes[some])
        values, doubt = self.values[mine], self.doubt[some][lines]
        keys = _keys(hits[0], hits[2])
        by_key = np.argsort(keys)
        keys, rows = keys[by_key], hits[1][by_key]
        # Scores that are nearer to a value than single precision tells.
        first = np.searchsorted(keys, _keys(lines, values - doubt))
        behind = np.searchsorted(keys, _keys(lines, values + doubt), side="right")
        many = len(keys) + 1
        near = np.flatnonzero(np.cumsum(np.bincount(first, minlength=many) - np.bincount(behind, minlength=many))[:-1])
        near_lines = (keys[near] >> _SHIFT).astype(np.int64)
        keys[near] = _keys(near_lines, self._exact(some, near_lines, rows[near]))
        keys.sort()
        wanted = _keys(lines, values)
        not_above = np.searchsorted(keys, wanted, side="right")
        ends = np.searchsorted(keys, (np.arange(len(some), dtype=np.uint64) + np.uint64(1)) << _SHIFT)
        return ends[lines] - not_above, not_above - np.searchsorted(keys, wanted)

    def _exact(self, some: IntArray, lines: IntArray, rows: IntArray) -> FloatArray:
        """Exact scores of cells, whose lines ascend, less what is taken from their rows; those among the values are
        read.
        """
        found, left = np.empty(len(lines), np.float32), np.arange(len(lines))
        if self.rows is not None:
            mine = self.values_of(some)
            given = _cells(np.repeat(np.arange(len(some)), self.sizes[some]), self.rows[mine])
            by_cell = np.argsort(given)
            at = by_cell[np.minimum(np.searchsorted(given, _cells(lines, rows), sorter=by_cell), len(given) - 1)]
            known = given[at] == _cells(lines, rows)
            found[known] = self.values[mine][at[known]]
            left = np.flatnonzero(~known)
        lines, rows = lines[left], rows[left]
        counts = np.bincount(lines, minlength=len(some))
        place = np.arange(len(lines)) - np.repeat(np.cumsum(counts) - counts, counts)
        named = np.zeros((len(some), max(1, int(counts.max(initial=0)))), np.int64)
        named[lines, place] = rows
        exact = self.transposed.first_of(self.items[some], named, counts)[lines, place]
        found[left] = exact - self.shift[rows]
        return found


def _hits(transposed: Products, items: IntArray, bound: FloatArray, shift: FloatArray) -> Iterator[Hits]:
    """Fast scores above each item's bound."""
    vectors = transposed.of_rows.read(items)
    width, count = transposed.of_rows.width, len(transposed.of_columns)
    wide = max(_WIDE, min(settings.memory_budget() // 16 // _TALL, settings.memory_budget() // (16 * width)))
    room = np.empty(len(items) * min(wide, count), np.float32)
    for at in range(0, count, wide):
        values = transposed.fast(vectors, transposed.of_columns.read(slice(at, at + wide)), None, room)

        def one(start: int, values: FloatArray = values, at: int = at) -> Hits:
            piece = values[start : start + _PIECE]
            piece -= shift[at : at + piece.shape[1]]
            hits = flat_nonzero(piece > bound[start : start + _PIECE, None])
            lines = hits // piece.shape[1]
            return start + lines, at + hits - lines * piece.shape[1], piece.reshape(-1)[hits]

        yield from in_threads(one, range(0, len(items), _PIECE))


def _cells(lines: IntArray, rows: IntArray) -> NDArray[np.uint64]:
    """A number for each cell."""
    cells: NDArray[np.uint64] = lines.astype(np.uint64) << _SHIFT | rows.astype(np.uint64)
    return cells


def _keys(lines: IntArray, scores: FloatArray) -> NDArray[np.uint64]:
    """Keys that ascend by line, and with the score in it."""
    keys: NDArray[np.uint64] = lines.astype(np.uint64) << _SHIFT | ascending_bits(scores).astype(np.uint64)
    return keys
