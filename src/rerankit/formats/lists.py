"""Lines of query, item and value (TREC, JSON, Parquet, CSV) as rankings and judgements, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray, IntArray, float32
from rerankit.errors import FormatError, InputError, several
from rerankit.formats.content import Format, Triples
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance

Judgements = dict[str, dict[str, float]]


def natural(ids: Iterable[str]) -> list[str]:
    """Ids without repeats in a fixed order: whole numbers by value, anything else as text.

    >>> natural(["10", "9", "10"]), natural(["b", "a10", "a9"])
    (['9', '10'], ['a10', 'a9', 'b'])
    """
    unique = set(ids)
    if all(name.isdecimal() and str(int(name)) == name for name in unique):
        return sorted(unique, key=int)
    return sorted(unique)


def to_ranking(triples: Triples, query_ids: Any = None, gallery_ids: Any = None) -> Ranking:
    """A ranking; without ids, queries come in the order of the lines and items in natural order."""
    if triples.what != "scores":
        raise InputError("a ranking needs scores (got grades)")
    _refuse_none(triples)
    queries = triples.names if query_ids is None else query_ids
    items = natural(triples.items) if gallery_ids is None else gallery_ids
    _numbers(triples.names, queries, "query_ids")  # also a query without lines must be known
    rows = _numbers(triples.queries, queries, "query_ids")
    columns = _numbers(triples.items, items, "gallery_ids")
    _refuse_repeats(triples, rows, columns, len(items))
    values = float32(triples.values, "scores")  # what does not fit becomes infinite, which a ranking refuses
    indices, scores = _padded(rows, columns, values, len(queries))
    return Ranking.ordered(indices, scores, gallery_size=len(items), query_ids=queries, gallery_ids=items)


def from_ranking(ranking: Ranking) -> Triples:
    """The lines of a ranking, best first; row numbers stand for ids that it does not have."""
    rows, places = np.nonzero(ranking.mask)
    names = _names(ranking.query_ids, len(ranking))
    items = _names(ranking.gallery_ids, ranking.gallery_size)[ranking.indices[rows, places]]
    scores = ranking.scores[rows, places].astype(np.float64)
    return Triples(names[rows].tolist(), items.tolist(), scores, "scores", names.tolist())


def check_held(format: Format, ranking: Ranking, path: Path) -> None:
    """Refuse queries without items, and ids, that a list format cannot hold: known before the final scores are."""
    if Triples not in format.holds:
        return
    queries = _names(ranking.query_ids, len(ranking))
    check_empty(format, queries[~ranking.mask.any(axis=1)].tolist(), path)
    ranked = np.unique(ranking.indices[ranking.mask])
    format.check_ids(path, queries.tolist())
    format.check_ids(path, _names(ranking.gallery_ids, ranking.gallery_size)[ranked].tolist())


def check_empty(format: Format, empty: list[str], path: Path) -> None:
    """Refuse queries without items in a format that would lose them."""
    if empty and not format.holds_empty_queries:
        raise FormatError(
            f"{path}: {format.name} cannot hold queries without items (got {several('without', empty)}): "
            "write .json, .npz or .safetensors"
        )


def to_judgements(triples: Triples) -> Judgements:
    """`{query: {item: grade}}`."""
    judged: Judgements = {query: {} for query in triples.names}
    again = []
    for query, item, grade in zip(triples.queries, triples.items, triples.values.tolist(), strict=True):
        if item in judged[query]:
            again.append((query, item))
        judged[query][item] = grade
    _refuse_again("judge", again)
    return judged


def from_judgements(judged: Mapping[Any, Mapping[Any, float]], what: Any = "grades") -> Triples:
    """The lines of `{query: {item: value}}`."""
    cells = [(str(query), str(item), float(v)) for query, items in judged.items() for item, v in items.items()]
    values = np.array([value for _, _, value in cells], np.float64)
    if not np.isfinite(values).all():
        bad = [cell for cell in cells if not np.isfinite(cell[2])]
        raise InputError(f"every {what[:-1]} must be finite (got {several('that are not', bad, len(cells))})")
    names = [str(query) for query in judged]
    return Triples([query for query, _, _ in cells], [item for _, item, _ in cells], values, what, names)


def to_relevance(triples: Triples, query_ids: Any = None, gallery_ids: Any = None) -> Relevance:
    """Relevance for these ids, or without them for those of the lines, in natural order."""
    if triples.what != "grades":
        raise InputError("relevance needs grades (got scores)")
    _refuse_none(triples)
    judged = to_judgements(triples)
    queries = natural(triples.names) if query_ids is None else [str(q) for q in np.asarray(query_ids).tolist()]
    items = natural(triples.items) if gallery_ids is None else [str(i) for i in np.asarray(gallery_ids).tolist()]
    # Many collections mark "judged, and wrong" by a negative grade; it says what a grade of zero says.
    kept = {query: {item: max(grade, 0.0) for item, grade in found.items()} for query, found in judged.items()}
    return Relevance.from_dict(kept, queries, items)


def from_relevance(relevance: Relevance, query_ids: Any = None, gallery_ids: Any = None) -> Triples:
    """The lines of relevance; row numbers stand for ids that are not given."""
    if len(relevance.excluded):
        raise InputError(
            f"lists of judgements cannot hold items to leave out (got {len(relevance.excluded)}); "
            "write a folder, .npz or .safetensors"
        )
    names = _names(query_ids, relevance.shape[0])
    items = _names(gallery_ids, relevance.shape[1])[relevance.indices]
    grades = relevance.grades.astype(np.float64)
    return Triples(names[relevance.rows].tolist(), items.tolist(), grades, "grades", names.tolist())


def _names(ids: Any, count: int) -> AnyArray:
    names = np.arange(count) if ids is None else np.asarray(ids)
    if len(names) != count:
        raise InputError(f"ids must be one for each of {count} rows (got {len(names)})")
    return names.astype(str)


def _numbers(names: list[str], ids: Any, argument: str) -> IntArray:
    number = {str(name): row for row, name in enumerate(np.asarray(ids).tolist())}
    try:
        return np.array([number[name] for name in names], np.int64)
    except KeyError:
        unknown = sorted(set(names) - set(number))
        raise InputError(f"'{argument}' must have every id of the file (got {several('unknown', unknown)})") from None


def _refuse_none(triples: Triples) -> None:
    if not triples.queries:
        raise InputError(f"must have at least one line with {triples.what} (got none)")


def _refuse_repeats(triples: Triples, rows: IntArray, columns: IntArray, width: int) -> None:
    keys = rows * width + columns
    unique, first = np.unique(keys, return_index=True)
    if len(unique) < len(keys):
        again = np.setdiff1d(np.arange(len(keys)), first).tolist()
        _refuse_again("list", [(triples.queries[line], triples.items[line]) for line in again])


def _refuse_again(verb: str, again: list[tuple[str, str]]) -> None:
    """Pairs of query and item that were there before."""
    if again:
        raise InputError(f"a query must {verb} an item once (got {several('repeated (query, item)', again)})")


def _padded(rows: IntArray, columns: IntArray, values: AnyArray, queries: int) -> tuple[IntArray, AnyArray]:
    by_row = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=queries)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    indices = np.full((queries, int(counts.max())), -1, np.int64)
    scores = np.full(indices.shape, -np.inf, np.float32)
    indices[rows[by_row], place] = columns[by_row]
    scores[rows[by_row], place] = values[by_row]
    return indices, scores
