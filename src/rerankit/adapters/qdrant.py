"""Qdrant: answers to queries as a problem."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.adapters.hits import Hit, problem_of_hits
from rerankit.errors import rule
from rerankit.problem import Problem
from rerankit.scores.distances import ListMetric

_METRICS: dict[str, ListMetric] = {"Cosine": "cosine", "Dot": "dot", "Euclid": "euclidean", "Manhattan": "manhattan"}


def problem_of(
    responses: Any,
    *,
    distance: Any = None,
    vector: str | None = None,
    text: str | None = None,
    queries: Any = None,
    **rest: Any,
) -> Problem:
    """The answers of `client.query_batch_points(…)`, or of `query_points` for one query, as a problem of lists.

    distance: that of the collection (`models.Distance`, or its name): by Euclid and Manhattan lower is better. Ask
    `with_vectors=True`, and items know how they are alike; `vector` names one of several. `text` names the entry of the
    payload that holds a text. queries: vectors of the queries. `rest`: `query_texts`, `bank` (vectors of other
    queries), and what a `Problem` takes.
    """
    several = responses if isinstance(responses, list | tuple) else [responses]
    other = [one for one in several if not hasattr(one, "points")]
    if other:
        raise rule("responses", "must be answers of query_points, with their .points", type(other[0]).__name__)
    found = [
        [Hit(point.id, point.score, _vector(point.vector, vector), _text(point.payload, text)) for point in one.points]
        for one in several
    ]
    return problem_of_hits(found, _metric(distance), queries=queries, **rest)


def _metric(distance: Any) -> ListMetric | None:
    if distance is None:
        return None
    return _METRICS[checks.choice("distance", str(getattr(distance, "value", distance)), _METRICS)]


def _vector(given: Any, name: str | None) -> Any:
    """A point's vector, or the one of this name where it has several."""
    if not isinstance(given, dict):
        return given
    if name is None and len(given) > 1:
        raise rule("vector", "must name one of the vectors", list(given))
    if name is not None and given:
        checks.choice("vector", name, given)
    return next(iter(given.values()), None) if name is None else given.get(name)


def _text(payload: Any, name: str | None) -> Any:
    return None if name is None or payload is None else payload.get(name)
