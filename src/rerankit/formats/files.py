"""`read` and `write`: every file goes through them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from rerankit.arrays import AnyArray, to_numpy
from rerankit.errors import FormatError, InputError, MissingExtraError, RerankitError, unknown_name
from rerankit.files import atomic, check_free, check_name, check_place, check_regular, unchanged
from rerankit.formats import judgements, lists, tables
from rerankit.formats.content import CONTENT_NAMES, Content, Format, Tables, Triples
from rerankit.formats.registry import format_of, source_of
from rerankit.formats.sources import Address, address_of
from rerankit.lines import lines_of
from rerankit.plugins.faults import one_line
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.reading.npy_arrays import holds_values, plain
from rerankit.reading.text import first_sentence
from rerankit.relevance import Relevance
from rerankit.rows import StoredRows
from rerankit.triples import to_dict

Kind = Literal["array", "tables", "problem", "ranking", "relevance"]
KINDS = ("array", "problem", "ranking", "relevance", "tables")
AnyPath = str | os.PathLike[str]


@overload
def read(path: AnyPath, kind: Literal["problem"], *, query_ids: Any = None, gallery_ids: Any = None) -> Problem: ...
@overload
def read(path: AnyPath, kind: Literal["ranking"], *, query_ids: Any = None, gallery_ids: Any = None) -> Ranking: ...
@overload
def read(path: AnyPath, kind: Literal["relevance"], *, query_ids: Any = None, gallery_ids: Any = None) -> Relevance: ...
@overload
def read(path: AnyPath, kind: Literal["array"], *, query_ids: Any = None, gallery_ids: Any = None) -> AnyArray: ...
@overload
def read(path: AnyPath, kind: str | None = None, *, query_ids: Any = None, gallery_ids: Any = None) -> Any: ...


def read(path: AnyPath, kind: str | None = None, *, query_ids: Any = None, gallery_ids: Any = None) -> Any:
    """What a file or folder holds; its ending says the format.

    Without `kind` the answer is what the file is: an array, a `Problem`, a `Ranking`, a `Relevance`, for lists
    of judgements `{query: {item: grade}}`, and named arrays that are none of these as a dictionary. With
    `kind` ("array", "problem", "ranking", "relevance") it is that, or an error that says why not. Large arrays
    stay on disk. `query_ids` and `gallery_ids` give the order of rows and items where a file only has names.

    A text such as ``NAME:…`` or ``NAME://…`` is an address, if a plugin has a source of this name.

    >>> import rerankit, tempfile, pathlib
    >>> run = pathlib.Path(tempfile.mkdtemp()) / "first.run"
    >>> _ = run.write_text("cat Q0 17 1 0.9 x\\ncat Q0 4 2 0.5 x\\n")
    >>> rerankit.read(run)
    Ranking(1 queries × 2 of 2 items)
      cat: 17 (0.9), 4 (0.5)
    """
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    if (address := address_of(path)) is not None:
        return _of_kind(address, _both_of(address)[kind == "relevance"], kind)
    place = Path(path)
    return opened(place, content_of(place), kind, query_ids, gallery_ids)


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


def read_both(path: AnyPath, kind: str | None = None) -> tuple[Any, Relevance | None]:
    """What `read` gives, and the relevance that stands beside it when it is a problem; the file is read once."""
    if (address := address_of(path)) is not None:
        value, relevance = _both_of(address)
        return _of_kind(address, value, kind), relevance
    place = Path(path)
    content = content_of(place)
    found = opened(place, content, kind)
    both = isinstance(found, Problem) and isinstance(content, Tables) and judgements.has_relevance(content)
    return found, opened(place, content, "relevance") if both else None


def _both_of(address: Address) -> tuple[Any, Any]:
    """What is at an address, and the relevance: beside it, or itself."""
    value = address.read()
    if isinstance(value, tuple) and len(value) == 2:
        return value
    return value, value if isinstance(value, Relevance) else None


def _of_kind(address: Address, value: Any, kind: str | None) -> Any:
    wanted = {"problem": Problem, "ranking": Ranking, "relevance": Relevance, "array": np.ndarray, "tables": Mapping}
    if kind is None or isinstance(value, wanted[kind]):
        return value
    if kind == "problem" and isinstance(value, Ranking | np.ndarray):
        return Problem(value)
    if kind in ("problem", "ranking") and (lines := lines_of(value, "scores", str(address))) is not None:
        return Problem(lines) if kind == "problem" else Problem(lines).ranking()
    raise InputError(f"'{address}' holds no {kind} ({address.entry.source} gave {type(value).__name__})")


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


def content_of(path: Path) -> Content:
    """What a file or folder holds, before it gets a meaning; read again when it is replaced at that time."""
    return unchanged(path, lambda: _read_content(path))


def _read_content(path: Path) -> Content:
    if not path.is_dir():
        check_regular(path, "file or folder")
    format = format_of(path)
    try:
        content = format.read(path)
    except (FormatError, MissingExtraError):
        raise
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:  # parsers meet damaged bytes with all kinds of errors
        if isinstance(error, OSError) and error.strerror:
            raise FormatError(f"{path}: cannot be read: {error.strerror}") from error
        by = f" as {source_of(format)} reads it" if source_of(format) else ""
        raise FormatError(f"{path}: damaged or not a {format.name} file{by}: {first_sentence(error)}") from error
    if not isinstance(content, (np.ndarray, StoredRows, Tables, Triples)):
        raise FormatError(f"{path}: format '{format.name}' of {source_of(format)} read {type(content).__name__}")
    if isinstance(content, Tables):
        _check_names(path, content)
        for name, array in content.items():
            plain(array, path, name)
    elif not isinstance(content, Triples):
        plain(content, path, path.stem)
    return content


def _check_names(path: Path, content: Tables, *, portable: bool = False) -> None:
    """Names of arrays become paths when they are written to a folder, so one that leads elsewhere is never taken."""
    for name in content:
        try:
            check_name(name, "name of an array", portable=portable)
        except InputError as error:
            raise FormatError(f"{path}: {error}") from error


def opened(path: Path, content: Content, kind: str | None, query_ids: Any = None, gallery_ids: Any = None) -> Any:
    """What the content of a file means; errors get the path."""
    try:
        return _object(content, kind, query_ids, gallery_ids)
    except FormatError:
        raise
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def _object(content: Content, kind: str | None, query_ids: Any, gallery_ids: Any) -> Any:
    if isinstance(content, Triples):
        return _from_triples(content, kind, query_ids, gallery_ids)
    if isinstance(content, Tables):
        return _from_tables(content, kind or tables.natural_kind(content), query_ids=query_ids, gallery_ids=gallery_ids)
    if kind == "problem":
        return Problem(content, query_ids=query_ids, gallery_ids=gallery_ids)
    if kind == "relevance":
        return Relevance.from_dense(content)
    if kind in (None, "array"):
        return content
    raise InputError(f"one array is not a {kind} (got shape {content.shape})")


def _from_triples(content: Triples, kind: str | None, query_ids: Any, gallery_ids: Any) -> Any:
    if kind == "array" and content.matrix is not None:
        return content.matrix
    _check_meaning(content, kind)
    if kind == "relevance" or (kind is None and content.what == "grades" and gallery_ids is not None):
        return lists.to_relevance(content, query_ids, gallery_ids)
    if kind is None and content.what == "grades":
        return to_dict(content)
    if kind in (None, "ranking", "problem"):
        ranking = lists.to_ranking(content, query_ids, gallery_ids)
        return ranking if kind != "problem" else Problem(ranking)
    raise InputError(f"lines of query, item and {content.what[:-1]} are no {kind}")


def _check_meaning(content: Triples, kind: str | None) -> None:
    """Refuse lines that may be something else than what they are read as."""
    if content.what != "unsaid":
        return
    if content.matrix is not None and kind != "ranking":
        raise InputError(
            "three columns of numbers may be a matrix of scores, a run or judgements: a first line query,item,score "
            "(or grade) says that they are lines; read(path, 'array') takes them as a matrix"
        )
    if kind is None:
        raise InputError(
            "lines of query, item and a number may be a run or judgements: read(path, 'ranking') or "
            "read(path, 'relevance') says which, and so does a first line query,item,score or query,item,grade"
        )


def _from_tables(content: Tables, kind: str, **ids: Any) -> Any:
    given = {name: names for name, names in ids.items() if names is not None}
    for name, names in given.items():
        if name in content and list(map(str, content[name].tolist())) != list(map(str, names)):
            raise InputError(f"'{name}' must be those of the file, in its order (got others)")
    if kind in ("problem", "ranking"):
        content = Tables({name: np.asarray(names) for name, names in given.items()} | content)
    if kind == "problem":
        return tables.to_problem(content)
    if kind == "ranking":
        return tables.to_ranking(content)
    if kind == "relevance":
        return judgements.to_relevance(content)
    if kind == "array":
        if len(content) == 1:
            return next(iter(content.values()))
        raise InputError(f"must hold exactly one array (got {', '.join(sorted(content))})")
    return content


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
        _check_names(place, found, portable=format.name == "folder")
    if isinstance(found, Triples) and found.what == "scores":
        # Judgements without a line mean what no judgement means; a query that a run lacks would be lost.
        with_lines = set(found.queries)
        lists.check_empty(format, [name for name in found.names if name not in with_lines], place)
    return found


def _plain_scores(format: Format, problem: Problem) -> AnyArray | None:
    """The matrix of a problem that is nothing but a matrix, for a format that holds one array."""
    if np.ndarray not in format.holds:
        return None
    lost = tables.beside_scores(problem)
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
