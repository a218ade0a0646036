"""Figures as the demo shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rerankit.metrics import evaluate
from rerankit.metrics.lists import FloatArray
from rerankit.ranking import Ranking
from rerankit.relevance import Relevance


def recalls(ranking: Ranking, relevance: Relevance, places: Sequence[int]) -> dict[str, float]:
    """How many of the queries have a right item among the first k, in percent, for every k.

    >>> ranking = Ranking([[1, 0], [1, 0]], [[2, 1], [2, 1]], gallery_size=2)
    >>> recalls(ranking, Relevance.from_lists([[0], [1]], 2), (1, 2))
    {'R@1': 50.0, 'R@2': 100.0}
    """
    found = evaluate(ranking, relevance, [f"success@{k}" for k in places])
    return percent({f"R@{k}": found[f"success@{k}"] for k in places})


def percent(figures: Mapping[str, float]) -> dict[str, float]:
    """Fractions as they are shown.

    >>> percent({"mAP": 0.12345})
    {'mAP': 12.3}
    """
    return {name: round(100 * value, 1) for name, value in figures.items()}


def first_ranks(ranking: Ranking, relevance: Relevance) -> FloatArray:
    """The rank of each query's first right item (queries,), nan where it is not listed."""
    found = evaluate(ranking, relevance, ["mrr"]).ranks
    assert found is not None
    return found
