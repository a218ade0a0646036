"""Every metric against a library that others wrote, on scores without ties (each breaks ties its own way)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rerankit.metrics import evaluate


def made(seed: int = 0, queries: int = 30, gallery: int = 60, graded: bool = True):
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(gallery, dtype=float), (queries, 1)), axis=1) - 20.0
    grades = np.where(rng.random((queries, gallery)) < 0.15, rng.integers(1, 4 if graded else 2, (queries, gallery)), 0)
    grades[np.arange(queries), rng.integers(0, gallery, queries)] = 1
    run = {f"q{i}": {f"d{j}": float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    qrels = {f"q{i}": {f"d{j}": int(g) for j, g in enumerate(row) if g} for i, row in enumerate(grades)}
    return scores, grades, run, qrels


def test_ir_measures() -> None:
    ir = pytest.importorskip("ir_measures")
    scores, grades, run, qrels = made()
    pairs = {
        ir.Success @ 5: "success@5",
        ir.R @ 10: "recall@10",
        ir.P @ 10: "precision@10",
        ir.AP: "map",
        ir.AP @ 10: "map_all@10",
        ir.nDCG: "ndcg",
        ir.nDCG @ 10: "ndcg@10",
        ir.RR: "mrr",
        ir.Rprec: "r_precision",
    }
    result = evaluate(scores, grades, list(pairs.values()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = list(ir.iter_calc(list(pairs), qrels, run))
    values: dict[str, dict[str, float]] = {}
    for each in theirs:
        values.setdefault(pairs[each.measure], {})[each.query_id] = each.value
    assert set(values) == set(pairs.values())
    for name, by_query in values.items():
        wanted = [by_query[f"q{i}"] for i in range(len(scores))]
        np.testing.assert_allclose(result.per_query[name], wanted, atol=1e-6, err_msg=name)


def test_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, grades, _, _ = made(1)
    result = evaluate(scores, grades, ["map", "ndcg", "ndcg@10", "success@3"])
    wanted = [metrics.average_precision_score(g > 0, s) for g, s in zip(grades, scores, strict=True)]
    np.testing.assert_allclose(result.per_query["map"], wanted)
    assert result["ndcg"] == pytest.approx(metrics.ndcg_score(grades, scores))
    assert result["ndcg@10"] == pytest.approx(metrics.ndcg_score(grades, scores, k=10))


def test_scikit_learn_averages_ties_as_we_do() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 5, (20, 40)).astype(float)
    grades = rng.integers(0, 4, (20, 40))
    for k in (None, 1, 7):
        name = "ndcg" if k is None else f"ndcg@{k}"
        assert evaluate(scores, grades, [name])[name] == pytest.approx(metrics.ndcg_score(grades, scores, k=k))


def test_torchmetrics_where_scores_are_positive() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pytest.importorskip("torchmetrics.functional.retrieval")
    torch = pytest.importorskip("torch")
    scores, grades, _, _ = made(4, graded=False)
    scores = scores + 21
    result = evaluate(scores, grades, ["success@5", "recall@5", "precision@5", "r_precision", "map", "mrr", "ndcg@5"])
    for row in range(len(scores)):
        given, right = torch.tensor(scores[row]), torch.tensor(grades[row])
        for name, function, options in (
            ("success@5", theirs.retrieval_hit_rate, {"top_k": 5}),
            ("recall@5", theirs.retrieval_recall, {"top_k": 5}),
            ("precision@5", theirs.retrieval_precision, {"top_k": 5}),
            ("r_precision", theirs.retrieval_r_precision, {}),
            ("map", theirs.retrieval_average_precision, {}),
            ("mrr", theirs.retrieval_reciprocal_rank, {}),
            ("ndcg@5", theirs.retrieval_normalized_dcg, {"top_k": 5}),
        ):
            assert result.per_query[name][row] == pytest.approx(float(function(given, right, **options)), abs=1e-6)
