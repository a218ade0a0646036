"""Scores in a file of h5py or zarr, read block by block."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from rerankit import settings
from rerankit.arrays import AnyArray, FloatArray, IntArray, float32
from rerankit.errors import rule
from rerankit.finite import check_scores
from rerankit.scores.blocks import blocks
from rerankit.scores.dense import DenseScores
from rerankit.scores.filled import Filled
from rerankit.scores.taken import TakenScores
from rerankit.scores.topk import topk_in_blocks

_KEPT = 0.25
"""The share of the memory budget within which the whole matrix is read at once."""
_SPREAD = 2
"""Rows that are read for each one that is asked for, before they are read one by one."""


class StoredScores:
    """A matrix of scores (rows, columns) in a file that another library reads; the file must stay open.

    Blocks are read as slices of the matrix, in float32, and checked for NaN and infinities as they are read.
    """

    complete = True

    def __init__(
        self, array: Any, argument: str = "scores", *, transposed: bool = False, filled: Filled | None = None
    ) -> None:
        self._array, self._argument, self._transposed = array, argument, transposed
        self._filled = filled  # cells that are left out, and hold no number in the file

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"StoredScores({rows} × {columns}, {self._array.dtype})"

    @property
    def shape(self) -> tuple[int, int]:
        shape = int(self._array.shape[0]), int(self._array.shape[1])
        return shape[::-1] if self._transposed else shape

    @property
    def T(self) -> StoredScores:  # noqa: N802
        filled = None if self._filled is None else self._filled.transposed(self.shape[0])
        return StoredScores(self._array, self._argument, transposed=not self._transposed, filled=filled)

    def rows(self, rows: slice | IntArray | None = None) -> FloatArray:
        chosen = np.arange(self.shape[0])[slice(None) if rows is None else rows]
        wanted, place = np.unique(chosen, return_inverse=True)
        block = np.empty((len(wanted), self.shape[1]), np.float32)
        for start, stop in _spans(wanted):
            first, last = int(wanted[start]), int(wanted[stop - 1]) + 1
            block[start:stop] = self._slice(first, last)[wanted[start:stop] - first]
        block = block if len(block) == len(chosen) and np.array_equal(wanted, chosen) else block[place.reshape(-1)]
        block = block if self._filled is None else self._filled.into(block, chosen)
        check_scores(block, self._argument, chosen)
        return block

    def pairs(self, rows: IntArray, columns: IntArray) -> FloatArray:
        rows, columns = np.broadcast_arrays(rows, columns)
        cells = np.empty(rows.size, np.float32)
        order = np.argsort(rows, axis=None, kind="stable")
        row, column = rows.reshape(-1)[order], columns.reshape(-1)[order]
        wanted, starts = np.unique(row, return_index=True)
        starts = np.append(starts, len(row))
        for block in blocks(len(wanted), self.shape[1] * 4 * (_SPREAD + 1)):
            here = slice(starts[block.start], starts[block.stop])
            read = self.rows(wanted[block])
            cells[order[here]] = read[np.searchsorted(wanted[block], row[here]), column[here]]
        return cells.reshape(rows.shape)

    def topk(self, k: int) -> tuple[IntArray, FloatArray]:
        return topk_in_blocks(self, k)

    def take(self, rows: IntArray | None = None, columns: IntArray | None = None) -> TakenScores:
        return TakenScores(self, rows, columns)

    def _slice(self, start: int, stop: int) -> FloatArray:
        read: AnyArray = self._array[:, start:stop] if self._transposed else self._array[start:stop]
        return float32(read.T if self._transposed else read, self._argument)


def stored_scores(array: Any, argument: str) -> StoredScores | DenseScores:
    """Scores of an array on disk: read now where that is little, later and block by block where it is not."""
    array = read_at_once(array, argument)
    return DenseScores(array, argument) if isinstance(array, np.ndarray) else StoredScores(array, argument)


def read_at_once(array: Any, argument: str) -> Any:
    """An array on disk, or what it holds where that is little."""
    if len(array.shape) != 2 or 0 in array.shape:
        raise rule(argument, "must have two dimensions and not be empty", f"shape {tuple(array.shape)}")
    if array.dtype.kind not in "fiu":
        raise rule(argument, "must hold real numbers", f"dtype {array.dtype}")
    size = array.shape[0] * array.shape[1] * array.dtype.itemsize
    return np.asarray(array[:]) if size <= settings.memory_budget() * _KEPT else array


def _spans(rows: IntArray) -> list[tuple[int, int]]:
    """Ascending rows cut where the gaps are wide: (start, stop) of those that are read with one slice."""
    ends = np.flatnonzero(np.diff(rows) > _SPREAD) + 1
    edges = [0, *ends.tolist(), len(rows)]
    return [(start, stop) for start, stop in pairwise(edges) if stop > start]
