"""Parquet: a table with the columns `query`, `item` and `score` (or `grade`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.formats.content import Format, Triples
from rerankit.formats.delimited import ITEM_COLUMNS, VALUE_COLUMNS


class ParquetFormat(Format):
    """A run or judgements as a table."""

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    holds: ClassVar[tuple[type, ...]] = (Triples,)
    description: ClassVar[str] = "columns query, item and score or grade (extra: parquet)"

    def read(self, path: Path) -> Triples:
        """The three columns; others are left alone."""
        parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
        names = parquet.read_schema(path).names
        values = [name for name in VALUE_COLUMNS if name in names]
        if len(values) != 1 or not set(ITEM_COLUMNS) <= set(names):
            raise FormatError(f"{path}: must have the columns query, item and one of score, grade (got {names})")
        table = parquet.read_table(path, columns=[*ITEM_COLUMNS, values[0]])
        queries, items = (_texts(path, table, name) for name in ITEM_COLUMNS)
        return Triples(queries, items, _numbers(path, table, values[0]), VALUE_COLUMNS[values[0]])

    def write(self, path: Path, content: Triples) -> None:
        """Write a table; scores are stored as float32."""
        arrow = require("pyarrow", extra="parquet", purpose=f"writing {path.name}")
        parquet = require("pyarrow.parquet", extra="parquet")
        value = next(name for name, what in VALUE_COLUMNS.items() if what == content.what)
        columns = {"query": content.queries, "item": content.items, value: content.values.astype(np.float32)}
        parquet.write_table(arrow.table(columns), path)


def _texts(path: Path, table: Any, name: str) -> list[str]:
    column = table.column(name)
    if column.null_count:
        raise FormatError(f"{path}: column '{name}' has {column.null_count} empty cells")
    return [str(value) for value in column.to_pylist()]


def _numbers(path: Path, table: Any, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    column = table.column(name)
    values = column.to_numpy()
    if values.dtype.kind not in "iuf":
        raise FormatError(f"{path}: column '{name}' must be numbers (got {column.type})")
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found)))
        raise FormatError(f"{path}: column '{name}', row {row} must be finite (got {found[row]})")
    return found
