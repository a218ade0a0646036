"""Cells above one bound, kept while rows are searched, so that counting them needs no second pass."""

from __future__ import annotations

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores.topk import flat_nonzero
from rerankit.threads import in_threads

_CELL_BYTES = 8  # that a kept cell takes
_PIECE = 64  # rows that a thread looks through at once
_EVERY = 64  # of so many kept cells one says where their middle is


class Above:
    """Cells (rows, columns) whose fast score, less `less` (rows,), is above a bound.

    `ends` (n,) are the last scores of some rows' lists, less what is taken from them: the bound is the lowest, and is
    raised where the memory budget has no room for all that is above it. No answer depends on it.

    >>> above = Above(np.zeros(2), np.float32([2, 3, 4]))
    >>> above.add(slice(0, 2), slice(0, 2), np.float32([[1, 5], [7, 2]]))
    >>> [part.tolist() for part in above.of(slice(0, 2))]
    [[0, 1], [1, 0], [7.0, 5.0]]
    """

    def __init__(self, less: AnyArray, ends: FloatArray) -> None:
        self.less = less.astype(np.float32)
        self.bound, self._most = np.float32(ends.min()), np.float32(np.median(ends))
        self._room = settings.memory_budget() // _CELL_BYTES
        self._count = 0
        self._kept: dict[tuple[int, int], list[tuple[int, AnyArray, FloatArray]]] = {}  # by columns

    @property
    def worth(self) -> bool:
        """Whether half of the rows' lists are above the bound: with less, few columns are."""
        return bool(self.bound <= self._most)

    def add(self, rows: slice, columns: slice, values: FloatArray) -> None:
        """Take in a tile (rows, columns) of fast scores."""
        if not self.worth:
            return
        less, width = self.less[rows], values.shape[1]
        least = less + self.bound

        def one(at: int) -> tuple[int, AnyArray, FloatArray]:
            piece = values[at : at + _PIECE]
            hits = flat_nonzero(piece > least[at : at + _PIECE, None])
            return rows.start + at, hits.astype(np.uint32), piece.reshape(-1)[hits] - less[at + hits // width]

        found = in_threads(one, range(0, len(values), _PIECE))
        self._kept.setdefault((columns.start, columns.stop), []).extend(found)
        self._count += sum(len(scores) for _, _, scores in found)
        while self._count > self._room:
            self._raise()

    def _raise(self) -> None:
        """Keep the higher half alone, or nothing where that is not worth it."""
        some = np.concatenate([scores[::_EVERY] for batches in self._kept.values() for _, _, scores in batches])
        self.bound = max(np.median(some), np.nextafter(self.bound, np.float32(np.inf)))
        self._kept = {} if not self.worth else self._kept
        self._count = 0
        for batches in self._kept.values():
            for at, (first, hits, scores) in enumerate(batches):
                higher = scores > self.bound
                batches[at] = first, hits[higher], scores[higher]
                self._count += len(batches[at][2])

    def parts(self) -> list[slice]:
        """Runs of columns, ascending, whose cells `of` tells."""
        return [slice(*part) for part in sorted(self._kept)]

    def of(self, part: slice) -> tuple[IntArray, IntArray, FloatArray]:
        """The columns, rows and scores of a part's cells, by column."""
        batches, width = self._kept[part.start, part.stop], part.stop - part.start
        hits = np.concatenate([hits for _, hits, _ in batches])
        firsts = np.repeat([first for first, _, _ in batches], [len(hits) for _, hits, _ in batches])
        lines = hits // np.uint32(width)
        columns = hits - lines * np.uint32(width)
        by_column = np.argsort(columns, kind="stable")
        scores = np.concatenate([scores for _, _, scores in batches])[by_column]
        return part.start + columns[by_column].astype(np.int64), (firsts + lines)[by_column], scores
