"""JSON Lines: an object with a query, an item and a score (or grade) on each line, named as in `rerankit.columns`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.columns import PAIRS, Columns, columns_of
from rerankit.errors import FormatError
from rerankit.formats.content import Format, Triples
from rerankit.formats.delimited import value_column
from rerankit.formats.headless import named_lines
from rerankit.formats.text import shortest, write_text
from rerankit.reading import parse_json, read_text


class JsonLinesFormat(Format):
    """A run or judgements, a line for each item."""

    name: ClassVar[str] = "json-lines"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".jsonl.gz")
    holds: ClassVar[tuple[type, ...]] = (Triples,)
    description: ClassVar[str] = "objects with query, item and score or grade, by any usual names, one a line"

    def read(self, path: Path) -> Triples:
        """The three values of every line; others are left alone."""
        objects = list(_objects(path))
        if not objects:
            raise FormatError(f"{path}: the file is empty")
        columns = columns_of(objects[0][1])
        if columns is None:
            pairs = " or ".join("/".join(pair) for pair in PAIRS)
            raise FormatError(f"{path}: lines must have {pairs}, and score or grade (got {list(objects[0][1])})")
        queries, items = ([_name(found, name, at) for at, found in objects] for name in (columns.query, columns.item))
        values = np.array([_number(found, columns.value, at) for at, found in objects], np.float64)
        return named_lines(queries, items, values, columns, _ranks(objects, columns))

    def write(self, path: Path, content: Triples) -> None:
        """Write an object for each line."""
        last = value_column(content)
        lines = zip(content.queries, content.items, content.values.tolist(), strict=True)
        named = ((json.dumps({"query": query, "item": item}), value) for query, item, value in lines)
        write_text(path, (f'{front[:-1]}, "{last}": {shortest(value)}}}\n' for front, value in named))


def _objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object of each line that is not blank, and where it stands."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            at = f"{path}: line {number}"
            found = parse_json(line, path, line=number)
            if not isinstance(found, dict):
                raise FormatError(f"{at} must be an object (got {type(found).__name__})")
            yield at, found


def _name(found: dict[str, Any], name: str, at: str) -> str:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise FormatError(f"{at}: '{name}' must be a text or a whole number (got {value!r})")
    return str(value)


def _number(found: dict[str, Any], name: str, at: str) -> float:
    value: Any = found.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    most = sys.float_info.max  # whole numbers may have any number of digits
    if not plain or not -most <= value <= most:
        raise FormatError(f"{at}: '{name}' must be a finite number (got {value!r})")
    return float(value)


def _ranks(objects: list[tuple[str, dict[str, Any]]], columns: Columns) -> list[object] | None:
    return None if columns.rank is None else [found.get(columns.rank) for _, found in objects]
