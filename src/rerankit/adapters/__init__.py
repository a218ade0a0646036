"""What other libraries hand over and take: one file for each of them.

None of these libraries is imported unless the user's object is already theirs, or the user calls the method that makes
one (`ranking.to_pandas()`). An object is recognised by looking at what the process has imported: no process has a data
frame without having imported what makes it. What an object means (a matrix, a run) is decided in `rerankit.labelled`,
for all libraries alike.

Tables and arrays come in below everything else. Other files are bridges above, which are imported by name: `faiss` and
its like make problems of what a library finds, `mteb`, `langchain` and theirs put stages into its programs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rerankit.adapters import arrow, pandas, polars, ranx, xarray
from rerankit.adapters.table import Table

_TABLES: tuple[Callable[[Any], Table | None], ...] = (pandas.opened, polars.opened, xarray.opened, arrow.opened)

__all__ = ["Table", "ranx_values", "table_of"]


def table_of(value: Any) -> Table | None:
    """The table that another library's object is, or None."""
    if isinstance(value, Table):  # opened already: a stream is read once
        return value
    return next((table for opened in _TABLES if (table := opened(value)) is not None), None)


def ranx_values(value: Any) -> tuple[dict[str, dict[str, float]], str] | None:
    """The lines of ranx's `Run` and `Qrels`, and whether they are scores or grades; None for anything else."""
    return ranx.opened(value)
