"""Parquet: a table with columns of queries, items and scores (or grades), named as in `rerankit.columns`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.columns import PAIRS, columns_of
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.formats import headless
from rerankit.formats.content import Content, Format, Triples
from rerankit.formats.delimited import value_column
from rerankit.reading.arrow_files import ParquetColumns, texts_of
from rerankit.shards import open_one
from rerankit.shards.parts import has_vectors


class ParquetFormat(Format):
    """A run or judgements as a table."""

    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)
    holds: ClassVar[tuple[type, ...]] = (Triples,)
    description: ClassVar[str] = "columns query, item and score or grade, by any usual names (extra: parquet)"

    def read(self, path: Path) -> Content:
        """The three columns, or the one of vectors; others are left alone."""
        parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
        schema = parquet.read_schema(path)
        names, columns = schema.names, columns_of(schema.names)
        if columns is None and has_vectors(schema):
            return open_one(path)
        if columns is None:
            pairs = " or ".join("/".join(pair) for pair in PAIRS)
            raise FormatError(f"{path}: must have the columns {pairs}, and score or grade (got {names})")
        wanted = [columns.query, columns.item, columns.value, *([columns.rank] if columns.rank else [])]
        table = ParquetColumns(path, wanted, texts=wanted[:2]).table()
        queries, items = (_texts(path, table, name) for name in wanted[:2])
        ranks = table.column(columns.rank).to_pylist() if columns.rank else None
        return headless.named_lines(queries, items, _numbers(path, table, columns.value), columns, ranks)

    def write(self, path: Path, content: Triples) -> None:
        """Write a table; scores are stored as float32."""
        arrow = require("pyarrow", extra="parquet", purpose=f"writing {path.name}")
        parquet = require("pyarrow.parquet", extra="parquet")
        values = content.values.astype(np.float32)
        columns = {"query": content.queries, "item": content.items, value_column(content): values}
        parquet.write_table(arrow.table(columns), path, write_page_checksum=True)


def _texts(path: Path, table: Any, name: str) -> list[str]:
    column = table.column(name)
    if column.null_count:
        raise FormatError(f"{path}: column '{name}' has {column.null_count} empty cells")
    return texts_of(column)


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
