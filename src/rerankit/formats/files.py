"""`read`: what files hold, with its meaning."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.errors import FormatError, InputError, MissingExtraError
from rerankit.files import check_name, check_regular, unchanged
from rerankit.formats import judgements, lists, tables
from rerankit.formats.content import Content, Tables, Triples
from rerankit.formats.registry import format_of, source_of
from rerankit.formats.sources import Address, address_of
from rerankit.lines import lines_of
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.reading.npy_arrays import plain
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
    if kind is not None:
        checks.choice("kind", kind, KINDS)
    if (address := address_of(path)) is not None:
        return _of_kind(address, _both_of(address)[kind == "relevance"], kind)
    place = Path(path)
    return opened(place, content_of(place), kind, query_ids, gallery_ids)


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
        check_array_names(path, content)
        for name, array in content.items():
            plain(array, path, name)
    elif not isinstance(content, Triples):
        plain(content, path, path.stem)
    return content


def check_array_names(path: Path, content: Tables, *, portable: bool = False) -> None:
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
