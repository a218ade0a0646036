"""pandas: data frames in and out."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit.adapters.table import Table
from rerankit.columns import PAIRS
from rerankit.extras import require


class PandasTable(Table):
    """A data frame. An index that only counts its rows labels nothing."""

    def __init__(self, frame: Any, pandas: Any) -> None:
        named = [name for name in frame.index.names if name is not None]
        whole = isinstance(frame.index, pandas.MultiIndex) and len(named) == frame.index.nlevels
        if whole or any(query in named and item in frame.columns for query, item in PAIRS):
            frame = frame.reset_index()  # lines indexed by their query, or by query and item
        self._frame, self._pandas = frame, pandas
        self.names = frame.columns.tolist()
        self.numbered = _counts(frame.columns, pandas)
        self.labels = None if _counts(frame.index, pandas) else np.asarray(frame.index.tolist())

    def column(self, name: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._frame[name].to_numpy()
        return found

    def kinds(self) -> list[str]:
        types, found = self._pandas.api.types, []
        for name, dtype in self._frame.dtypes.items():
            if types.is_integer_dtype(dtype):
                found.append("whole")
            elif types.is_float_dtype(dtype):
                found.append("real")
            else:
                found.append("text" if types.is_string_dtype(self._frame[name]) else "other")
        return found

    def matrix(self, names: list[Any]) -> NDArray[Any]:
        frame = self._frame if names == self.names else self._frame[names]
        extended = any(not isinstance(dtype, np.dtype) for dtype in frame.dtypes)
        # Columns of pandas' own types have a mark for empty cells that NumPy's numbers lack.
        found: NDArray[Any] = frame.to_numpy(np.float64, na_value=np.nan) if extended else frame.to_numpy()
        return found


def _counts(index: Any, pandas: Any) -> bool:
    """Whether an index is 0, 1, 2 …, which was not given; one of every second row says which rows these are."""
    return isinstance(index, pandas.RangeIndex) and (index.start, index.step) == (0, 1)


def opened(value: Any) -> Table | None:
    """The table that a data frame is, or None."""
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    return PandasTable(value, sys.modules["pandas"]) if frame is not None and isinstance(value, frame) else None


def array_of(value: Any) -> NDArray[Any] | None:
    """The values of a series, NaN where its own type has a mark for an empty cell; None for anything else."""
    series = getattr(sys.modules.get("pandas"), "Series", None)
    if series is None or not isinstance(value, series):
        return None
    types = sys.modules["pandas"].api.types
    marked = not isinstance(value.dtype, np.dtype) and types.is_numeric_dtype(value.dtype) and value.hasnans
    found: NDArray[Any] = value.to_numpy(np.float64, na_value=np.nan) if marked else value.to_numpy()
    return found


def frame(columns: dict[str, Any]) -> Any:
    """A data frame of columns."""
    return require("pandas", extra="pandas", purpose="a data frame of pandas").DataFrame(columns)
