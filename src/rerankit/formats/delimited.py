"""CSV and TSV: a matrix of scores, a matrix with ids, a run, or judgements.

The first line decides. Columns named as in `rerankit.columns`: a run or judgements. An empty first cell: the header has
gallery ids and the first column query ids. Numbers only: a matrix, unless the lines may be a run or judgements
without a header (`rerankit.formats.headless`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit.columns import SAID, Columns, columns_of, names_lines
from rerankit.errors import FormatError
from rerankit.formats import headless
from rerankit.formats.content import AnyArray, Content, Format, Tables, Triples
from rerankit.formats.text import numbers, read_rows, shortest, write_text


class CsvFormat(Format):
    """A matrix, or lines of query, item and score or grade."""

    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz")
    holds: ClassVar[tuple[type, ...]] = (np.ndarray, Triples)
    description: ClassVar[str] = "a matrix, or columns query,item,score (or grade), by any usual names"
    delimiter: ClassVar[str] = ","

    def check_ids(self, path: Path, ids: Iterable[str]) -> None:
        """Refuse the first id with blanks around it, which people put next to commas and reading takes away."""
        for text in ids:
            if text != text.strip():
                raise FormatError(f"{path}: ids in this format must not begin or end with blanks (got {text!r})")

    def read(self, path: Path) -> Content:
        """An array, named arrays (a matrix with ids) or lines, by the first line."""
        rows, lines = self._rows(path)
        if not rows:
            raise FormatError(f"{path}: the file is empty")
        header = [cell.strip() for cell in rows[0]]
        _check_width(path, rows, lines, len(header))
        columns = None if header[0] == "" and not names_lines(header) else columns_of(header)
        if columns is not None:
            return _triples(path, header, columns, rows[1:], lines[1:])
        if header[0] == "":
            ids = [row[0].strip() for row in rows[1:]]
            scores = _matrix(path, [row[1:] for row in rows[1:]], lines[1:], len(header) - 1)
            return Tables(scores=scores, query_ids=np.array(ids), gallery_ids=np.array(header[1:]))
        if len(rows) > 1 and len(header) > 1 and header == [str(number) for number in range(len(header))]:
            raise FormatError(f"{path}: line 1 counts 0, 1, 2 … and may be a header: leave it out, or write 0.0,1.0 …")
        return headless.lines_of(rows) or _matrix(path, rows, lines, len(header))

    def write(self, path: Path, content: AnyArray | Triples) -> None:
        """Write a matrix without a header, or lines with one."""
        if isinstance(content, Triples):
            self.check_ids(path, chain(content.queries, content.items))
        rows = _line_rows(content) if isinstance(content, Triples) else _matrix_rows(path, content)
        write_text(path, (self._join(row) for row in rows))

    def _rows(self, path: Path) -> tuple[list[list[str]], list[int]]:
        """The rows that are not blank, and the line on which each of them ends."""
        reader = csv.reader(io.StringIO(read_rows(path)), delimiter=self.delimiter)
        found = [(row, reader.line_num) for row in reader if row]
        return [row for row, _ in found], [line for _, line in found]

    def _join(self, cells: list[str]) -> str:
        line = io.StringIO()
        csv.writer(line, delimiter=self.delimiter, lineterminator="\n").writerow(cells)
        return line.getvalue()


class TsvFormat(CsvFormat):
    """The same with tabulators."""

    name: ClassVar[str] = "tsv"
    suffixes: ClassVar[tuple[str, ...]] = (".tsv", ".tsv.gz")
    description: ClassVar[str] = "as csv, separated by tabulators"
    delimiter: ClassVar[str] = "\t"


def _triples(path: Path, header: list[str], columns: Columns, rows: list[list[str]], lines: list[int]) -> Triples:
    query, item, value = (header.index(name) for name in (columns.query, columns.item, columns.value))
    found = numbers(path, [row[value] for row in rows], lines)
    ranks = None if columns.rank is None else [row[header.index(columns.rank)] for row in rows]
    queries, items = ([row[at].strip() for row in rows] for at in (query, item))
    return headless.named_lines(queries, items, found, columns, ranks)


def _matrix(path: Path, rows: list[list[str]], lines: list[int], width: int) -> AnyArray:
    matrix = np.empty((len(rows), width))
    for number, row in enumerate(rows):
        try:
            matrix[number] = row
        except ValueError as cause:
            hint = f"; a header of lines has the columns query, item and score: {SAID}" if number == 0 else ""
            raise FormatError(f"{path}: line {lines[number]}: {cause}{hint}") from cause
    return matrix


def _check_width(path: Path, rows: list[list[str]], lines: list[int], width: int) -> None:
    bad = next((number for number, row in enumerate(rows) if len(row) != width), None)
    if bad is not None:
        raise FormatError(f"{path}: line {lines[bad]} must have {width} columns (got {len(rows[bad])})")


def value_column(content: Triples) -> str:
    """The name of the column of values that rerankit writes."""
    return "grade" if content.what == "grades" else "score"


def _line_rows(content: Triples) -> Iterator[list[str]]:
    yield ["query", "item", value_column(content)]
    for query, item, value in zip(content.queries, content.items, content.values.tolist(), strict=True):
        yield [query, item, shortest(value)]


def _matrix_rows(path: Path, matrix: AnyArray) -> Iterator[list[str]]:
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise FormatError(f"{path}: CSV holds a matrix of numbers (got shape {matrix.shape}, dtype {matrix.dtype})")
    for row in matrix:
        yield [str(value) for value in row]
