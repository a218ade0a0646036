"""Cells of a matrix on disk that have another number than the file holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import FloatArray, IntArray


class Filled(NamedTuple):
    """Numbers of single cells of a matrix of some width: of those left out, which hold NaN on disk.

    >>> Filled.of(np.array([1, 0]), np.array([2, 0]), np.array([0.5, 0.1]), 3).into(np.zeros((1, 3)), np.array([1]))
    array([[0. , 0. , 0.5]])
    """

    keys: IntArray
    """Row · width + column of each cell, ascending."""
    values: FloatArray
    width: int

    @classmethod
    def of(cls, rows: IntArray, columns: IntArray, values: FloatArray, width: int) -> Filled:
        """Of cells in any order."""
        keys = rows * width + columns
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], values[order], width)

    def transposed(self, height: int) -> Filled:
        """The same of the transposed matrix; `height` is the number of rows."""
        rows, columns = np.divmod(self.keys, self.width)
        return Filled.of(columns, rows, self.values, height)

    def into(self, block: FloatArray, rows: IntArray) -> FloatArray:
        """Rows (rows,) as they were read (rows, width), with the numbers of their cells."""
        starts = np.searchsorted(self.keys, rows * self.width)
        counts = np.searchsorted(self.keys, (rows + 1) * self.width) - starts
        if not counts.any():
            return block
        owner = np.repeat(np.arange(len(rows)), counts)
        cells = np.arange(len(owner)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
        filled = np.array(block)
        filled[owner, self.keys[cells] % self.width] = self.values[cells]
        return filled

    def at(self, cells: FloatArray, rows: IntArray, columns: IntArray) -> FloatArray:
        """The same of single cells by row and column."""
        if not len(self.keys):
            return cells
        wanted = rows * self.width + columns
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.values[place], cells)
