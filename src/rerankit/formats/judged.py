"""A run and its judgements, brought to the same rows and items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rerankit.arrays import IntArray
from rerankit.errors import FormatError, InputError, several
from rerankit.formats.content import Tables, Triples
from rerankit.formats.files import AnyPath, content_of, opened
from rerankit.formats.lists import from_ranking, to_ranking
from rerankit.pairs import Pairs
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.triples import Judgements, natural, to_dict


class Judged(NamedTuple):
    """What a file judges: by name, or by row and item of a `Relevance` and the names that these may have."""

    by_name: Judgements | None
    relevance: Relevance | None = None
    query_ids: Any = None
    gallery_ids: Any = None

    @property
    def names(self) -> dict[str, Any]:
        """The `query_ids` and `gallery_ids` of a `Relevance`, in the order in which `read` has them."""
        if self.by_name is None:
            return {"query_ids": self.query_ids, "gallery_ids": self.gallery_ids}
        items = natural(item for judged in self.by_name.values() for item in judged)
        return {"query_ids": natural(self.by_name), "gallery_ids": items}

    def reversed(self) -> Judged:
        """The same from the gallery's side."""
        if self.by_name is None:
            relevance = None if self.relevance is None else self.relevance.reversed()
            return Judged(None, relevance, self.gallery_ids, self.query_ids)
        by_item: Judgements = {}
        for query, items in self.by_name.items():
            for item, grade in items.items():
                by_item.setdefault(item, {})[query] = grade
        return Judged(by_item)


def read_judgements(path: AnyPath) -> Judged:
    """The judgements of a file, alone or beside a problem; lines that may be a run are taken for judgements."""
    place = Path(path)
    content = content_of(place)
    if isinstance(content, Triples) and content.matrix is None:
        if content.what == "scores":
            raise FormatError(
                f"{place}: must hold judgements, and holds a run: its values are scores, not grades "
                "(judgements in JSON end in .qrels.json, and lines have a column grade)"
            )
        return Judged(to_dict(content))
    named = content if isinstance(content, Tables) else Tables()
    return Judged(None, opened(place, content, "relevance"), named.get("query_ids"), named.get("gallery_ids"))


def read_ranked(path: AnyPath) -> Any:
    """A run as a `Ranking`, also lines that may be judgements, or else a problem with its scores."""
    place = Path(path)
    content = content_of(place)
    if isinstance(content, Triples):
        if content.what == "grades":
            raise FormatError(f"{place}: must hold a run or scores, and holds judgements: its values are grades")
        return opened(place, content, "ranking" if content.matrix is None else None)
    found = opened(place, content, None)
    return found if isinstance(found, Ranking | Problem) else opened(place, content, "problem")


def read_judged(run: AnyPath, relevance: AnyPath, *, reverse: bool = False) -> tuple[Ranking, Relevance]:
    """The run and the judgements of two files, with the same queries and the same gallery.

    Where both name their rows, the gallery is every item that the run or the judgements know, and a judged
    query that the run does not have becomes an empty row: it counts, as a query for which nothing was found.
    The names of such queries are in the ranking's notes, under ``queries_missing_from_run``.

    Relevance of a problem with ids is by row of that problem, and the run is brought to its order. Relevance without
    any names (a matrix, `.npz`) says which row and which item by number; a list of lines, such as a TREC file, then
    must name its queries and items by these numbers too. With `reverse` the run's queries are items of the gallery, and
    the judgements are turned round.
    """
    content = content_of(Path(run))
    ranking: Ranking = opened(Path(run), content, "ranking")
    judged = read_judgements(relevance)
    judged = judged.reversed() if reverse else judged
    if judged.by_name is not None:
        return _by_name(ranking, {str(query): items for query, items in judged.by_name.items()})
    assert judged.relevance is not None
    named = judged.query_ids is not None or judged.gallery_ids is not None
    by_row = isinstance(content, Tables) and (not named or (ranking.query_ids is None and ranking.gallery_ids is None))
    if not by_row:
        return _by_number(run, ranking, relevance, judged, judged.relevance.shape), judged.relevance
    if judged.relevance.shape != (len(ranking), ranking.gallery_size):
        shape = judged.relevance.shape
        raise FormatError(
            f"{relevance}: relevance of {shape[0]} queries × {shape[1]} items does not fit the run "
            f"{run} of {len(ranking)} × {ranking.gallery_size}"
        )
    return ranking, judged.relevance


def read_judged_problem(problem: Problem, relevance: AnyPath, *, reverse: bool = False) -> tuple[Problem, Any]:
    """A problem and what a file judges of it: qrels by the ids of both sides, or relevance of its shape.

    Qrels name queries and items as texts, and so does the problem that is given back. With `reverse` both are turned.
    """
    judged = read_judgements(relevance)
    if judged.by_name is not None:
        grades = {query: {item: max(g, 0.0) for item, g in items.items()} for query, items in judged.by_name.items()}
        sides = ((problem.query_ids, problem.shape[0]), (problem.gallery_ids, problem.shape[1]))
        named = problem.with_ids(*(_names(ids, count) for ids, count in sides))
        judged = Judged(grades).reversed() if reverse else Judged(grades)
        return (named.reversed() if reverse else named), judged.by_name
    for side, theirs in (("query_ids", judged.query_ids), ("gallery_ids", judged.gallery_ids)):
        mine = getattr(problem, side)
        if mine is not None and theirs is not None and list(map(str, mine)) != list(map(str, theirs)):
            raise FormatError(f"{relevance}: must have the {side} of the scores, in their order (got others)")
    assert judged.relevance is not None
    return (problem.reversed(), judged.relevance.reversed()) if reverse else (problem, judged.relevance)


def read_relevance(problem: Problem, path: AnyPath) -> Relevance:
    """What a file judges of a problem, by its rows and items: qrels are brought to them by the ids of both sides."""
    named, judged = read_judged_problem(problem, path)
    if isinstance(judged, Relevance):
        return judged
    try:
        return Relevance.from_dict(judged, named.query_ids, named.gallery_ids)  # type: ignore[arg-type]
    except InputError as error:
        raise FormatError(f"{path}: {error}") from error


def _by_number(run: AnyPath, ranking: Ranking, relevance: AnyPath, judged: Judged, shape: tuple[int, int]) -> Ranking:
    """The run with its rows in the order of the judgements, by their ids, or by the numbers of their rows and items."""
    ids = [
        [str(name) for name in (np.arange(count) if given is None else np.asarray(given)).tolist()]
        for given, count in zip((judged.query_ids, judged.gallery_ids), shape, strict=True)
    ]
    given = _names(ranking.query_ids, len(ranking)), _names(ranking.gallery_ids, ranking.gallery_size)
    listed = [given[0], [given[1][item] for item in np.unique(ranking.indices[ranking.mask]).tolist()]]
    for what, mine, known, named in zip(("queries", "items"), listed, ids, judged[2:], strict=True):
        other = sorted(set(mine) - set(known))
        if other and named is None:
            raise FormatError(
                f"{relevance}: has {what} by number, 0 to {len(known) - 1}, but the run {run} by name "
                f"(got {several('that are no such number', other)}): give qrels, or the run as .npz"
            )
        if other:
            raise FormatError(f"{relevance}: must know all {what} of the run {run} (got {several('unknown', other)})")
    known_queries = set(given[0])
    missing = [name for name in ids[0] if name not in known_queries]
    whole = to_ranking(from_ranking(ranking), ids[0], ids[1]).with_notes(queries_missing_from_run=missing)
    return whole if ranking.excluded is None else whole.excluding(_renamed(ranking.excluded, given, ids))


def _renamed(pairs: Pairs, given: Sequence[list[str]], ids: Sequence[list[str]]) -> tuple[IntArray, IntArray]:
    """Rows and items of pairs by the place of their names in other ids; pairs with an unknown name are gone."""
    sides = zip(given, ids, (pairs.rows, pairs.indices), strict=True)
    found = []
    for mine, other, numbers in sides:
        place = {name: row for row, name in enumerate(other)}
        found.append(np.array([place.get(mine[number], -1) for number in numbers.tolist()], np.int64))
    known = (found[0] >= 0) & (found[1] >= 0)
    return found[0][known], found[1][known]


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
