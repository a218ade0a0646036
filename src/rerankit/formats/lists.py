"""Lines of query, item and value (TREC, JSON, Parquet, CSV) as rankings and judgements, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError, InputError, brief, several
from rerankit.formats.content import Format, Triples
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance
from rerankit.triples import from_dict, natural, refuse_none, to_dict, to_lists


def to_ranking(triples: Triples, query_ids: Any = None, gallery_ids: Any = None) -> Ranking:
    """A ranking; without ids, queries come in the order of the lines and items in natural order."""
    found = to_lists(triples, query_ids, gallery_ids)
    return Ranking.ordered(
        found.indices,
        found.scores,
        gallery_size=len(found.gallery_ids),
        query_ids=found.query_ids,
        gallery_ids=found.gallery_ids,
    )


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


def from_nested(nested: Mapping[Any, Mapping[Any, float]], what: Any = "grades") -> Triples:
    """The lines of `{query: {item: value}}`, all names as texts."""
    found = from_dict(nested, what)
    names = [str(query) for query in found.names]
    return Triples(list(map(str, found.queries)), list(map(str, found.items)), found.values, what, names)


def to_relevance(triples: Triples, query_ids: Any = None, gallery_ids: Any = None) -> Relevance:
    """Relevance for these ids, or without them for those of the lines, in natural order."""
    if triples.what == "scores":
        raise InputError("relevance needs grades (got scores)")
    refuse_none(triples)
    judged = to_dict(triples)
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
    if names.ndim != 1 or len(names) != count:
        got = len(names) if names.ndim == 1 else brief(ids)
        raise InputError(f"ids must be one for each of {count} rows (got {got})")
    return names.astype(str)
