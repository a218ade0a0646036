"""What vector databases return, a list of hits for every query, as a problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rerankit.arrays import FloatArray, float32, real_matrix
from rerankit.bank import Bank
from rerankit.errors import rule
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, VectorMetric
from rerankit.scores.distances import ListMetric

_RELATIONS: dict[ListMetric | None, VectorMetric] = {None: "cosine", "cosine": "cosine", "dot": "dot"}


class Hit(NamedTuple):
    """An item that was found for a query: its id and score, and its vector and text where they are known."""

    id: Any
    score: float
    vector: Any = None
    text: str | None = None


def problem_of_hits(
    found: Sequence[Sequence[Hit]],
    metric: ListMetric | None = None,
    *,
    queries: Any = None,
    query_texts: Sequence[str] | None = None,
    bank: Any = None,
    **rest: Any,
) -> Problem:
    """A problem of lists out of the hits of every query, best first; what is not listed is absent.

    metric: what the scores are, as in `Problem.from_rankings`. Where all hits have vectors, the items' own similarities
    are known; with `queries`, vectors (queries, d), those of the queries, too; `bank` are vectors of other queries.
    Texts are the feature `text`. `rest` goes to `Problem`.

    >>> problem_of_hits([[Hit("a", 0.9), Hit("b", 0.4)], [Hit("b", 0.7)]]).ranking().to_dict()
    {0: {'a': 0.9, 'b': 0.4}, 1: {'b': 0.7}}
    """
    items: dict[Any, Hit] = {}
    for hit in (hit for hits in found for hit in hits):
        items.setdefault(hit.id, hit)
    if not items:
        raise rule("found", "must have at least one hit", f"none for {len(found)} queries")
    places, width = {name: place for place, name in enumerate(items)}, max(map(len, found))
    indices = np.full((len(found), width), -1)
    scores = np.zeros(indices.shape)
    for row, hits in enumerate(found):
        indices[row, : len(hits)] = [places[hit.id] for hit in hits]
        scores[row, : len(hits)] = [hit.score for hit in hits]
    _refuse_distances(found, metric)
    rest |= relations([hit.vector for hit in items.values()], queries, bank, metric)
    texts = [hit.text for hit in items.values()]
    for side, known in (("query", query_texts), ("gallery", None if None in texts else texts)):
        if known is not None:
            rest[f"{side}_features"] = {"text": list(known), **(rest.get(f"{side}_features") or {})}
    return Problem.from_rankings(indices, scores, len(items), metric=metric, **{"gallery_ids": _names(items), **rest})


def _refuse_distances(found: Sequence[Sequence[Hit]], metric: ListMetric | None) -> None:
    """A database returns its best hits first: numbers that rise in every list are distances, whatever was declared, and
    those that fall are scores."""
    steps = [np.diff([hit.score for hit in hits]) for hits in found if len(hits) > 1]
    if metric in ("cosine", "dot") and steps and all((each > 0).all() for each in steps):
        rising = f"{metric!r}, and numbers that rise in all of {len(steps)} lists"
        raise rule("found", "must be scores where the metric is one: the best hit has the highest", rising)
    if metric not in (None, "cosine", "dot") and steps and all((each < 0).all() for each in steps):
        falling = f"{metric!r}, and numbers that fall in all of {len(steps)} lists"
        raise rule("found", "must be distances where the metric is one: the best hit has the lowest", falling)


def _names(items: dict[Any, Hit]) -> list[Any]:
    """Ids of one kind: whole numbers, or else texts."""
    return list(items) if all(isinstance(name, int) for name in items) else [str(name) for name in items]


def relations(vectors: Sequence[Any], queries: Any, bank: Any, metric: ListMetric | None) -> dict[str, Any]:
    """What a `Problem` is given of the similarities of its two sides and of a bank, as far as vectors are known.

    vectors: of the items, with None for those that came without.
    """
    by = _RELATIONS.get(metric, "euclidean")
    of_queries = None if queries is None else _vectors(queries, "queries")
    found: dict[str, Any] = {} if of_queries is None else {"query_scores": EmbeddingScores(of_queries, of_queries, by)}
    if any(one is None for one in vectors):
        if bank is not None:
            raise rule("bank", "needs the vectors of all hits: search with vectors", "hits without")
        return found
    items = _vectors(vectors, "vectors of hits")
    found["gallery_scores"] = EmbeddingScores(items, items, by)
    if bank is not None:
        old = _vectors(bank, "bank")
        between = EmbeddingScores(old if of_queries is None else of_queries, items, by)
        found["query_bank"] = Bank.from_embeddings(old, between, "bank")
        if of_queries is None:
            found["query_bank"] = found["query_bank"].facing(None)
    return found


def _vectors(given: Any, argument: str) -> FloatArray:
    return float32(real_matrix(np.asarray(given), argument), argument)
