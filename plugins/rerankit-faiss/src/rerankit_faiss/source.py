"""Addresses ``faiss:FILE?queries=FILE&k=100…``: a search of FAISS where a problem is asked for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from rerankit import Problem, read
from rerankit.adapters.faiss import neighbours_of, problem_of
from rerankit.errors import FormatError, InputError, RerankitWarning, unknown_name
from rerankit.formats import Source
from rerankit_faiss.candidates import approximate
from rerankit_faiss.indexes import check_metric, library, set_up, vectors_of

_NUMBERS = ("k", "neighbours", "sample")
_OPTIONS = ("queries", *_NUMBERS, "metric", "index", "settings")


class FaissSource(Source):
    """``FILE`` holds the gallery's vectors (.npy …), of which an index is made, or is an index (.faiss, .index).

    Options behind ``?``, joined by ``&``: `queries`, a file of vectors, which is needed, and what
    `rerankit_faiss.approximate` takes: `k`, `metric`, `index`, `settings`, `neighbours`, `sample`.
    """

    def read(self, address: str) -> Problem:
        file, _, text = address.partition("?")
        options: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True))
        for name in options:
            if name not in _OPTIONS:
                raise unknown_name("option", name, _OPTIONS)
        if "queries" not in options:
            raise InputError(f"'faiss:{address}' must say its queries: faiss:{file}?queries=FILE")
        for name in _NUMBERS:
            if name in options:
                options[name] = _number(name, options[name])
        queries = read(options.pop("queries"), "array")
        if Path(file).suffix in (".faiss", ".index"):
            return _of_index(Path(file), queries, **options)
        found = approximate(queries, read(file, "array"), **options)
        if found.missed:
            warnings.warn(str(found), RerankitWarning, stacklevel=2)
        return found.problem


def _of_index(
    file: Path, queries: Any, k: int = 100, metric: str = "dot", settings: str = "", neighbours: int = 0, **more: Any
) -> Problem:
    if more:
        raise InputError(f"an index that is made already takes no {', '.join(more)}")
    if not file.is_file():
        raise FormatError(f"{file}: there is no such file")
    try:
        index = library().read_index(str(file))
    except RuntimeError as cause:
        raise FormatError(f"{file}: is no index of FAISS") from cause
    set_up(index, settings)
    rest = {"gallery_scores": neighbours_of(index, neighbours)} if neighbours else {}
    return problem_of(index, vectors_of(queries, "queries", check_metric(metric)), k, **rest)


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"'{name}' must be a whole number (got {text!r})")
    return int(text)
