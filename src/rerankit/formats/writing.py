"""`write`: a value as a file, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rerankit.arrays import AnyArray, to_numpy
from rerankit.errors import FormatError, InputError, MissingExtraError, RerankitError
from rerankit.files import atomic, check_free, check_place
from rerankit.formats import judgements, lists, tables
from rerankit.formats.content import CONTENT_NAMES, Content, Format, Tables, Triples
from rerankit.formats.files import AnyPath, check_array_names
from rerankit.formats.registry import format_of, source_of
from rerankit.formats.sources import address_of
from rerankit.plugins.faults import one_line
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.reading.npy_arrays import holds_values
from rerankit.relevance import Relevance


def write(
    path: AnyPath,
    value: Any,
    *,
    relevance: Relevance | None = None,
    query_ids: Any = None,
    gallery_ids: Any = None,
    overwrite: bool = False,
) -> Path | str:
    """Write a problem (with its relevance, if given), a ranking, relevance or an array; return the path.

    The ending of `path` says the format; no ending means a folder. The file appears whole or not at all.
    `query_ids` and `gallery_ids` name the rows and items of relevance in a list of judgements.
    With `overwrite` what is there already is replaced; a folder only if rerankit wrote every file in it.
    """
    if isinstance(path, str) and (address := address_of(path)) is not None:
        address.write(value if relevance is None else (value, relevance), overwrite=overwrite)
        return path
    place = Path(path)
    format = format_of(place, writing=True)
    check_free(place, overwrite=overwrite)
    try:
        content = _content(place, format, value, relevance, query_ids, gallery_ids)
        with atomic(place, overwrite=overwrite) as temporary:
            _write_content(temporary, place, format, content)
    except (FormatError, MissingExtraError):
        raise
    except (InputError, ValueError) as error:
        raise FormatError(f"{place}: {error}") from error
    return place


def _write_content(temporary: Path, path: Path, format: Format, content: Content) -> None:
    try:
        format.write(temporary, content)
    except FormatError as error:  # its message has a path that the user never gave
        raise FormatError(str(error).replace(str(temporary), str(path))) from error
    except (Exception, SystemExit) as error:
        if isinstance(error, RerankitError | OSError | ValueError) or not source_of(format):
            raise
        raise FormatError(f"{path}: {source_of(format)} cannot write it: {one_line(error)}") from error


def check_writable(path: AnyPath, kind: Literal["ranking", "problem"]) -> None:
    """Raise now what writing a result of this kind would raise after the work: a wrong ending, a missing extra."""
    if (address := address_of(path)) is not None:
        address.check_writable()
        return
    place = Path(path)
    format_of(place, writing=True)
    check_place(place)
    smallest = Ranking([[0]], [[0.0]]) if kind == "ranking" else Problem([[0.0]])
    with tempfile.TemporaryDirectory() as folder:
        try:
            write(Path(folder) / place.name, smallest)
        except RerankitError as error:
            raise type(error)(str(error).replace(f"{folder}{os.sep}{place.name}", str(place))) from error


def check_names(path: AnyPath, ranking: Ranking) -> None:
    """Raise now what writing a ranking of these queries and candidates would raise: ids that a format cannot hold."""
    if address_of(path) is not None:
        return
    place = Path(path)
    lists.check_held(format_of(place, writing=True), ranking, place)


def _content(
    place: Path, format: Format, value: Any, relevance: Relevance | None, query_ids: Any, gallery_ids: Any
) -> Content:
    """`value` in one of the forms that the format holds."""
    lines = isinstance(value, Relevance) and Triples in format.holds
    if not lines and not (query_ids is None and gallery_ids is None):
        raise InputError(
            f"'query_ids' and 'gallery_ids' name what a list of judgements holds, and {format.name} is none"
        )
    if relevance is not None and not (isinstance(value, Problem) and Tables in format.holds):
        raise InputError("'relevance' goes beside a problem in a folder, .npz, .safetensors or .pt")
    found: Content | None
    if isinstance(value, Problem):
        found = tables.from_problem(value, relevance) if Tables in format.holds else _plain_scores(format, value)
    elif isinstance(value, Ranking):
        found = lists.from_ranking(value) if Triples in format.holds else tables.from_ranking(value)
    elif isinstance(value, Relevance):
        found = lists.from_relevance(value, query_ids, gallery_ids) if lines else judgements.from_relevance(value)
    elif isinstance(value, Mapping):
        found = _mapping(place, format, value)
    else:
        found = _storable(place, "value", to_numpy(value, "value"))
    if found is None or not isinstance(found, format.holds):
        holds = " or ".join(CONTENT_NAMES[form] for form in format.holds)
        raise InputError(f"{format.name} holds {holds}, which this {type(value).__name__} is not")
    if isinstance(found, Tables):
        check_array_names(place, found, portable=format.name == "folder")
    if isinstance(found, Triples) and found.what == "scores":
        # Judgements without a line mean what no judgement means; a query that a run lacks would be lost.
        with_lines = set(found.queries)
        lists.check_empty(format, [name for name in found.names if name not in with_lines], place)
    return found


def _plain_scores(format: Format, problem: Problem) -> AnyArray | None:
    """The matrix of a problem that is nothing but a matrix, for a format that holds one array."""
    if np.ndarray not in format.holds:
        return None
    lost = tables.more_than_scores(problem)
    if lost:
        raise InputError(
            f"{format.name} holds one matrix, and this problem has {', '.join(lost)}: write a folder, .npz, "
            ".safetensors or .pt, or problem.scores.rows() alone"
        )
    return problem.scores.rows()


def _mapping(path: Path, format: Format, value: Mapping[Any, Any]) -> Content:
    if value and all(isinstance(inner, Mapping) for inner in value.values()):
        what = "grades" if "qrels" in format.name else "scores"
        return lists.from_nested(value, what)
    return Tables((str(name), _storable(path, str(name), np.asarray(array))) for name, array in value.items())


def _storable(path: Path, name: str, array: AnyArray) -> AnyArray:
    if not holds_values(array):
        raise FormatError(f"{path}: '{name}' must hold numbers or texts to be written (got dtype {array.dtype})")
    return array
