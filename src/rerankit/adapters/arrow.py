"""Arrow: tables and columns of pyarrow, of Hugging Face datasets, and of whatever speaks the PyCapsule protocol."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit.adapters.table import Table
from rerankit.errors import InputError
from rerankit.extras import require

_EXPORTS = ("__arrow_c_stream__", "__arrow_c_array__")


class ArrowTable(Table):
    """A table of pyarrow, whose rows have no labels."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self.names, self.labels, self.numbered = list(table.column_names), None, False

    def column(self, name: str) -> NDArray[Any]:
        return _numbers(self._table.column(name), str(name))

    def kinds(self) -> list[str]:
        types, found = require("pyarrow.types", extra="parquet"), []
        for field in self._table.schema:
            kind = field.type.value_type if types.is_dictionary(field.type) else field.type
            if types.is_integer(kind):
                found.append("whole")
            elif types.is_floating(kind):
                found.append("real")
            else:
                text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
                found.append("text" if text else "other")
        return found


def opened(value: Any) -> Table | None:
    """The table that an object is, or None for one that is none, or only a column."""
    dataset = getattr(sys.modules.get("datasets"), "Dataset", None)
    if dataset is not None and isinstance(value, dataset):
        return ArrowTable(value.with_format("arrow")[:])
    if type(value).__name__ == "Series" or not any(hasattr(type(value), export) for export in _EXPORTS):
        return None  # a series is a column in every library
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {type(value).__name__}")
    if isinstance(value, arrow.Table):
        return ArrowTable(value)
    if not _is_table(arrow, value):
        return None
    return ArrowTable(arrow.table(value))


def _is_table(arrow: Any, value: Any) -> bool:
    """Whether what an object exports has several named columns: a table is a struct to Arrow, and a column is not."""
    if isinstance(value, arrow.Array | arrow.ChunkedArray | arrow.Scalar):
        return False
    if isinstance(value, arrow.RecordBatch | arrow.RecordBatchReader):
        return True
    schema = getattr(value, "__arrow_c_schema__", None)
    if schema is None:
        return hasattr(value, "columns") or hasattr(value, "column_names")
    return bool(arrow.types.is_struct(arrow.field(value).type))


def array_of(value: Any, argument: str) -> NDArray[Any] | None:
    """The numbers of a column, vectors as rows; None for anything else."""
    datasets = sys.modules.get("datasets")
    if datasets is not None and type(value).__name__ == "Column" and type(value).__module__.startswith("datasets."):
        return array_of(value.source.with_format("arrow")[:].column(value.column_name), argument)
    if not any(hasattr(type(value), export) for export in _EXPORTS):
        return None
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {type(value).__name__}")
    if not isinstance(value, arrow.Array | arrow.ChunkedArray):
        export = hasattr(type(value), "__arrow_c_stream__")
        value = arrow.chunked_array(value) if export else arrow.array(value)
    return _numbers(value, argument)


def _numbers(column: Any, name: str) -> NDArray[Any]:
    """A column as an array; lists of one length are the rows of a matrix."""
    types = require("pyarrow.types", extra="parquet")
    if isinstance(column, require("pyarrow", extra="parquet").ChunkedArray):  # a table's columns come in pieces
        column = column.combine_chunks()
        if hasattr(column, "num_chunks"):  # which older versions keep
            column = column.chunk(0)
    if column.null_count:
        raise InputError(f"'{name}' must have a value in every row (got {column.null_count} empty cells)")
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if types.is_fixed_size_list(column.type) or types.is_list(column.type) or types.is_large_list(column.type):
        return _vectors(column, name)
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _vectors(column: Any, name: str) -> NDArray[Any]:
    values = column.flatten()
    if values.null_count:
        raise InputError(f"'{name}' must have vectors without empty cells (got {values.null_count})")
    width = len(values) // max(len(column), 1)
    lengths = np.asarray(column.value_lengths()) if not hasattr(column.type, "list_size") else np.array([width])
    if np.any(lengths != width):
        found = np.unique(lengths)
        raise InputError(f"'{name}' must have vectors of one length (got {found[0]} to {found[-1]} numbers)")
    return _numbers(values, name).reshape(len(column), width)


def table(columns: dict[str, Any]) -> Any:
    """A table of columns."""
    return require("pyarrow", extra="parquet", purpose="a table of Arrow").table(columns)
