"""Columns of Parquet and Arrow files of others: within limits, and what has checksums compared with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import check_regular


def open_parquet(path: Path, columns: Sequence[str], texts: Sequence[str] = ()) -> Any:
    """A Parquet file of which these columns are to be read; one that unpacks to more than the limits allow is refused.

    Of `texts`, columns among them, each different text is kept once.
    """
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
    file = parquet.ParquetFile(check_regular(path), page_checksum_verification=True, read_dictionary=list(texts))
    lost = [name for name in columns if name not in file.schema_arrow.names]
    if lost:
        raise FormatError(f"{path}: must have the column '{lost[0]}' (got {', '.join(file.schema_arrow.names)})")
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    parts = (group.column(number) for group in groups for number in range(group.num_columns))
    read = (part for part in parts if any(f"{part.path_in_schema}.".startswith(f"{name}.") for name in columns))
    # A value that is repeated takes no room in the file, and eight bytes or so when it is read.
    size = sum(max(part.total_uncompressed_size, 8 * part.num_values) for part in read)
    limits.check_ratio(path, path.stat().st_size, size, "what is read of it")
    return file


def read_parquet(path: Path, columns: Sequence[str], texts: Sequence[str] = ()) -> Any:
    """Some columns as a table of Arrow."""
    return open_parquet(path, columns, texts).read(columns=list(columns))


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
        limits.check_ratio(path, path.stat().st_size, size, "what is read of it")
        yield column
