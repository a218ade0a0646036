from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Relevance, stage
from rerankit.errors import InputError, UnmetNeedError


def sampled(temperature: float, queries: int = 4000, seed: int = 0) -> tuple[Problem, Relevance]:
    """Queries whose right item is drawn from the softmax of score / temperature."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(queries, 5))
    chances = np.exp(scores / temperature)
    chances /= chances.sum(axis=1, keepdims=True)
    drawn = (random.random(queries)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(max=4)
    return Problem(scores), Relevance.from_lists(drawn[:, None].tolist(), 5)


def test_repr():
    assert repr(stage("calibrate", method="platt")) == "stage('calibrate', method='platt')"


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_finds_the_temperature_the_labels_were_drawn_at(temperature):
    problem, relevance = sampled(temperature)
    fitted = stage("calibrate").fit(problem, relevance)
    assert fitted.get_weights()["temperature"][0] == pytest.approx(temperature, rel=0.1)
    result = rerankit.rerank(problem, fitted)
    np.testing.assert_allclose(result.scores.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_probabilities_are_right_and_the_order_stays(method, tmp_path):
    if method != "temperature":
        pytest.importorskip("sklearn")
    problem, relevance = sampled(0.7)
    fitted = stage("calibrate", method=method).fit(problem, relevance)
    result = rerankit.rerank(problem, fitted)
    np.testing.assert_array_equal(result.indices, problem.ranking().indices)
    assert 0 <= result.scores.min() <= result.scores.max() <= 1
    right = relevance.to_dense()[np.arange(len(result))[:, None], result.indices]
    for low in (0.1, 0.3, 0.5):
        inside = (result.scores >= low) & (result.scores < low + 0.2)
        assert right[inside].mean() == pytest.approx(result.scores[inside].mean(), abs=0.05)
    fitted.save(tmp_path / "stage")
    assert rerankit.rerank(problem, rerankit.load(tmp_path / "stage")) == result
    assert stage("calibrate", method=method).fit(problem, relevance) == fitted


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_equals_scikit_learn(method):
    pytest.importorskip("sklearn")
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    problem, relevance = sampled(0.7, queries=300)
    ranking = problem.ranking()
    scores = ranking.scores.reshape(-1).astype(np.float64)
    right = relevance.to_dense()[np.arange(300)[:, None], ranking.indices].reshape(-1)
    if method == "isotonic":
        expected = IsotonicRegression(out_of_bounds="clip").fit(scores, right).predict(scores)
    else:
        expected = LogisticRegression(C=1e4).fit(scores[:, None], right).predict_proba(scores[:, None])[:, 1]
    found = rerankit.rerank(problem, stage("calibrate", method=method).fit(problem, relevance))
    np.testing.assert_allclose(found.scores.reshape(-1), expected, atol=1e-3)


def test_goes_at_the_end_of_a_pipeline():
    problem, relevance = sampled(0.7, queries=200)
    first = rerankit.rerank(problem, "inverted-softmax")
    fitted = stage("calibrate").fit(problem, relevance, ranking=first)
    result = rerankit.rerank(problem, stage("inverted-softmax") >> fitted)
    np.testing.assert_array_equal(result.indices, first.indices)


def test_needs_and_errors():
    with pytest.raises(UnmetNeedError, match="weights"):
        rerankit.rerank([[1, 2]], "calibrate")
    with pytest.raises(InputError, match="some candidates right and some wrong"):
        stage("calibrate").fit(Problem([[1, 2]]), Relevance.from_lists([[]], 2))
    with pytest.raises(InputError, match="'relevance' must have"):
        stage("calibrate").fit(Problem([[1, 2]]), Relevance.from_lists([[0]], 3))


def test_scores_of_another_scale_are_noted():
    scores = np.random.default_rng(0).normal(size=(60, 40)) + 3 * np.eye(60, 40)
    relevance = Relevance.from_dense(np.eye(60, 40) + np.eye(60, 40, -40))
    fitted = stage("calibrate").fit(Problem(scores), relevance)
    assert "calibrate" not in rerankit.rerank(3 * scores + 5, fitted).notes
    assert "fit it on scores of this scale" in rerankit.rerank(0.01 * scores, fitted).notes["calibrate"]["note"]
