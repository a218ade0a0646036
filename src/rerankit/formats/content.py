"""What a file can hold, before it becomes a problem, a ranking or relevance.

A format only turns a file into one of three plain things and back; what they mean is decided in one place
for all formats (`rerankit.formats.tables`, `rerankit.formats.lists`):

- one array, or rows in files (`rerankit.rows.StoredRows`), which are asked like one;
- `Tables`: named arrays. A text is an array of one string without dimensions;
- `Triples`: lines of query, item and value, which is how runs and judgements are exchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rerankit.rows import StoredRows
from rerankit.triples import Triples

__all__ = ["CONTENT_NAMES", "AnyArray", "Content", "Format", "Tables", "Triples"]

AnyArray: TypeAlias = NDArray[Any]


class Tables(dict[str, AnyArray]):
    """Named arrays."""


Content: TypeAlias = "AnyArray | StoredRows | Tables | Triples"
"""What a format reads and writes."""

CONTENT_NAMES: dict[type, str] = {
    np.ndarray: "one array",
    Tables: "named arrays",
    Triples: "a run or judgements",
}


class Format(ABC):
    """One kind of file: which endings it has, what it can hold, how it is read and written.

    `read` may raise anything: the caller adds the path and keeps it to one line. `write` gets a temporary path,
    which the caller moves into place.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    holds: ClassVar[tuple[type, ...]]
    description: ClassVar[str] = ""
    holds_empty_queries: ClassVar[bool] = False
    """Whether a run in this format can hold a query without items; lines of query, item and score cannot."""

    def check_ids(self, path: Path, ids: Iterable[str]) -> None:
        """Raise for ids of queries and items that this format cannot hold; called before long work."""
        del path, ids  # most formats hold any text

    @abstractmethod
    def read(self, path: Path) -> Content:
        """The content of the file at `path`."""

    @abstractmethod
    def write(self, path: Path, content: Any) -> None:
        """Write `content`, which is of one of the types in `holds`."""
