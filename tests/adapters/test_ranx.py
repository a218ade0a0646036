"""ranx both ways: its runs and judgements are read, and its figures are ours."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem
from rerankit.errors import InputError

ranx = pytest.importorskip("ranx")

# ranx is compiled when it is first used, which takes minutes, and numba warns of its own casts.
pytestmark = [pytest.mark.timeout(900), pytest.mark.filterwarnings("ignore:.*unsafe cast")]

RUN = {"q1": {"a": 0.9, "b": 0.4}, "q2": {"c": 0.8, "b": 0.7}}
QRELS = {"q1": {"b": 1}, "q2": {"c": 2, "x": 1}}


def test_a_run_goes_into_rerank_and_evaluate():
    run, qrels = ranx.Run(RUN), ranx.Qrels(QRELS)
    assert Problem(run).ranking().to_dict() == RUN
    assert set(rerankit.rerank(run, "mutual-rank").to_dict()) == {"q1", "q2"}
    ours = rerankit.evaluate(run, qrels, ["mrr", "recall@2"])
    theirs = ranx.evaluate(qrels, run, ["mrr", "recall@2"])
    assert dict(ours) == pytest.approx(theirs)
    assert rerankit.evaluate(Problem(RUN).ranking(), qrels, ["mrr"]).figures == {"mrr": ours["mrr"]}


def test_every_figure_is_ours():
    random = np.random.default_rng(3)
    scores = random.permuted(np.tile(np.arange(60.0), (30, 1)), axis=1)
    right = random.random(scores.shape) < 0.15
    right[np.arange(30), random.integers(0, 60, 30)] = True
    run = {f"q{i}": {f"d{j}": float(score) for j, score in enumerate(row)} for i, row in enumerate(scores)}
    qrels = {f"q{i}": {f"d{j}": 1 for j in np.flatnonzero(row)} for i, row in enumerate(right)}
    pairs = {
        "hit_rate@5": "success@5",
        "recall@10": "recall@10",
        "precision@10": "precision@10",
        "r-precision": "r_precision",
        "map": "map",
        "map@10": "map_all@10",
        "mrr": "mrr",
        "mrr@3": "mrr@3",
        "ndcg@10": "ndcg@10",
    }
    theirs = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), list(pairs))
    ours = rerankit.evaluate(run, qrels, list(pairs.values()))
    for name, own in pairs.items():
        assert ours[own] == pytest.approx(theirs[name], abs=1e-9), name


def test_a_ranking_becomes_a_run_with_texts_as_keys():
    run = Problem({1: {7: 0.5, 8: 0.75}}).ranking().to_ranx("mine")
    assert (run.name, {query: dict(items) for query, items in run.to_dict().items()}) == (
        "mine",
        {"1": {"8": 0.75, "7": 0.5}},
    )
    with pytest.raises(
        InputError, match=r"ranx cannot hold queries without items \(got 1 of 2 without, such as \['q'\]"
    ):
        Problem({"q": {}, "r": {"a": 1}}).ranking().to_ranx()


def test_each_in_its_place():
    with pytest.raises(InputError, match="'scores' must be a run"):
        Problem(ranx.Qrels(QRELS))
    with pytest.raises(InputError, match="'relevance' must be judgements"):
        rerankit.evaluate(ranx.Run(RUN), ranx.Run(RUN))
