"""Several files of vectors as one array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import FormatError
from rerankit.rows import StoredRows


class VectorFile(Protocol):
    """Vectors (rows, d) of one file, or of a part of one."""

    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, d)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which the numbers are stored."""

    def __getitem__(self, rows: slice | IntArray) -> AnyArray:
        """Some of the rows."""


class Shards(StoredRows):
    """Vectors (n, d) in several files, one below the other. It pickles as the paths of its files.

    `shards[rows]` reads some of them, in the type in which they are stored; `shards.sizes` has the rows of each file.
    """

    def __init__(self, parts: Sequence[VectorFile], opened_by: tuple[Callable[..., Shards], tuple[Any, ...]]) -> None:
        self._parts = list(parts)
        self._opened_by = opened_by
        self._check()
        self._ends: IntArray = np.cumsum([part.shape[0] for part in self._parts])
        self.shape = int(self._ends[-1]), int(self._parts[0].shape[1])
        self.dtype = self._parts[0].dtype

    def _check(self) -> None:
        first = self._parts[0]
        for part in self._parts:
            if len(part.shape) != 2 or part.shape[1] == 0 or part.dtype.kind not in "fiu":
                raise FormatError(f"{part.path}: must hold vectors (rows, d) (got {part.dtype}, shape {part.shape})")
            if part.shape[1] != first.shape[1]:
                raise FormatError(
                    f"{part.path}: must have the width of {first.path.name}, {first.shape[1]} (got {part.shape[1]})"
                )
            if part.dtype != first.dtype:
                raise FormatError(
                    f"{part.path}: must have the dtype of {first.path.name}, {first.dtype} (got {part.dtype})"
                )
        if not sum(part.shape[0] for part in self._parts):
            raise FormatError(f"{first.path.parent}: its shards have no rows")

    @property
    def paths(self) -> list[Path]:
        """The files, in order."""
        return list(dict.fromkeys(part.path for part in self._parts))

    @property
    def sizes(self) -> dict[Path, int]:
        """The number of rows of each file."""
        found = dict.fromkeys(self.paths, 0)
        for part in self._parts:
            found[part.path] += part.shape[0]
        return found

    def place(self, row: int) -> str:
        number = int(np.searchsorted(self._ends, row, side="right"))
        path = self._parts[number].path
        first = next(n for n, part in enumerate(self._parts) if part.path == path)
        return f"{path}, row {row - self._start(first)}"

    def __getitem__(self, rows: Any) -> AnyArray:
        if isinstance(rows, tuple):  # some columns of all rows, as a matrix that is read the other way round asks for
            every, columns = rows
            return np.concatenate([part[every][:, columns] for part in self._parts])
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._run(start, stop) if step == 1 else self._some(np.arange(start, stop, step))
        if np.ndim(rows) == 0:
            row: AnyArray = self._some(np.asarray([range(len(self))[rows]]))[0]
            return row
        return self._some(np.asarray(rows, np.int64))

    def _start(self, number: int) -> int:
        return int(self._ends[number - 1]) if number else 0

    def _run(self, start: int, stop: int) -> AnyArray:
        """Neighbouring rows; those of one file are not copied."""
        pieces = []
        for number in range(int(np.searchsorted(self._ends, start, side="right")), len(self._parts)):
            first = self._start(number)
            if first >= stop:
                break
            pieces.append(self._parts[number][max(start - first, 0) : stop - first])
        if not pieces:
            return np.empty((0, self.shape[1]), self.dtype)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _some(self, rows: IntArray) -> AnyArray:
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        number = np.searchsorted(self._ends, rows, side="right")
        for each in np.unique(number):
            chosen = np.flatnonzero(number == each)
            found[chosen] = self._parts[each][rows[chosen] - self._start(int(each))]
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return self._opened_by

    def __repr__(self) -> str:
        rows, width = self.shape
        return f"Shards({rows} × {width}, {self.dtype}, {len(self.paths)} files in {self._parts[0].path.parent})"
