"""TREC runs (`query Q0 item rank score tag`) and judgements (`query 0 item grade`), plain or gzipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

from rerankit.errors import FormatError
from rerankit.formats.content import Format, Triples
from rerankit.formats.text import numbers, read_rows, shortest, write_text
from rerankit.reading import read_text
from rerankit.triples import refuse_distances

TAG = "rerankit"


class TrecFormat(Format):
    """What files of TREC have in common: blanks part the columns, so that ids are single words."""

    holds: ClassVar[tuple[type, ...]] = (Triples,)

    def check_ids(self, path: Path, ids: Iterable[str]) -> None:
        """Refuse the first id that is no single word."""
        for text in ids:
            _word(path, text)


class TrecRunFormat(TrecFormat):
    """A run: one line for each retrieved item. The order comes from the scores, as in trec_eval."""

    name: ClassVar[str] = "trec-run"
    suffixes: ClassVar[tuple[str, ...]] = (".run", ".trec", ".run.gz", ".trec.gz")
    description: ClassVar[str] = "a run: query Q0 item rank score tag"

    def read(self, path: Path) -> Triples:
        """All lines of a run."""
        queries, items, ranks, texts = read_columns(path, 6, (2, 3, 4), "query Q0 item rank score tag")
        scores = numbers(path, texts)
        refuse_distances(queries, scores, ranks)
        return Triples(queries, items, scores, "scores")

    def write(self, path: Path, content: Triples) -> None:
        """Write a run; ranks count from 1 in the order of the lines."""
        _refuse(path, content, "scores", "a run")
        write_text(path, _run_lines(path, content))


class TrecQrelsFormat(TrecFormat):
    """Judgements: one line for each judged item."""

    name: ClassVar[str] = "trec-qrels"
    suffixes: ClassVar[tuple[str, ...]] = (".qrels", ".qrel", ".qrels.gz", ".qrel.gz")
    description: ClassVar[str] = "judgements: query 0 item grade"

    def read(self, path: Path) -> Triples:
        """All lines of a file of judgements."""
        queries, items, grades = read_columns(path, 4, (2, 3), "query 0 item grade")
        return Triples(queries, items, numbers(path, grades), "grades")

    def write(self, path: Path, content: Triples) -> None:
        """Write judgements."""
        _refuse(path, content, "grades", "judgements")
        rows = zip(content.queries, content.items, content.values.tolist(), strict=True)
        write_text(path, (f"{_word(path, q)} 0 {_word(path, i)} {shortest(v)}\n" for q, i, v in rows))


class TrecTextFormat(TrecFormat):
    """A `.txt` that is a run or judgements, told apart by the number of columns."""

    name: ClassVar[str] = "trec-text"
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".txt.gz")
    description: ClassVar[str] = "a run (six columns) or judgements (four columns)"

    def read(self, path: Path) -> Triples:
        """A run or judgements."""
        first = next((line for line in read_text(path).splitlines() if line.strip()), "")
        return TrecQrelsFormat().read(path) if len(first.split()) == 4 else TrecRunFormat().read(path)

    def write(self, path: Path, content: Triples) -> None:
        """Write a run for scores, judgements for grades."""
        (TrecRunFormat() if content.what == "scores" else TrecQrelsFormat()).write(path, content)


def read_columns(path: Path, count: int, wanted: tuple[int, ...], layout: str) -> list[list[str]]:
    """The first and the wanted columns of a file of words; every line must have `count` of them."""
    lines = read_rows(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise FormatError(f"{path}: the file is empty; it must have lines '{layout}'")
    queries: list[str] = []
    others: list[list[str]] = [[] for _ in wanted]
    for line in lines:  # runs have millions of lines: no list of lists is kept
        words = line.split()
        if len(words) != count:
            number = len(queries) + 1
            raise FormatError(f"{path}: line {number} must have {count} columns, '{layout}' (got {len(words)})")
        queries.append(words[0])
        for place, kept in zip(wanted, others, strict=True):
            kept.append(words[place])
    return [queries, *others]


def _run_lines(path: Path, content: Triples) -> Iterator[str]:
    ranks: dict[str, int] = {}
    for query, item, score in zip(content.queries, content.items, content.values.tolist(), strict=True):
        ranks[query] = rank = ranks.get(query, 0) + 1
        yield f"{_word(path, query)} Q0 {_word(path, item)} {rank} {shortest(score)} {TAG}\n"


def _refuse(path: Path, content: Triples, wanted: str, kind: str) -> None:
    if content.what != wanted:
        raise FormatError(f"{path}: this format holds {kind}, with {wanted} (got {content.what})")


def _word(path: Path, text: str) -> str:
    if not text or text.split() != [text]:
        raise FormatError(f"{path}: ids in TREC files must be single words without blanks (got {text!r})")
    return text
