"""The files that the test servers of CIRR and CIRCO score: one JSON object each, names per query, best first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import FormatError, InputError, RerankitError, rule
from rerankit.ranking import Ranking
from rerankit.reading import read_json
from rerankit.tasks.base import Benchmark, ServerFile, refuse
from rerankit.tasks.files import write_json


def write_server_files(benchmark: Benchmark, ranking: Ranking, folder: str | os.PathLike[str]) -> list[Path]:
    """Write every file that the task's test server takes into a folder, read each back and give their paths.

    ranking: deep enough for every file; a query with too few names is refused, and nothing is written then.
    """
    files, matrix = files_of(benchmark), benchmark.matrices["scores"]
    if ranking.shape[0] != matrix.shape[0] or ranking.gallery_size != matrix.shape[1]:
        got = (ranking.shape[0], ranking.gallery_size)
        raise rule("ranking", f"must have the queries and the gallery of the task, {matrix.shape}", got)
    listed = {each.name: _lists(benchmark, ranking, each) for each in files}
    paths = []
    for each in files:
        path = Path(folder) / f"{each.name}.json"
        write_json(path, {**each.header, **listed[each.name]})
        _, again = read_server_file(benchmark, path)
        if not np.array_equal(again.indices, _kept(benchmark, ranking, each).indices[:, : each.length]):
            raise RerankitError(f"{path}: does not hold what was written; is something else writing there?")
        paths.append(path)
    return paths


def read_server_file(benchmark: Benchmark, path: str | os.PathLike[str]) -> tuple[ServerFile, Ranking]:
    """A file for the test server, which one of the task's it is, and its lists as a ranking.

    Every query must be there, with as many names as the server wants, all known and none twice.
    """
    place, matrix = Path(path), benchmark.matrices["scores"]
    content = read_json(place, dict)
    kind = _kind(benchmark, place, content)
    known = {str(query) for query in matrix.query_ids}
    given = {query: items for query, items in content.items() if query not in kind.header}
    refuse(place, "must hold lists of names", [q for q, x in given.items() if not isinstance(x, list)], len(given))
    short = [query for query, items in given.items() if len(items) != kind.length]
    twice = [query for query, items in given.items() if len(set(map(str, items))) != len(items)]
    refuse(place, "must name only queries of this task", [q for q in given if q not in known], len(given))
    refuse(
        place, "must have a list for every query", [q for q in map(str, matrix.query_ids) if q not in given], len(known)
    )
    refuse(place, f"must list {kind.length} items for every query", short, len(given))
    refuse(place, "must list an item once", twice, len(given))
    column = {str(name): at for at, name in enumerate(np.asarray(matrix.gallery_ids).tolist())}
    unknown = [name for items in given.values() for name in items if str(name) not in column]
    refuse(place, "must list only items of the gallery", unknown, None)
    indices = [[column[str(name)] for name in given[str(query)]] for query in matrix.query_ids]
    scores = np.broadcast_to(-np.arange(kind.length, dtype=np.float32), (len(indices), kind.length))
    queries, gallery = list(matrix.query_ids), list(matrix.gallery_ids)
    return kind, Ranking(indices, scores, gallery_size=len(column), query_ids=queries, gallery_ids=gallery)


def files_of(benchmark: Benchmark) -> tuple[ServerFile, ...]:
    """What the task's test server takes; an error for a task that has none."""
    if not benchmark.task.server_files:
        raise InputError(f"task '{benchmark.task.card.name}' has no test server: its right answers are public")
    return benchmark.task.server_files


def _kind(benchmark: Benchmark, path: Path, content: Mapping[str, Any]) -> ServerFile:
    """The file whose header this is."""
    files = files_of(benchmark)
    for each in files:
        if all(content.get(name) == value for name, value in each.header.items()):
            return each
    wanted = " or ".join(", ".join(f'"{n}": "{v}"' for n, v in each.header.items()) for each in files)
    got = {name: content.get(name) for name in files[0].header}
    raise FormatError(f"{path}: must have {wanted} (got {got})")


def _kept(benchmark: Benchmark, ranking: Ranking, kind: ServerFile) -> Ranking:
    mask = benchmark.task.submitted(benchmark, ranking, kind)
    return ranking if mask is None else ranking.keep(mask)


def _lists(benchmark: Benchmark, ranking: Ranking, kind: ServerFile) -> dict[str, Sequence[Any]]:
    """The first names of each query; every query must have that many."""
    matrix, kept = benchmark.matrices["scores"], _kept(benchmark, ranking, kind)
    short = [matrix.query_ids[row] for row in np.flatnonzero(kept.mask.sum(axis=1) < kind.length).tolist()]
    if short:
        raise InputError(
            f"'ranking' must list at least {kind.length} {kind.what} for every query of {kind.name}.json (got "
            f"{len(short)} of {len(ranking)} queries with fewer, such as {short[:3]}); rank deeper"
        )
    names = np.asarray(matrix.gallery_ids)
    return {str(query): names[kept.indices[row, : kind.length]].tolist() for row, query in enumerate(matrix.query_ids)}
