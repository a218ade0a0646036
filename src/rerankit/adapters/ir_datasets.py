"""ir_datasets: its runs with the texts of both sides as a problem."""

from __future__ import annotations

from typing import Any

from rerankit.errors import rule
from rerankit.lines import lines_of
from rerankit.problem import Problem
from rerankit.triples import natural


def problem_of(dataset: Any, run: Any = None, **rest: Any) -> Problem:
    """A run over a dataset of ir_datasets, with the texts of queries and documents as the feature `text` of both.

    run: in any form that a `Problem` takes, by default the dataset's own (`scoreddocs`). Only documents that the run
    lists are read. `rest` goes to `Problem`. The judgements, ``list(dataset.qrels_iter())``, go to `evaluate`.
    """
    if run is None:
        if not dataset.has_scoreddocs():
            raise rule("run", "must be given where the dataset has no scoreddocs", None)
        run = list(dataset.scoreddocs_iter())
    lines = lines_of(run, "scores", "run")
    if lines is None:
        raise rule("run", "must be a run, such as {query: {item: score}}", type(run).__name__)
    queries, items = [str(name) for name in lines.names], natural(map(str, lines.items))  # a dataset's are texts
    texts = {query.query_id: query.default_text() for query in dataset.queries_iter()}
    found = dataset.docs_store().get_many(items)
    for argument, names, known in (("queries", queries, texts), ("documents", items, found)):
        lost = [name for name in names if name not in known]
        if lost:
            raise rule("run", f"must name only {argument} of the dataset", f"{len(lost)} unknown, such as {lost[:3]}")
    features: dict[str, Any] = {
        "query_features": {"text": [texts[name] for name in queries], **(rest.pop("query_features", None) or {})},
        "gallery_features": {
            "text": [found[name].default_text() for name in items],
            **(rest.pop("gallery_features", None) or {}),
        },
    }
    return Problem(lines, query_ids=queries, gallery_ids=items, **features, **rest)
