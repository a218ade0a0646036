"""polars: data frames and series in, data frames out."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import NDArray

from rerankit.adapters.table import Table
from rerankit.extras import require


class PolarsTable(Table):
    """A data frame, whose rows have no labels."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names, self.labels = list(frame.columns), None
        self.numbered = self.names == [f"column_{number}" for number in range(len(self.names))]

    def column(self, name: str) -> NDArray[Any]:
        found: NDArray[Any] = self._frame[name].to_numpy()
        return found

    def kinds(self) -> list[str]:
        polars, found = sys.modules["polars"], []
        for dtype in self._frame.dtypes:
            if dtype.is_integer():
                found.append("whole")
            elif dtype.is_float():
                found.append("real")
            else:
                texts = (polars.String, polars.Categorical, polars.Enum)
                found.append("text" if isinstance(dtype, texts) else "other")
        return found


def opened(value: Any) -> Table | None:
    """The table that a data frame is, or None; a lazy frame is collected."""
    polars = sys.modules.get("polars")
    if polars is None or not hasattr(polars, "DataFrame"):
        return None
    if isinstance(value, polars.LazyFrame):
        value = value.collect()
    return PolarsTable(value) if isinstance(value, polars.DataFrame) else None


def array_of(value: Any) -> NDArray[Any] | None:
    """The numbers of a series, vectors of a list or array column as rows; None for anything else."""
    series = getattr(sys.modules.get("polars"), "Series", None)
    if series is None or not isinstance(value, series):
        return None
    found: NDArray[Any] = value.to_numpy()
    return found


def frame(columns: dict[str, Any]) -> Any:
    """A data frame of columns."""
    return require("polars", extra="polars", purpose="a data frame of polars").DataFrame(columns)
