"""What decides the outcome of a run, as checksums: problems, what is right in them, pipelines, anything they hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from rerankit.arrays import to_numpy
from rerankit.bank import Bank
from rerankit.errors import InputError
from rerankit.features import Feature
from rerankit.features.base import file_pieces
from rerankit.pipelines.stage import Stage
from rerankit.plugins.code import code_of, compiled
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.rows import StoredRows
from rerankit.scores import EmbeddingScores, Scores, blocks

_PIECE = 1 << 20
_PLAIN = (bool, int, float, complex, str, bytes, os.PathLike, Enum, np.generic, np.dtype, type(None))


def checksum_of(value: Any) -> str:
    """SHA-256 of anything an outcome depends on: a problem with all that it holds, what is right in it, a pipeline with
    parameters, weights and code, features, networks, arrays, or objects of these.

    Pictures given as paths count by path, size, time and first bytes. Parameters at their defaults count too: where a
    later release changes one, its results are new ones.

    >>> checksum_of([1, "a"]) == checksum_of([1, "a"]) != checksum_of([1, "b"])
    True
    """
    return _hashed(_pieces(value))


def found_by(stage: Stage, problem: Problem) -> dict[str, str]:
    """Checksums of what a stage, and those inside it, find for a problem by their parameters."""
    seen = stage.completed(problem)
    own = {} if seen is problem else {repr(stage): checksum_of(seen)}
    return own | {name: digest for child in stage.children for name, digest in found_by(child, problem).items()}


def checksums_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The checksum of each value by its name; of mappings, problems, and problems with relevance, of their parts."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Problem):
            value = dict(_parts(value))
        elif isinstance(value, tuple) and value and isinstance(value[0], Problem):
            value = dict(_parts(value[0])) | {"relevance": value[1:]}
        if isinstance(value, Mapping):
            found |= checksums_of({f"{name}: {part}": given for part, given in value.items()})
        else:
            found[name] = checksum_of(value)
    return found


def _problem(problem: Problem) -> Iterator[Any]:
    """All that a problem holds; vectors that stand in several of its parts are read once."""
    known: dict[int, str] = {}
    for name, part in _parts(problem):
        yield f"<{name}>".encode()
        if isinstance(part, EmbeddingScores):
            yield part.metric.encode()
            for vectors in (part.queries, part.gallery):
                if id(vectors) not in known:
                    known[id(vectors)] = _hashed(_array(vectors))
                yield known[id(vectors)].encode()
        else:
            yield checksum_of(part).encode()


def _parts(problem: Problem) -> Iterator[tuple[str, Any]]:
    """Every part of a problem that is there, by name; relations that are computed follow from the scores."""
    yield "scores", problem.scores
    for name, side in (("query", problem.queries), ("gallery", problem.gallery)):
        if side.scores is not None and not side.computed:
            yield f"{name}_scores", side.scores
        if side.ids is not None:
            yield f"{name}_ids", side.ids.values
        for part in ("to_gallery", "to_queries", "to_bank"):
            if getattr(side.bank, part, None) is not None:
                yield f"{name}_bank/{part}", getattr(side.bank, part)
        yield from ((f"{name}/{feature}", side.features[feature]) for feature in sorted(side.features))
    yield from sorted(problem.extra_scores.items())
    if problem.excluded is not None:
        yield "excluded", [problem.excluded.rows, problem.excluded.indices]


def _hashed(pieces: Iterable[Any]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def _pieces(value: Any, inside: tuple[int, ...] = ()) -> Iterator[Any]:
    """The bytes of a value, or of anything it holds; `inside` are the objects it is held by."""
    yield f"<{type(value).__qualname__}>".encode()
    if id(value) in inside:
        return
    inside = (*inside, id(value))
    known = next((pieces for kinds, pieces in _KINDS if isinstance(value, kinds)), None)
    if known is not None:
        yield from known(value, inside)
    elif hasattr(value, "__array__") or hasattr(value, "__array_interface__"):  # their texts leave most of them out
        yield from _array(value if isinstance(value, StoredRows) else to_numpy(value, "value"))
    elif all(callable(getattr(value, name, None)) for name in ("rows", "pairs", "topk")):
        yield from _score_rows(value)
    elif callable(getattr(value, "state_dict", None)) and callable(getattr(value, "named_modules", None)):
        yield from _network(value, inside)
    else:
        yield from _object(value, inside)


def _stage(value: Stage, inside: tuple[int, ...]) -> Iterator[Any]:
    """A stage: its parameters, weights and code, and the models that parameters name, where they lie on this disk."""
    held = {"name": value.name, **value.get_params(), "the weights": value.get_weights()}
    yield from _pieces(held | {"the code": code_of([type(value)])}, inside)
    for name in value.outside:
        folder = held.get(name)
        if isinstance(folder, str | os.PathLike) and os.path.isdir(folder):
            files = sorted(each for each in Path(folder).rglob("*") if each.is_file())
            yield from (piece for each in files for piece in file_pieces(each))


def _mapping(value: Mapping[Any, Any], inside: tuple[int, ...]) -> Iterator[Any]:
    for name in sorted(value, key=str):
        yield from (f"{name}=".encode(), *_pieces(value[name], inside))


def _list(value: Iterable[Any], inside: tuple[int, ...]) -> Iterator[Any]:
    for each in value:
        yield from _pieces(each, inside)


def _function(value: FunctionType, inside: tuple[int, ...]) -> Iterator[Any]:
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    yield from _pieces([f"{value.__module__}.{value.__qualname__}", repr(compiled(value.__code__))], inside)
    yield from _pieces([value.__defaults__, value.__kwdefaults__, cells], inside)


def _network(value: Any, inside: tuple[int, ...]) -> Iterator[Any]:
    """A network of torch: its parts with the plain values that they keep, its weights and buffers."""
    parts = {
        name: {key: known for key, known in vars(part).items() if isinstance(known, _PLAIN) and key != "training"}
        for name, part in value.named_modules()
    }
    yield from _pieces([repr(value), parts, dict(value.state_dict())], inside)


def _object(value: Any, inside: tuple[int, ...]) -> Iterator[Any]:
    """Anything else: what it keeps when it is pickled."""
    try:
        kept = value.__reduce_ex__(2)
    except Exception as cause:
        what = f"{type(value).__module__}.{type(value).__qualname__}"
        raise InputError(f"a {what} cannot be told from another one: {cause}") from cause
    held = [list(each) if hasattr(each, "__next__") else each for each in kept] if isinstance(kept, tuple) else kept
    yield from _pieces(held, inside)


def _plain(value: Any) -> Iterator[Any]:
    """A number or a text; what is in a file counts, not only its name."""
    yield repr(value).encode()
    if isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
        yield from _file(Path(value))


_KINDS: tuple[tuple[Any, Callable[[Any, tuple[int, ...]], Iterator[Any]]], ...] = (
    (Problem, lambda value, inside: _problem(value)),
    (Ranking, lambda value, inside: _pieces([value.indices, value.scores])),  # notes hold seconds, which are no answer
    (Stage, _stage),
    (Mapping, _mapping),
    (list | tuple, _list),
    (set | frozenset, lambda value, inside: iter(sorted(checksum_of(each).encode() for each in value))),
    (Feature, lambda value, inside: value.pieces()),
    (Bank, lambda value, inside: _pieces([value.to_gallery, value.to_queries, value.to_bank])),
    (EmbeddingScores, lambda value, inside: _pieces([value.queries, value.gallery, str(value.metric)])),
    (_PLAIN, lambda value, inside: _plain(value)),
    (FunctionType, _function),
    (type, lambda value, inside: iter([f"{value.__module__}.{value.__qualname__}".encode()])),
)


def _array(array: Any) -> Iterator[Any]:
    yield f"{array.dtype}{array.shape}".encode()
    if array.dtype.kind == "O":
        yield repr(array.tolist()).encode()
        return
    rows = array if isinstance(array, StoredRows) else np.atleast_1d(array)
    for block in blocks(len(rows), rows.nbytes // max(1, len(rows))):
        yield rows[block].tobytes()


def _score_rows(scores: Scores) -> Iterator[Any]:
    yield str(scores.shape).encode()
    for rows in blocks(scores.shape[0], 4 * scores.shape[1]):
        yield scores.rows(rows).tobytes()


def _file(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(_PIECE), b"")
