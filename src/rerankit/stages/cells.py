"""The cells of a score matrix that matter: each row's and each column's best, kept as a sparse set."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import ListScores, Scores
from rerankit.scores.nearest import nearest
from rerankit.scores.search import Lists


class Cells:
    """Some cells of a matrix (rows, columns), in the order of their keys row · columns + column.

    `rows`, `columns` and `scores` have one entry for each cell.
    """

    of_rows: Lists
    """The first cells of every row, where these were looked for: columns and scores (rows, k)."""

    def __init__(self, keys: IntArray, scores: FloatArray, shape: tuple[int, int]) -> None:
        known = np.isfinite(scores)
        self.keys, self.scores = (keys, scores) if known.all() else (keys[known], scores[known])
        self.shape = shape
        self.rows, self.columns = np.divmod(self.keys, shape[1])
        self.starts = np.searchsorted(self.rows, np.arange(shape[0] + 1))

    @classmethod
    def best(cls, scores: Scores, cells_kept: int | None, also: IntArray | None = None) -> Cells:
        """The first `cells_kept` cells of every row and of every column (None: all cells); lists: all they hold.

        `also` names items (rows, k) whose cells are kept in any case.
        """
        rows, columns = scores.shape
        if isinstance(scores, ListScores):
            return cls(scores.keys, scores.values, scores.shape)
        if cells_kept is None or cells_kept >= max(rows, columns):
            return cls(np.arange(rows * columns), scores.rows().reshape(-1), scores.shape)
        across, forward = nearest(scores, cells_kept)
        down, backward = nearest(scores.T, cells_kept)
        down_keys = (down * columns + np.arange(columns)[:, None]).reshape(-1)
        keys = np.concatenate([_keys(across, columns), down_keys])
        values = np.concatenate([forward.reshape(-1), backward.reshape(-1)])
        keys, first = np.unique(keys, return_index=True)
        values = values[first]
        if also is not None:
            wanted = np.sort(_keys(also, columns))
            missing = wanted[keys[np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)] != wanted]
            found = scores.pairs(*np.divmod(missing, columns))
            place = np.searchsorted(keys, missing)
            keys, values = np.insert(keys, place, missing), np.insert(values, place, found)
        made = cls(keys, values, scores.shape)
        made.of_rows = across, forward
        return made

    def over_rows(self, values: AnyArray) -> AnyArray:
        """Sums (rows,) of the cells' values."""
        return np.bincount(self.rows, values, minlength=self.shape[0])

    def over_columns(self, values: AnyArray) -> AnyArray:
        """Sums (columns,) of the cells' values."""
        return np.bincount(self.columns, values, minlength=self.shape[1])

    def row_highest(self, values: AnyArray) -> AnyArray:
        """The highest value of each row; 0 in a row without cells."""
        highest = np.zeros(self.shape[0])
        some = np.flatnonzero(np.diff(self.starts))
        if len(some):
            highest[some] = np.maximum.reduceat(values, self.starts[some])
        return highest

    def row_shares(self, logits: AnyArray) -> AnyArray:
        """Softmax of the cells' logits within each row."""
        powers = np.exp(logits - self.row_highest(logits)[self.rows])
        shares: AnyArray = powers / self.over_rows(powers)[self.rows]
        return shares

    def at(self, values: AnyArray, rows: IntArray, columns: IntArray, absent: float) -> AnyArray:
        """The values of cells by row and column (any shape, broadcast); `absent` where a cell is not kept."""
        wanted = rows * self.shape[1] + columns
        if not len(self.keys):
            return np.full(wanted.shape, absent)
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, values[place], absent)


def _keys(indices: IntArray, columns: int) -> IntArray:
    rows = np.broadcast_to(np.arange(len(indices))[:, None], indices.shape)
    known = indices >= 0
    keys: IntArray = (rows * columns + indices)[known]
    return keys
