"""What decides the outcome of a run, as checksums: scores with all that stands beside them, and pipelines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import to_numpy
from rerankit.bank import Bank
from rerankit.features import Feature
from rerankit.pipelines.pipeline import Pipeline
from rerankit.pipelines.stage import Stage
from rerankit.problem import Problem
from rerankit.rows import StoredRows
from rerankit.scores import EmbeddingScores, Scores, blocks

_PIECE = 1 << 20


def checksum_of_scores(given: Any, problem: Problem) -> str:
    """SHA-256 of a score file or folder; of anything else, of the problem: its scores, both sides' own, its banks, and
    the features that were given (those of the task are part of the data's checksum).
    """
    if isinstance(given, (str, os.PathLike)):
        return _hashed(_file(Path(given)))
    beside = (problem.query_scores, problem.gallery_scores, problem.query_bank, problem.gallery_bank)
    counted = (problem.scores, *(each for each in beside if each is not None), *_named(given, problem))
    return _hashed(piece for each in counted for piece in _pieces(each))


def checksum_of_problem(problem: Problem) -> str:
    """SHA-256 of all that a problem holds; vectors that stand in several of its parts are read once."""
    known: dict[int, str] = {}
    total = hashlib.sha256()
    for name, part in _parts(problem):
        total.update(f"<{name}>".encode())
        if isinstance(part, EmbeddingScores):
            total.update(part.metric.encode())
            for vectors in (part.queries, part.gallery):
                if id(vectors) not in known:
                    known[id(vectors)] = _hashed(_array(vectors))
                total.update(known[id(vectors)].encode())
        else:
            total.update(_hashed(_pieces(part)).encode())
    return total.hexdigest()


def _parts(problem: Problem) -> Iterator[tuple[str, Any]]:
    """Every part of a problem that is there, by name; relations that are computed follow from the scores."""
    yield "scores", problem.scores
    for name, side in (("query", problem.queries), ("gallery", problem.gallery)):
        if side.scores is not None and not side.computed:
            yield f"{name}_scores", side.scores
        if side.ids is not None:
            yield f"{name}_ids", side.ids.values
        for part in ("to_gallery", "to_queries", "among"):
            if getattr(side.bank, part, None) is not None:
                yield f"{name}_bank/{part}", getattr(side.bank, part)
        yield from ((f"{name}/{feature}", side.features[feature]) for feature in sorted(side.features))
    yield from sorted(problem.extra_scores.items())
    if problem.excluded is not None:
        yield "excluded", [problem.excluded.rows, problem.excluded.indices]


def _named(given: Any, problem: Problem) -> list[Any]:
    """Features and extra scores that were given, in the order of their names."""
    if not isinstance(given, Problem):
        return []
    asked = [("query", name, problem.query_features[name]) for name in sorted(given.query_features)]
    offered = [("gallery", name, problem.gallery_features[name]) for name in sorted(given.gallery_features)]
    return [*asked, *offered, *sorted(problem.extra_scores.items())]


def checksum_of(value: Any) -> str:
    """SHA-256 of a pipeline with all its parameters and weights, or of anything that a parameter may be.

    Parameters that are at their defaults count too: where a later release changes one, its results are new ones.
    """
    return _hashed(_pieces(value))


def _hashed(pieces: Iterable[Any]) -> str:
    total = hashlib.sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()


def _pieces(value: Any) -> Iterator[Any]:
    """The bytes of a parameter, or of anything it holds."""
    yield f"<{type(value).__name__}>".encode()
    if isinstance(value, Stage) and not isinstance(value, Pipeline):
        yield from _pieces({"name": value.name, **value.get_params(), "the weights": value.get_weights()})
    elif isinstance(value, Mapping):
        for name in sorted(value, key=str):
            yield from (f"{name}=".encode(), *_pieces(value[name]))
    elif isinstance(value, Pipeline | list | tuple):
        for each in value:
            yield from _pieces(each)
    elif isinstance(value, Feature | Bank | EmbeddingScores):
        yield from _value(value)
    elif _is_array_like(value):
        yield from _array(value if isinstance(value, StoredRows) else to_numpy(value, "value"))
    elif all(callable(getattr(value, name, None)) for name in ("rows", "pairs", "topk")):
        yield from _score_rows(value)
    else:
        yield from _plain(value)


def _value(value: Feature | Bank | EmbeddingScores) -> Iterator[Any]:
    if isinstance(value, Feature):
        yield from value.pieces()
    elif isinstance(value, Bank):
        yield from _pieces([value.to_gallery, value.to_queries, value.among])
    else:
        yield from _pieces([value.queries, value.gallery, str(value.metric)])


def _is_array_like(value: Any) -> bool:
    """Arrays, tensors, pictures: what they show of themselves as text would leave most of them out."""
    return hasattr(value, "__array__") or hasattr(value, "__array_interface__")


def _plain(value: Any) -> Iterator[Any]:
    """A number or a text; what a path leads to counts, not only its name."""
    yield repr(value).encode()
    if isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
        yield from _file(Path(value))


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
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    for each in files:
        if path.is_dir():  # scores.npy and distances.npy may hold the same numbers
            yield f"<{each.relative_to(path).as_posix()}, {each.stat().st_size}>".encode()
        with each.open("rb") as file:
            yield from iter(lambda: file.read(_PIECE), b"")
