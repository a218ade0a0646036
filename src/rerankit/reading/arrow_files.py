"""Columns of Parquet and Arrow files of others: within limits, and what has checksums compared with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import check_regular

_WHAT = "what is read of it"
_ROWS = 16_384  # read at once


def open_parquet(path: Path, columns: Sequence[str], texts: Sequence[str] = ()) -> Any:
    """A Parquet file of which these columns are to be read; one that unpacks to more than the limits allow is refused.

    Of `texts`, columns among them, each different text is kept once.
    """
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
    file = parquet.ParquetFile(check_regular(path), page_checksum_verification=True, read_dictionary=list(texts))
    lost = [name for name in columns if name not in file.schema_arrow.names]
    if lost:
        raise FormatError(f"{path}: must have the column '{lost[0]}' (got {', '.join(file.schema_arrow.names)})")
    # What is repeated takes no room in the file, and eight bytes or so when it is read.
    limits.check_ratio(path, path.stat().st_size, 8 * file.metadata.num_rows * len(columns), _WHAT)
    return file


def batches_of(path: Path, file: Any, columns: Sequence[str]) -> Iterator[Any]:
    """Some rows at a time, as batches of Arrow, until they are more than the limits allow."""
    size = 0
    for batch in file.iter_batches(columns=list(columns), batch_size=_ROWS):
        size += batch.nbytes
        limits.check_ratio(path, path.stat().st_size, size, _WHAT)
        yield batch


def read_parquet(path: Path, columns: Sequence[str], texts: Sequence[str] = ()) -> Any:
    """Some columns as a table of Arrow."""
    file = open_parquet(path, columns, texts)
    batches = list(batches_of(path, file, columns))
    table = require("pyarrow", extra="parquet").Table.from_batches(batches) if batches else None
    return file.schema_arrow.empty_table().select(list(columns)) if table is None else table


def texts_of(column: Any) -> list[str]:
    """The values of a column as texts; one that is repeated is one object."""
    found: list[str] = []
    for chunk in column.chunks:
        words = getattr(chunk, "dictionary", chunk).to_pylist()
        said = list(map(str, words))
        found += said if not hasattr(chunk, "dictionary") else [said[number] for number in chunk.indices.to_pylist()]
    return found


def arrow_columns(path: Path, file: Any, name: str) -> Iterator[Any]:
    """A column of each batch of an Arrow file, whose parts have been found to lie where they are said to."""
    size = 0
    for number in range(file.num_record_batches):
        column = file.get_batch(number).column(name)
        column.validate(full=True)  # else Arrow ends the process when it reads what is not there
        size += column.nbytes
        limits.check_ratio(path, path.stat().st_size, size, _WHAT)
        yield column
