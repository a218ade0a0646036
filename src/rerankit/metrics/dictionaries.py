"""Places straight from dictionaries: a run ``{query: {item: score}}`` and qrels ``{query: {item: grade}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rerankit.errors import InputError, several
from rerankit.lines import judged_alike
from rerankit.metrics.counting import Counts
from rerankit.metrics.lists import FloatArray, IntArray, Lists, Truth
from rerankit.metrics.places import Places, Ties, places

Run = Mapping[Any, Mapping[Any, float]]


def run_places(run: Run, qrels: Run, ties: Ties) -> tuple[Places, list[Any]]:
    """Places of the relevant items in a run, and its queries in their order.

    Ties under ``ties="index"`` are broken by the order in which the run lists the items.
    """
    qrels = _known_by_run(run, qrels)
    queries = list(run)
    found: list[tuple[int, IntArray, IntArray, IntArray, list[float]]] = []
    grades: list[list[float]] = []
    for row, query in enumerate(queries):
        relevant = {item: grade for item, grade in qrels.get(query, {}).items() if grade > 0}
        grades.append(list(relevant.values()))
        found.append(_of_query(row, query, run[query], relevant, ties))
    counts = [len(row) for row in grades]
    flat = np.array([grade for row in grades for grade in row], np.float64)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    truth = Truth(Lists(indptr, np.zeros(len(flat), np.int64)), flat, Lists.empty(len(queries)), 0)
    rows = np.repeat(np.arange(len(queries)), [len(each[4]) for each in found])
    above, tied, before = (np.concatenate([each[part] for each in found]).astype(np.int64) for part in (1, 2, 3))
    listed = np.array([grade for each in found for grade in each[4]], np.float64)
    return places(truth, rows, Counts(above, tied, before), listed, ties), queries


def _of_query(
    row: int, query: Any, listed: Mapping[Any, float], relevant: Mapping[Any, float], ties: Ties
) -> tuple[int, IntArray, IntArray, IntArray, list[float]]:
    scores = np.fromiter(listed.values(), np.float64, len(listed))
    if not np.isfinite(scores).all():
        bad = [item for item, score in listed.items() if not np.isfinite(score)]
        raise InputError(f"'run' must have finite scores (got {several(f'that are not for query {query!r}', bad)})")
    here = [item for item in relevant if item in listed]
    own: FloatArray = np.array([listed[item] for item in here], np.float64)
    ranked = np.sort(scores)
    right = np.searchsorted(ranked, own, "right")
    tied = right - np.searchsorted(ranked, own, "left")
    before = np.zeros(len(own), np.int64)
    if ties == "index" and (tied > 1).any():
        place = {item: at for at, item in enumerate(listed)}
        before[:] = [np.count_nonzero(scores[: place[item]] == listed[item]) for item in here]
    return row, len(scores) - right, tied, before, [relevant[item] for item in here]


def _known_by_run(run: Run, qrels: Run) -> Run:
    """Qrels by the names of the run, which must have all of their queries."""
    judged = judged_alike(qrels, run, (item for found in run.values() for item in found))
    lost = [query for query in judged if query not in run]
    if lost:
        raise InputError(
            f"'run' must hold every query of the qrels (got {several('missing', lost, len(judged))}); "
            "a query that found nothing is an empty dictionary"
        )
    return judged
