"""A run and its judgements, brought to the same rows and items."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rerankit.errors import FormatError, several
from rerankit.formats.content import Tables
from rerankit.formats.door import AnyPath, read
from rerankit.formats.lists import natural
from rerankit.formats.registry import format_of
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance


def read_judged(run: AnyPath, relevance: AnyPath) -> tuple[Ranking, Relevance]:
    """The run and the judgements of two files, with the same queries and the same gallery.

    Where both name their rows, the gallery is every item that the run or the judgements know, and a judged
    query that the run does not have becomes an empty row: it counts, as a query for which nothing was found.
    The names of such queries are in the ranking's notes, under ``queries_missing_from_run``.

    Relevance without names (a matrix, `.npz`) says which row and which item by number. A list of lines, such as a
    TREC file, then must name its queries and items by these numbers too, and its lines are brought to their order.
    """
    ranking = read(run, "ranking")
    judged = read(relevance)
    if isinstance(judged, dict) and not all(isinstance(value, np.ndarray) for value in judged.values()):
        return _by_name(ranking, {str(query): items for query, items in judged.items()})
    found = judged if isinstance(judged, Relevance) else read(relevance, "relevance")
    if Tables not in format_of(Path(run)).holds:
        return _by_number(run, ranking, relevance, found), found
    if found.shape != (len(ranking), ranking.gallery_size):
        raise FormatError(
            f"{relevance}: relevance of {found.shape[0]} queries × {found.shape[1]} items does not fit the run "
            f"{run} of {len(ranking)} × {ranking.gallery_size}"
        )
    return ranking, found


def _by_number(run: AnyPath, ranking: Ranking, relevance: AnyPath, judged: Relevance) -> Ranking:
    """The run with its rows in the order of the judgements; its names must be the numbers of their rows and items."""
    numbers = [[str(number) for number in range(count)] for count in judged.shape]
    given = ranking.query_ids, ranking.gallery_ids
    for what, ids, known in zip(("queries", "items"), given, numbers, strict=True):
        other = sorted(set(_names(ids, 0)) - set(known))
        if other:
            raise FormatError(
                f"{relevance}: has {what} by number, 0 to {len(known) - 1}, but the run {run} by name "
                f"(got {several('that are no such number', other)}): give qrels, or the run as .npz"
            )
    missing = sorted(set(numbers[0]) - set(_names(ranking.query_ids, 0)), key=int)
    whole: Ranking = read(run, "ranking", query_ids=numbers[0], gallery_ids=numbers[1])
    return whole.with_notes(queries_missing_from_run=missing)


def _by_name(ranking: Ranking, judged: dict[str, dict[str, float]]) -> tuple[Ranking, Relevance]:
    queries = _names(ranking.query_ids, len(ranking))
    items = _names(ranking.gallery_ids, ranking.gallery_size)
    known_queries, known_items = set(queries), set(items)
    lost = natural(query for query in judged if query not in known_queries)
    queries += lost
    items += natural(item for found in judged.values() for item in found if item not in known_items)
    width, missing = ranking.shape[1], len(lost)
    whole = Ranking(
        np.concatenate([ranking.indices, np.full((missing, width), -1)]),
        np.concatenate([ranking.scores, np.full((missing, width), -np.inf, np.float32)]),
        gallery_size=len(items),
        query_ids=queries,
        gallery_ids=items,
        notes={**ranking.notes, "queries_missing_from_run": lost},
    )
    grades = {query: {item: max(grade, 0.0) for item, grade in found.items()} for query, found in judged.items()}
    return whole, Relevance.from_dict(grades, queries, items)


def _names(ids: object, count: int) -> list[str]:
    return [str(name) for name in (np.arange(count) if ids is None else np.asarray(ids)).tolist()]
