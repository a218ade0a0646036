"""Milvus: results of a search as a problem."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.adapters.hits import Hit, problem_of_hits
from rerankit.problem import Problem
from rerankit.scores.distances import ListMetric

_METRICS: dict[str, ListMetric] = {"COSINE": "cosine", "IP": "dot", "BM25": "dot", "L2": "l2", "HAMMING": "hamming"}


def problem_of(
    results: Any,
    *,
    metric_type: str | None = None,
    vector: str = "vector",
    text: str | None = None,
    queries: Any = None,
    **rest: Any,
) -> Problem:
    """The results of `MilvusClient.search` or `hybrid_search`, a list of hits for every query, as a problem of lists.

    metric_type: that of the index: by L2 and HAMMING lower is better. Ask for the fields `vector` and `text` by
    `output_fields`, and items know how they are alike, and what they say. queries: vectors of the queries. `rest`:
    `query_texts`, `bank` (vectors of other queries), and what a `Problem` takes.
    """
    metric = None if metric_type is None else _METRICS[checks.choice("metric_type", metric_type, _METRICS)]
    found = [
        [
            Hit(hit.id, hit.distance, hit.fields.get(vector), None if text is None else hit.fields.get(text))
            for hit in hits
        ]
        for hits in results
    ]
    return problem_of_hits(found, metric, queries=queries, **rest)
