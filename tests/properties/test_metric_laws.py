"""Laws that hold for every rank metric."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerankit import Relevance
from rerankit.metrics import evaluate, evaluate_both, metrics_available

NAMES = [
    f"{name}@{k}" if metric.cut == "required" else name
    for name, metric in metrics_available().items()
    for k in ((1, 3) if metric.cut == "required" else (0,))
    if metric.traits.scope == "gallery"
] + ["map@2", "mrr@2", "ndcg@2"]


@st.composite
def problems(draw: st.DrawFn):  # type: ignore[no-untyped-def]
    queries, gallery = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    cells = st.lists(st.integers(-3, 3), min_size=gallery, max_size=gallery)
    scores = np.array([draw(cells) for _ in range(queries)], np.float64)
    relevant = [draw(st.sets(st.integers(0, gallery - 1), min_size=1)) for _ in range(queries)]
    return scores, Relevance.from_lists([sorted(row) for row in relevant], gallery)


MAPS = {
    "shift below zero": lambda x: x - 100.0,
    "shift above zero": lambda x: x + 100.0,
    "stretch": lambda x: 7.0 * x,
    "cube": lambda x: x**3,
    "exponential": np.exp,
}


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic", "index"])
@given(problems(), st.sampled_from(sorted(MAPS)))
@settings(max_examples=40, deadline=None)
def test_unchanged_under_any_increasing_map(ties, problem, name) -> None:  # type: ignore[no-untyped-def]
    scores, relevance = problem
    plain = evaluate(scores, relevance, NAMES, ties=ties)
    mapped = evaluate(MAPS[name](scores), relevance, NAMES, ties=ties)
    assert dict(plain) == dict(mapped)


@given(problems())
@settings(max_examples=60, deadline=None)
def test_values_lie_between_the_pessimist_and_the_optimist(problem) -> None:  # type: ignore[no-untyped-def]
    scores, relevance = problem
    low, middle, index, high = (
        evaluate(scores, relevance, NAMES, ties=ties)  # type: ignore[arg-type]
        for ties in ("pessimistic", "expected", "index", "optimistic")
    )
    known = metrics_available()
    for name in NAMES:
        metric = name.partition("@")[0]
        # What neg_recall counts is what is wrong: more of it is first where ties are broken for the relevant.
        sign = 1 if known[metric].traits.better == "higher" or metric == "neg_recall" else -1
        for between in (middle, index):
            assert np.all(sign * low.per_query[name] <= sign * between.per_query[name] + 1e-9), name
            assert np.all(sign * between.per_query[name] <= sign * high.per_query[name] + 1e-9), name


@given(problems(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_gallery_does_not_matter(problem, random) -> None:  # type: ignore[no-untyped-def]
    scores, relevance = problem
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    shuffled = evaluate(scores[:, order], relevance.subset(gallery=order), NAMES)
    for name, value in evaluate(scores, relevance, NAMES).items():
        assert shuffled[name] == pytest.approx(value, rel=1e-12)


@given(problems())
@settings(max_examples=40, deadline=None)
def test_a_perfect_ranking_scores_one(problem) -> None:  # type: ignore[no-untyped-def]
    _, relevance = problem
    best = evaluate(relevance.to_dense(), relevance, ["map", "map@2", "ndcg", "mrr", "r_precision", "map_at_r"])
    assert all(value == pytest.approx(1.0) for value in best.values())


@given(problems())
@settings(max_examples=40, deadline=None)
def test_both_directions_agree_with_each_alone(problem) -> None:  # type: ignore[no-untyped-def]
    scores, relevance = problem
    both = evaluate_both(scores, relevance, NAMES, empty="skip")
    assert dict(both.forward) == dict(evaluate(scores, relevance, NAMES, empty="skip"))
