"""`evaluate` and `evaluate_both`: figures of anything ranked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.adapters import table_of
from rerankit.adapters.sparse import is_sparse
from rerankit.arrays import to_numpy
from rerankit.errors import InputError, rule
from rerankit.labelled import in_order
from rerankit.metrics.dictionaries import run_places
from rerankit.metrics.evaluation import Empty, Evaluation, check_empty, evaluation
from rerankit.metrics.lists import Lists, Truth, truth_of
from rerankit.metrics.named import judged_of, knowing, ranked_of
from rerankit.metrics.places import Places, Ties, check_ties
from rerankit.metrics.registry import Measure, measures
from rerankit.metrics.sources import both_places, check_shapes, opened, places_of, size_of, subset_places
from rerankit.pairs import as_pairs
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance

DEFAULT_METRICS = ("success@1", "success@5", "success@10", "median_rank", "mean_rank")


def evaluate(
    ranked: Any,
    relevance: Any,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    *,
    ties: Ties = "expected",
    empty: Empty = "error",
    tail: Any = None,
    subset: Any = None,
) -> Evaluation:
    """Figures of a ranking, of scores, of a problem's scores or of a run, against what is relevant.

    ranked: a `Ranking`, a `Problem`, `Scores`, a matrix (queries, gallery; higher is better; a memory map is
    read once and never copied), or a run with qrels: ``{query: {item: score}}`` and ``{query: {item: grade}}``, data
    frames of lines, objects of ranx, lists of ir_measures' records.
    relevance: a `Relevance`, one list of gallery rows per query, qrels, or a matrix of grades.
    ties: equal scores are taken in random order and the expected value is given ("expected"), in the order of
    the gallery ("index"), or for and against the system ("optimistic", "pessimistic").
    empty: queries with no relevant item are refused ("error"), left out ("skip") or count as 0 ("zero").
    tail: scores for the items behind a ranking's end, which keep their order there.
    subset: for ``subset_success@k``, the gallery rows among which each query chooses: a list for each, or a mask.

    >>> result = evaluate([[0.9, 0.1, 0.5], [0.2, 0.7, 0.7]], [[0], [1]], ["success@1", "mean_rank"])
    >>> result["success@1"], result.per_query["mean_rank"]
    (0.75, array([1. , 1.5]))
    """
    wanted, ties, empty = measures(metrics), check_ties(ties), check_empty(empty)
    ranked, relevance = ranked_of(ranked), judged_of(relevance)
    if isinstance(ranked, Mapping):
        if not isinstance(relevance, Mapping) or tail is not None or subset is not None:
            raise InputError("'relevance' must be qrels {query: {item: grade}} for a run, without 'tail' or 'subset'")
        found, ids = run_places(ranked, relevance, ties)
        return _evaluation({"gallery": found}, wanted, ties, empty, np.array(ids, dtype=object), _longest(ranked))
    if isinstance(relevance, Mapping):
        ranked, relevance = knowing(ranked, relevance)
    source = opened(ranked)
    truth = truth_of(agreeing_relevance(relevance, ranked, source))
    behind = None if tail is None else opened(tail)
    found = places_of(source, truth, ties, behind)
    by_scope = {"gallery": found}
    if subset is not None:
        listed = list(subset) if isinstance(subset, tuple) else subset  # two lists are no rows and columns here
        among = as_pairs(listed, (truth.queries, truth.gallery), "subset")
        assert among is not None, "it was given"
        by_scope["subset"] = subset_places(source, truth, Lists(among.indptr, among.indices), ties, behind)
    listed = source.shape[1] if isinstance(source, Ranking) and tail is None else size_of(source)[1]
    return _evaluation(
        by_scope,
        wanted,
        ties,
        empty,
        getattr(ranked, "query_ids", None),
        listed if listed < size_of(source)[1] else None,
    )


def _longest(run: Mapping[Any, Mapping[Any, float]]) -> int | None:
    """How many items a query of a run has at the most; None where that is every item of the run."""
    longest = max(map(len, run.values()), default=0)
    return longest if longest < len({item for items in run.values() for item in items}) else None


@dataclass(frozen=True)
class BothWays:
    """Figures of both directions of one matrix: its rows as queries, and its columns."""

    forward: Evaluation
    reverse: Evaluation

    @property
    def rsum(self) -> float:
        """rSum: success at 1, 5 and 10 of both directions, in percent, added up."""
        return self.forward["rsum"] + self.reverse["rsum"]


def evaluate_both(
    scores: Any,
    relevance: Any,
    metrics: str | Sequence[str] = (*DEFAULT_METRICS, "rsum"),
    *,
    reverse: Relevance | None = None,
    ties: Ties = "expected",
    empty: Empty = "error",
) -> BothWays:
    """Figures of both directions of one matrix, read once: rows look for columns, columns for rows.

    `reverse` is the relevance of the columns' direction, (gallery, queries), when it is not the same
    judgements seen from the other side.

    >>> both = evaluate_both([[0.9, 0.1], [0.8, 0.7]], [[0], [1]], ["success@1", "rsum"])
    >>> both.forward["success@1"], both.reverse["success@1"], both.rsum
    (0.5, 1.0, 550.0)
    """
    wanted, ties, empty = measures(metrics), check_ties(ties), check_empty(empty)
    scores = ranked_of(scores)
    if isinstance(scores, Mapping):
        raise InputError("'scores' must be a matrix or complete scores for both directions (got a run)")
    source = opened(scores)
    if not isinstance(source, np.ndarray) and not hasattr(source, "T"):
        raise InputError("'scores' must be a matrix or complete scores for both directions (got a ranking)")
    known = agreeing_relevance(relevance, scores, source)
    forward, backward = truth_of(known), truth_of(known.reversed() if reverse is None else reverse)
    check_shapes(source.T, backward, "reverse")
    rows, columns = both_places(source, forward, backward, ties)
    ids = getattr(scores, "query_ids", None), getattr(scores, "gallery_ids", None)
    return BothWays(
        _evaluation({"gallery": rows}, wanted, ties, empty, ids[0]),
        _evaluation({"gallery": columns}, wanted, ties, empty, ids[1]),
    )


def _evaluation(
    places: Mapping[str, Places],
    wanted: Sequence[Measure],
    ties: Ties,
    empty: Empty,
    ids: Any,
    listed: int | None = None,
) -> Evaluation:
    return evaluation(places, wanted, ties=ties, empty=empty, query_ids=ids, listed=listed)


def agreeing_relevance(given: Any, ranked: Any, source: Any) -> Relevance:
    """The relevance of what is ranked, less the items that a problem or a ranking leaves out."""
    known = as_relevance(judged_of(given), ranked, source)
    check_shapes(source, truth_of(known))
    return known.excluding(getattr(ranked, "excluded", None))


def as_relevance(given: Any, ranked: Any, source: Any) -> Relevance:
    """`Relevance` from qrels, lists of gallery rows, a sparse or a dense matrix of grades, a data frame of them."""
    queries, gallery = size_of(source)
    if isinstance(given, Relevance):
        return given
    ids = getattr(ranked, "query_ids", None), getattr(ranked, "gallery_ids", None)
    if isinstance(given, Mapping):
        rows = range(queries) if ids[0] is None else ids[0]
        return Relevance.from_dict(given, rows, range(gallery) if ids[1] is None else ids[1])
    if is_sparse(given):
        return Relevance.from_sparse(given)
    if (table := table_of(given)) is not None:
        return Relevance.from_dense(in_order(table, *ids, "relevance").rows())
    if getattr(given, "ndim", 0) == 2:
        return Relevance.from_dense(given)
    if not isinstance(given, Collection) or isinstance(given, str):
        kinds = "a Relevance, a list of gallery rows for each query, qrels or a matrix of grades"
        raise rule("relevance", f"must be {kinds}", given)
    return Relevance.from_lists([_gallery_rows(row) for row in given], gallery)


def _gallery_rows(given: Any) -> list[int]:
    """The relevant gallery rows of one query, or the only one."""
    rows = np.atleast_1d(to_numpy(sorted(given) if isinstance(given, set | frozenset) else given, "relevance"))
    if rows.size and rows.dtype.kind not in "iu":
        text = "must list gallery rows of each query; a matrix of grades is an array, not lists"
        raise rule("relevance", text, f"dtype {rows.dtype}, such as {rows.tolist()[:3]}")
    found: list[int] = rows.tolist()
    return found


__all__ = ["DEFAULT_METRICS", "BothWays", "Truth", "as_relevance", "evaluate", "evaluate_both"]
