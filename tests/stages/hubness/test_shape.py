"""Scores that are bent, such as probabilities and reciprocal ranks, are read as normal ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, rankdata

import rerankit
from rerankit import Bank, Gallery, Problem, rerank
from rerankit.scores import DenseScores, EmbeddingScores, ListScores, NormalMap
from rerankit.stages.hubness.shape import normal_map

FAMILY = ("sinkhorn", "inverted-softmax", "dual-softmax", "qb-norm", "nnn", "csls", "mutual-rank", "mutual-neighbours")
QUERIES = 120


def probabilities(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-3 * (scores / 1.4 - 2)))


def reciprocal_ranks(scores: np.ndarray) -> np.ndarray:
    return 1 / (60 + rankdata(-scores, axis=1))


def logits(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Noise with hubs among the columns; item r is right for query r."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(rows, columns)) + 0.7 * random.normal(size=columns)
    scores[np.arange(rows), np.arange(rows)] += 3.0
    return scores


def r1(problem: Problem, name: str, **params: object) -> float:
    found = rerank(problem, name, k=50, **params)
    return float(np.mean(found.indices[:, 0] == np.arange(problem.shape[0])))


@given(st.integers(0, 1000), st.integers(2, 400), st.integers(0, 300))
@settings(max_examples=40, deadline=None)
def test_the_map_is_that_of_ranks(seed: int, count: int, lower: int) -> None:
    some = np.random.default_rng(seed).normal(size=count).round(1)
    if some.min() == some.max():
        return
    through = NormalMap.of(some, count + lower)
    expected = norm.ppf((lower + rankdata(some) - 0.5) / (count + lower))
    at = np.isin(some, through.values)
    np.testing.assert_allclose(through(some[at]), expected[at], rtol=1e-5, atol=1e-6)


@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-1000, 1000))
@settings(max_examples=40, deadline=None)
def test_the_map_rises_everywhere_and_knows_no_scale(seed: int, factor: float, shift: float) -> None:
    some = np.random.default_rng(seed).normal(size=300)
    through, other = NormalMap.of(some), NormalMap.of(factor * some + shift)
    wide = np.linspace(-20, 20, 500)
    assert (np.diff(through(wide)) > 0).all()
    np.testing.assert_allclose(other(factor * wide + shift), through(wide), rtol=1e-3, atol=1e-3)


def test_what_is_absent_stays_absent() -> None:
    through = NormalMap.of(np.array([0.1, 0.2, 0.4]))
    assert through(np.array([-np.inf]))[0] == -np.inf
    lists = through.over(ListScores([[2, 0], [1, -1]], [[0.4, 0.1], [0.2, 0.0]], 3))
    assert isinstance(lists, ListScores)
    assert np.isneginf(lists.rows()[1, [0, 2]]).all()


@pytest.mark.parametrize("k", [None, 10, 50])
def test_only_bent_scores_are_told(k: int | None) -> None:
    scores = logits(QUERIES, 300)

    def told(values: np.ndarray) -> bool:
        problem = Problem(values)
        if k is not None:
            first = problem.ranking(k)
            problem = Problem.from_rankings(first.indices, first.scores, 300)
        return normal_map(problem.scores) is not None

    random = np.random.default_rng(1)
    vectors = [random.normal(size=(count, 16)) for count in (QUERIES, 300)]
    cosines = vectors[0] @ vectors[1].T / np.outer(*(np.linalg.norm(one, axis=1) for one in vectors))
    distances = -np.linalg.norm(vectors[0][:, None] - vectors[1][None], axis=2)
    assert not any(told(one) for one in (scores, 1e-3 * scores + 7, cosines, distances, cosines.round(2)))
    assert told(reciprocal_ranks(scores))
    if k != 10:  # of ten places too little is seen
        assert told(probabilities((3 if k else 1) * scores + (1.4 if k else 0)))


def test_scores_of_vectors_are_never_bent() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(100, 256))  # of twenty items each, so that many are about as near as the first
    queries, items = (np.repeat(centres, n, axis=0) + 1.5 * random.normal(size=(100 * n, 256)) for n in (1, 20))
    scores = EmbeddingScores(queries, items)
    assert normal_map(DenseScores(scores.rows())) is not None
    assert normal_map(scores) is None


def test_small_and_constant_problems_are_left_as_they_are() -> None:
    assert normal_map(DenseScores(np.zeros((5, 40)))) is None
    assert normal_map(DenseScores([[0.9, 0.1], [0.5, 0.2]])) is None


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("bend", [probabilities, reciprocal_ranks])
def test_bent_scores_lose_nothing(name: str, bend: Callable[[np.ndarray], np.ndarray]) -> None:
    bent = Problem(bend(logits(QUERIES, QUERIES)))
    base = float(np.mean(bent.ranking(1).indices[:, 0] == np.arange(QUERIES)))
    assert r1(bent, name) >= base + (0.02 if name in FAMILY[:2] else -0.01)


@pytest.mark.parametrize("name", FAMILY[:6])
def test_probabilities_gain_what_their_logits_do(name: str) -> None:
    scores = logits(QUERIES, QUERIES)
    assert r1(Problem(probabilities(scores)), name) >= r1(Problem(scores), name) - 0.05


def test_a_number_for_beta_and_published_forms_take_scores_as_they_are() -> None:
    problem = Problem(probabilities(logits(QUERIES, QUERIES)))
    assert "scores" in rerank(problem, "sinkhorn", k=5).notes["sinkhorn"]
    for params in ({"beta": 3.0}, {"published": True}):
        assert "scores" not in rerank(problem, "sinkhorn", k=5, **params).notes["sinkhorn"]


@pytest.mark.parametrize("name", [*FAMILY, "plan"])
def test_a_prepared_gallery_reads_queries_as_the_batch_does(name: str, tmp_path: Path) -> None:
    scores = probabilities(logits(150, 150))
    asked, old = scores[::2], scores[1::2]
    near = np.corrcoef(scores)
    bank = Bank(to_gallery=old, to_queries=near[1::2, ::2], to_bank=near[1::2, 1::2])
    batch = rerank(Problem(asked, query_scores=near[::2, ::2], query_bank=bank), name, k=20)
    ready = rerankit.prepare(name, Gallery.from_scores(bank=bank))
    ready.save(tmp_path / "ready")
    for one in (ready, rerankit.load(tmp_path / "ready")):
        for row in range(0, len(asked), 9):
            beside = near[::2, 1::2][row] if name == "plan" else None
            found = one.rerank(scores=asked[row], k=20, **({} if beside is None else {"bank_scores": beside}))
            np.testing.assert_array_equal(found.indices[0], batch.indices[row])
            np.testing.assert_array_equal(found.scores[0], batch.scores[row])


def test_a_change_keeps_the_map_and_is_said_to_be_inexact() -> None:
    scores = probabilities(logits(100, 100))
    ready = rerankit.prepare("nnn", Gallery.from_scores(bank=Bank(to_gallery=scores[:, :80])))
    before = ready.rerank(scores=scores[:9, :80], k=80)
    grown = ready.updated(add=Gallery.from_scores(bank=Bank(to_gallery=scores[:, 80:])))
    after = grown.rerank(scores=scores[:9], k=100)
    assert not grown.info()[0]["exact"]
    np.testing.assert_array_equal(after.to_dense()[:, :80], before.to_dense())
    fresh = rerankit.prepare("nnn", Gallery.from_scores(bank=Bank(to_gallery=scores))).rerank(scores=scores[:9], k=100)
    np.testing.assert_allclose(after.to_dense(), fresh.to_dense(), atol=0.3)


@pytest.mark.parametrize("name", ["sinkhorn", "nnn", "mutual-rank"])
def test_shards_on_an_engine_read_the_same(name: str, tmp_path: Path) -> None:
    scores = probabilities(logits(100, 100))
    problem = Problem(scores[:50], query_bank=Bank(to_gallery=scores[50:]))
    whole = rerank(problem, name, k=20)
    cut = rerank(problem, name, k=20, engine="local", out=tmp_path / "run", shard_size=17)
    np.testing.assert_array_equal(cut.indices, whole.indices)
    np.testing.assert_array_equal(cut.scores, whole.scores)
