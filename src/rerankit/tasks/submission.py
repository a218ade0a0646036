"""Ranked lists as the test servers of CIRR and CIRCO take them: one JSON object, names best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import FormatError, InputError
from rerankit.ranking import Ranking
from rerankit.tasks.base import fault
from rerankit.tasks.files import read_json, write_json


def write_lists(path: Path, lists: Mapping[str, Sequence[Any]], header: Mapping[str, str]) -> None:
    """Write the header's fields and then one list per query."""
    write_json(path, {**header, **lists})


def names_of(
    ranking: Ranking, query_ids: Sequence[Any], gallery_ids: Sequence[Any], length: int
) -> dict[str, list[Any]]:
    """The first names of each query; every query must have that many."""
    short = [query_ids[row] for row in np.flatnonzero(ranking.mask.sum(axis=1) < length).tolist()]
    if short:
        raise InputError(
            f"'ranking' must list at least {length} items for every query of the server's file (got {len(short)} of "
            f"{len(ranking)} queries with fewer, such as {short[:3]})"
        )
    names = np.asarray(gallery_ids)
    return {str(query): names[ranking.indices[row, :length]].tolist() for row, query in enumerate(query_ids)}


def read_lists(
    path: Path, header: Mapping[str, str], query_ids: Sequence[Any], gallery_ids: Sequence[Any], length: int
) -> Ranking:
    """A server's file as a ranking; every query, the right length, known names, none twice."""
    content = read_json(path, dict)
    for name, wanted in header.items():
        if content.get(name) != wanted:
            raise FormatError(f'{path}: must have "{name}": "{wanted}" (got {content.get(name)!r})')
    known = {str(query) for query in query_ids}
    given = {query: items for query, items in content.items() if query not in header}
    _check(path, "must name only queries of this task", [q for q in given if q not in known], len(given))
    _check(path, "must have a list for every query", [q for q in map(str, query_ids) if q not in given], len(known))
    _check(
        path, f"must list {length} items for every query", [q for q, x in given.items() if len(x) != length], len(given)
    )
    _check(path, "must list an item once", [q for q, x in given.items() if len(set(map(str, x))) != len(x)], len(given))
    place = {str(name): column for column, name in enumerate(np.asarray(gallery_ids).tolist())}
    unknown = [name for items in given.values() for name in items if str(name) not in place]
    _check(path, "must list only items of the gallery", unknown, None)
    indices = [[place[str(name)] for name in given[str(query)]] for query in query_ids]
    scores = np.broadcast_to(-np.arange(length, dtype=np.float32), (len(indices), length))
    return Ranking(indices, scores, gallery_size=len(place), query_ids=list(query_ids), gallery_ids=list(gallery_ids))


def _check(path: Path, rule: str, bad: list[Any], total: int | None) -> None:
    if bad:
        raise fault(path, rule, bad, total)
