"""What tables next to shards say of their rows: ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.reading.arrow_files import ParquetColumns
from rerankit.shards.names import Numbered, in_order
from rerankit.shards.shards import Shards

ID_COLUMNS = ("image_path", "key", "id", "uid", "image_id", "url")
"""Columns that name an item, the first that is there."""


def ids_of_shards(folder: Path, shards: Shards) -> AnyArray | None:
    """The ids of the items of shards, from tables of the same numbers, each with a row for each vector; None where no
    column names the items.
    """
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {folder}")
    tables = _by_number(folder, shards)
    column = next((name for name in ID_COLUMNS if name in parquet.read_schema(tables[0].file).names), None)
    found = [_column(parquet, table.file, column, rows) for table, rows in zip(tables, _rows(shards), strict=True)]
    return None if column is None else np.concatenate(found)


def _by_number(folder: Path, shards: Shards) -> list[Numbered]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".parquet")
    tables = in_order(files) if files else []
    vectors = in_order(shards.paths)
    wanted, there = {each.number for each in vectors}, {each.number for each in tables}
    for each in vectors:
        if each.number not in there:
            raise FormatError(f"{folder}: has no table for {each.file.name} (its number is {each.number})")
    for each in tables:
        if each.number not in wanted:
            raise FormatError(f"{each.file}: has no shard of vectors (its number is {each.number})")
    return tables


def _rows(shards: Shards) -> list[tuple[Path, int]]:
    return list(shards.sizes.items())


def _column(parquet: Any, table: Path, name: str | None, shard: tuple[Path, int]) -> AnyArray:
    """The ids of one table; one of another number of rows belongs to other vectors."""
    try:
        count = parquet.read_metadata(table).num_rows
        values = [] if name is None else ParquetColumns(table, [name]).table().column(0).to_pylist()
    except FormatError:
        raise
    except Exception as cause:  # whatever pyarrow raises on a damaged file, or one without the column
        raise FormatError(f"{table}: cannot be read: {str(cause).splitlines()[0]}") from cause
    if count != shard[1]:
        raise FormatError(f"{table}: must have a row for each vector of {shard[0].name}, {shard[1]} (got {count})")
    if any(value is None for value in values):
        raise FormatError(f"{table}: column '{name}' has {sum(value is None for value in values)} empty cells")
    whole = bool(values) and all(type(value) is int for value in values)
    return np.array(values, np.int64) if whole else np.array([str(value) for value in values])
