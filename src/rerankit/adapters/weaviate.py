"""Weaviate: results of queries as a problem."""

from __future__ import annotations

from typing import Any

from rerankit.adapters.hits import Hit, problem_of_hits
from rerankit.errors import rule
from rerankit.problem import Problem


def problem_of(
    results: Any, *, vector: str = "default", text: str | None = None, queries: Any = None, **rest: Any
) -> Problem:
    """The results of `collection.query.near_vector(…)` and its like, one for each query, as a problem of lists.

    Ask for ``return_metadata=MetadataQuery(distance=True)``, or `score` for words and hybrid search; scores are minus
    the distances. With `include_vector=True` items know how they are alike; `vector` names one of several, `text` the
    property that holds a text. queries: vectors of the queries. `rest`: `query_texts`, `bank` (vectors of other
    queries), and what a `Problem` takes.
    """
    several = results if isinstance(results, list) else [results]
    found = [
        [
            Hit(
                str(one.uuid),
                _score(one.metadata),
                (one.vector or {}).get(vector),
                None if text is None else one.properties.get(text),
            )
            for one in result.objects
        ]
        for result in several
    ]
    return problem_of_hits(found, queries=queries, **rest)


def _score(metadata: Any) -> float:
    if metadata is not None and metadata.distance is not None:
        return -float(metadata.distance)
    if metadata is None or metadata.score is None:
        raise rule("results", "must have distances or scores: return_metadata=MetadataQuery(distance=True)", "none")
    return float(metadata.score)
