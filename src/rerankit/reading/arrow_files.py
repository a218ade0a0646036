"""Columns of Parquet and Arrow files of others: within limits, and what has checksums compared with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import check_regular
from rerankit.reading import unpacking

_WHAT = "what is read of it"
_ROWS = 16_384  # read at once


class ParquetColumns:
    """Some columns of a Parquet file; one that unpacks to more than the limits allow is refused.

    Of `texts`, columns among them, each different text is kept once.
    """

    def __init__(self, path: Path, names: Sequence[str], texts: Sequence[str] = ()) -> None:
        parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
        self.path, self.names = path, list(names)
        known = unpacking.of_parquet(check_regular(path), names)
        self._check(sum(each.size for each in known.values()))
        once = [name for name in texts if not known[name].by_prefix]  # Arrow takes no others
        longest = max((each.longest for name, each in known.items() if name not in once), default=0)
        self._rows = max(1, min(_ROWS, limits.current().free // max(longest, 1)))
        self.file = parquet.ParquetFile(path, page_checksum_verification=True, read_dictionary=once)
        lost = [name for name in names if name not in self.file.schema_arrow.names]
        if lost:
            got = ", ".join(self.file.schema_arrow.names)
            raise FormatError(f"{path}: must have the column '{lost[0]}' (got {got})")

    def batches(self) -> Iterator[Any]:
        """Some rows at a time, as batches of Arrow, until they are more than the limits allow."""
        size = 0
        for batch in self.file.iter_batches(columns=self.names, batch_size=self._rows):
            size += batch.nbytes
            self._check(size)
            yield batch

    def table(self) -> Any:
        """All rows as a table of Arrow."""
        batches = list(self.batches())
        table = require("pyarrow", extra="parquet").Table.from_batches(batches) if batches else None
        return self.file.schema_arrow.empty_table().select(self.names) if table is None else table

    def _check(self, size: int) -> None:
        limits.check_ratio(self.path, self.path.stat().st_size, size, _WHAT)


def texts_of(column: Any) -> list[str]:
    """The values of a column as texts; one that is repeated is one object."""
    found: list[str] = []
    for chunk in column.chunks:
        words = getattr(chunk, "dictionary", chunk).to_pylist()
        texts = list(map(str, words))
        found += texts if not hasattr(chunk, "dictionary") else [texts[number] for number in chunk.indices.to_pylist()]
    return found


def arrow_columns(file: Any, name: str) -> Iterator[Any]:
    """A column of each batch of an Arrow file, whose parts have been found to lie where they are said to."""
    for number in range(file.num_record_batches):
        column = file.get_batch(number).column(name)
        column.validate(full=True)  # else Arrow ends the process when it reads what is not there
        yield column


def open_arrow(path: Path) -> Any:
    """A file of Arrow, mapped; one that unpacks to more than the limits allow is refused."""
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {path.name}")
    limits.check_ratio(path, path.stat().st_size, unpacking.of_arrow(path), _WHAT)
    return require("pyarrow.ipc", extra="parquet").open_file(arrow.memory_map(str(path)))
