"""Tables of other libraries behind one face: named columns, perhaps with labelled rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Table(ABC):
    """A table of another library.

    `names` are those of its columns; `labels` (rows,) the names of its rows, or None; `numbered` says that the columns
    have names that were not given, such as 0, 1, 2.
    """

    names: list[Any]
    labels: NDArray[Any] | None
    numbered: bool

    @abstractmethod
    def column(self, name: Any) -> NDArray[Any]:
        """One column (rows,), numbers or objects; None, NaN and the library's own mark stand for an empty cell."""

    @abstractmethod
    def kinds(self) -> list[str]:
        """What each column holds: "whole" and "real" numbers, "text", or "other"."""

    def matrix(self, names: list[Any]) -> NDArray[Any]:
        """Some columns side by side (rows, columns)."""
        return np.stack([self.column(name) for name in names], axis=1)
