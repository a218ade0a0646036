"""Vectors that lie in files: rows are read when they are asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray


class StoredRows(ABC):
    """Vectors (n, d) in files. It is asked like an array, by a slice or by numbers of rows; `np.asarray` reads all."""

    ndim = 2
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, rows: slice | IntArray) -> AnyArray:
        """Some rows (rows, d) in the type in which they are stored."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Where a row lies, in words: a file, and which of its rows."""

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What all of it takes as it is stored."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:
        return np.array(self[:], dtype, copy=True) if copy else np.asarray(self[:], dtype)
