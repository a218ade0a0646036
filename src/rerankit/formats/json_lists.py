"""JSON runs and judgements: `{"query": {"item": value}}`, plain or gzipped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import FormatError, several
from rerankit.formats.content import Format, Triples
from rerankit.formats.text import shortest, write_text
from rerankit.reading import parse_json, read_text


class JsonRunFormat(Format):
    """A run as an object of objects: the scores of each query's items."""

    name: ClassVar[str] = "json-run"
    suffixes: ClassVar[tuple[str, ...]] = (".json", ".json.gz")
    holds: ClassVar[tuple[type, ...]] = (Triples,)
    holds_empty_queries: ClassVar[bool] = True
    description: ClassVar[str] = 'a run: {"query": {"item": score}}'
    what: ClassVar[Literal["scores", "grades"]] = "scores"

    def read(self, path: Path) -> Triples:
        """All pairs of the file, in its order; `{}` is a query without items."""
        queries: list[str] = []
        items: list[str] = []
        values: list[float] = []
        loaded = _load(path)
        for query, entries in loaded.items():
            if not isinstance(entries, dict):
                raise FormatError(f"{path}: query '{query}' must map items to numbers (got {type(entries).__name__})")
            for item, value in entries.items():
                if type(value) not in (int, float):
                    raise FormatError(f"{path}: query '{query}', item '{item}' must be a number (got {value!r})")
                queries.append(query)
                items.append(item)
                values.append(value)
        scores = _numbers(path, values)
        if not np.isfinite(scores).all():
            bad = [(queries[at], items[at], values[at]) for at in np.flatnonzero(~np.isfinite(scores)).tolist()]
            raise FormatError(f"{path}: every {self.what[:-1]} must be finite (got {several('that are not', bad)})")
        return Triples(queries, items, scores, self.what, listed=list(loaded))

    def write(self, path: Path, content: Triples) -> None:
        """Write an object of objects."""
        if content.what != self.what:
            raise FormatError(f"{path}: a file with this ending holds {self.what} (got {content.what})")
        grouped: dict[str, list[str]] = {query: [] for query in content.names}
        for query, item, value in zip(content.queries, content.items, content.values.tolist(), strict=True):
            grouped[query].append(f"{json.dumps(item)}: {shortest(value)}")
        lines = (f"{json.dumps(query)}: {{{', '.join(entries)}}}" for query, entries in grouped.items())
        write_text(path, ["{\n", ",\n".join(lines), "\n}\n"])


class JsonQrelsFormat(JsonRunFormat):
    """Judgements as an object of objects."""

    name: ClassVar[str] = "json-qrels"
    suffixes: ClassVar[tuple[str, ...]] = (".qrels.json", ".qrels.json.gz")
    description: ClassVar[str] = 'judgements: {"query": {"item": grade}}'
    what: ClassVar[Literal["scores", "grades"]] = "grades"


def _numbers(path: Path, values: list[float]) -> NDArray[np.float64]:
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as cause:  # JSON has whole numbers of any size
        raise FormatError(f"{path}: every number must fit into 64 bits: {cause}") from cause


class _Object(dict[str, object]):
    """An object of the file, and the names that stand in it more than once."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = [name for name, count in counts.items() if count > 1]


def _load(path: Path) -> dict[str, object]:
    loaded = parse_json(read_text(path), path, _Object)
    if not isinstance(loaded, dict) or not loaded:
        raise FormatError(f'{path}: must be an object {{"query": {{"item": number}}}} with at least one query')
    _refuse_repeats(path, loaded)
    return loaded


def _refuse_repeats(path: Path, loaded: dict[str, object]) -> None:
    """JSON leaves open what a repeated name means; a run must not."""
    if isinstance(loaded, _Object) and loaded.repeated:
        raise FormatError(f"{path}: must name a query once (got {several('repeated', loaded.repeated)})")
    inside = ((query, items) for query, items in loaded.items() if isinstance(items, _Object))
    again = [(query, item) for query, items in inside for item in items.repeated]
    if again:
        message = several("repeated (query, item)", again)
        raise FormatError(f"{path}: must name an item once for a query (got {message})")
