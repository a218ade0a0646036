"""The best of many lists at once, and the lowest, while candidates come in blocks."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.scores.topk import LAST, Keys, flat_nonzero, indices_of, keys_of, scores_of, select, smallest_keys
from rerankit.threads import in_threads

_PIECE_BYTES = 4_000_000  # of a block that a thread looks through at once
_LISTS = 512  # that a thread puts in order at once
_SHORT = 2**16  # numbers below it are put in order several times as fast
_FLOOD = 16  # candidates of a list in one block that may score lowest: of more, no account is kept


class Best:
    """The `most` best candidates of every list, by the tie rule but for candidates that tie with the last.

    A list keeps up to twice as many, and a bound that its last best one gives: of a block, only what is above the bound
    is looked at again.

    >>> best = Best(2, 1)
    >>> best.add_rows(slice(0, 2), np.float32([[1, 5], [7, 2]]), 0)
    >>> best.add_columns(slice(0, 2), np.float32([[6, 3]]), 2)
    >>> best.lists()
    (array([[2],
           [0]]), array([[6.],
           [7.]], dtype=float32))
    """

    def __init__(self, lists: int, most: int) -> None:
        self.most = most
        self._keys = np.full((lists, 2 * most), LAST)
        self._counts = np.zeros(lists, np.int64)
        self._bound = np.full(lists, -np.inf, np.float32)

    def add_rows(self, lists: slice, values: FloatArray, first: int) -> None:
        """Take in a block (lists, candidates) of the candidates from `first` on."""

        def one(at: int) -> None:
            here = slice(lists.start + at, min(lists.start + at + piece, lists.stop))
            self._add(here, values[at : at + piece], first)

        piece = max(1, _PIECE_BYTES // (4 * values.shape[1]))
        in_threads(one, range(0, len(values), piece))

    def add_columns(self, lists: slice, values: FloatArray, first: int, less: FloatArray | None = None) -> None:
        """The same of a block (candidates, lists); `less` (candidates,) is taken from the values of each candidate."""

        def one(at: int) -> None:
            here = slice(lists.start + at, min(lists.start + at + piece, lists.stop))
            part = values[:, at : at + piece]
            self._add_transposed(here, part if less is None else part - less[:, None], first)

        piece = max(64, _PIECE_BYTES // (4 * len(values)))
        in_threads(one, range(0, values.shape[1], piece))

    def lists(self) -> tuple[IntArray, FloatArray]:
        """The best of every list (lists, most), best first, padded −1, −inf."""
        indices = np.empty((len(self._keys), self.most), np.int64)
        scores = np.empty(indices.shape, np.float32)

        def one(at: int) -> None:
            part = slice(at, at + _LISTS)
            keys = select(self._keys[part], self.most)
            indices[part], scores[part] = indices_of(keys), scores_of(keys)

        in_threads(one, range(0, len(indices), _LISTS))
        return indices, scores

    def _add(self, lists: slice, values: FloatArray, first: int) -> None:
        if not self._counts[lists].all():
            self._add_all(np.arange(lists.start, lists.stop), values, first)
            return
        hits = flat_nonzero(np.greater(values, self._bound[lists, None]))
        rows = hits // values.shape[1]
        self._insert(lists, rows, hits - rows * values.shape[1], values, first)

    def _add_transposed(self, lists: slice, values: FloatArray, first: int) -> None:
        if not self._counts[lists].all():
            self._add_all(np.arange(lists.start, lists.stop), values.T, first)
            return
        width = values.shape[1]
        hits = flat_nonzero(np.greater(values, self._bound[lists]))
        rows = hits // width
        columns = hits - rows * width
        by_list = np.argsort(columns.astype(np.uint16) if width <= _SHORT else columns, kind="stable")
        self._insert(lists, columns[by_list], rows[by_list], values.T, first)

    def _insert(self, lists: slice, where: IntArray, candidates: IntArray, values: FloatArray, first: int) -> None:
        """Hits, ordered by their list; `values` (lists, candidates)."""
        new = np.bincount(where, minlength=lists.stop - lists.start)
        flooded = np.flatnonzero(new > self.most)
        if len(flooded):
            self._add_all(lists.start + flooded, values[flooded], first)
            kept = new[where] <= self.most
            where, candidates, new[flooded] = where[kept], candidates[kept], 0
        self._make_room(lists.start + np.flatnonzero(self._counts[lists] + new > 2 * self.most))
        place = np.arange(len(where)) - np.repeat(np.cumsum(new) - new, new) + self._counts[lists][where]
        self._keys[lists.start + where, place] = keys_of(values[where, candidates], first + candidates)
        self._counts[lists] += new

    def _add_all(self, lists: IntArray, values: FloatArray, first: int) -> None:
        """A block that may hold more than a list has room for."""
        keys = smallest_keys(np.ascontiguousarray(values), self.most, first)
        known = np.concatenate([self._keys[lists], keys], axis=1) if self._counts[lists].any() else keys
        self._keep(lists, select(known, self.most))

    def _make_room(self, lists: IntArray) -> None:
        """Leave the best alone, in front."""
        if len(lists):
            self._keep(lists, select(self._keys[lists], self.most))

    def _keep(self, lists: IntArray, best: Keys) -> None:
        self._keys[lists] = LAST
        self._keys[lists, : best.shape[1]] = best
        self._counts[lists] = self.most  # padding counts as well: it goes when room is made
        if best.shape[1] == self.most:
            self._bound[lists] = scores_of(best[:, -1])


class Lowest:
    """The candidates of every list that may score lowest, since their scores are nearer to the lowest than `doubt`
    (lists,).

    >>> lowest = Lowest(np.float32([0.5, 0.5]))
    >>> lowest.add_rows(slice(0, 2), np.float32([[1, 5], [7, 2]]), 0)
    >>> lowest.add_columns(slice(0, 2), np.float32([[6, 2.4]]), 2)
    >>> [each.tolist() for each in lowest.cells()], lowest.flooded.tolist()
    ([[0, 1, 1], [0, 1, 2]], [False, False])
    """

    def __init__(self, doubt: FloatArray) -> None:
        self._doubt = doubt
        self._bound = np.full(len(doubt), np.inf, np.float32)
        self._found: list[tuple[IntArray, IntArray, FloatArray]] = []
        self.flooded = np.zeros(len(doubt), bool)
        """The lists (lists,) of which no account is kept."""

    def add_rows(self, lists: slice, values: FloatArray, first: int) -> None:
        """Take in a block (lists, candidates) of the candidates from `first` on."""
        self._add(lists, *self._near(lists, values, axis=1), first)

    def add_columns(self, lists: slice, values: FloatArray, first: int) -> None:
        """The same of a block (candidates, lists)."""
        candidates, where, found = self._near(lists, values, axis=0)
        self._add(lists, where, candidates, found, first)

    def _near(self, lists: slice, values: FloatArray, axis: int) -> tuple[IntArray, IntArray, FloatArray]:
        """The cells (rows, columns, values) within the bounds of their lists, whose candidates lie along `axis`."""
        bound = self._bound[lists]
        if np.isinf(bound).any():  # a pass that later blocks do not need
            np.minimum(bound, values.min(axis=axis) + self._doubt[lists], out=bound)

        def one(at: int) -> tuple[IntArray, IntArray, FloatArray]:
            part = values[at : at + piece]
            hits = flat_nonzero(part <= (bound[at : at + piece, None] if axis else bound))
            rows = hits // part.shape[1]
            columns = hits - rows * part.shape[1]
            return at + rows, columns, part[rows, columns]

        piece = max(1, _PIECE_BYTES // (4 * values.shape[1]))
        parts = in_threads(one, range(0, len(values), piece))
        rows, columns, found = (np.concatenate(each) for each in zip(*parts, strict=True))
        return rows, columns, found

    def _add(self, lists: slice, where: IntArray, candidates: IntArray, values: FloatArray, first: int) -> None:
        bound = self._bound[lists]
        np.minimum.at(bound, where, values + self._doubt[lists][where])
        kept = values <= bound[where]
        where, candidates, values = where[kept], candidates[kept], values[kept]
        counts = np.bincount(where, minlength=lists.stop - lists.start)
        flooded = self.flooded[lists] | (counts > _FLOOD)
        if flooded.any():
            self.flooded[lists] = flooded
            kept = ~flooded[where]
            where, candidates, values = where[kept], candidates[kept], values[kept]
        self._found.append((lists.start + where, first + candidates, values))

    def cells(self) -> tuple[IntArray, IntArray]:
        """Lists, ascending, and their candidates: one or more of every list that is not flooded."""
        lists, candidates, values = (np.concatenate(each) for each in zip(*self._found, strict=True))
        kept = np.flatnonzero((values <= self._bound[lists]) & ~self.flooded[lists])
        kept = kept[np.argsort(lists[kept], kind="stable")]
        return lists[kept], candidates[kept]
