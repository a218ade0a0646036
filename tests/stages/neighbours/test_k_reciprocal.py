from __future__ import annotations

import numpy as np
import pytest

import naive
import rerankit
from rerankit import Problem, Ranking, settings, stage
from rerankit.errors import InputError, UnmetNeedError
from strategies import people

ALONE = {"align": False, "strength": 1}


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(one[:, None] - other[None]).sum(axis=2))


def test_repr():
    assert repr(stage("k-reciprocal", k2=1)) == "stage('k-reciprocal', k2=1)"


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (7, 1, 0.0), (5, 3, 1.0), (200, 6, 0.5)])
@pytest.mark.parametrize("form", ["embeddings", "matrices", "distances"])
def test_equals_the_published_algorithm(form, k1, k2, weight):
    queries, gallery = people()
    parts = [distances(queries, gallery), distances(queries, queries), distances(gallery, gallery)]
    problem = {
        "embeddings": Problem.from_embeddings(queries, gallery),
        "matrices": Problem(queries @ gallery.T, query_scores=queries @ queries.T, gallery_scores=gallery @ gallery.T),
        "distances": Problem.from_distances(parts[0], query_distances=parts[1], gallery_distances=parts[2]),
    }[form]
    found = rerankit.rerank(problem, "k-reciprocal", k=None, k1=k1, k2=k2, weight=weight, **ALONE).to_dense()
    expected = naive.k_reciprocal(*parts, k1, k2, weight)
    shared = naive.k_reciprocal(*parts, k1, k2, 0)
    joined = (shared < 1).any(axis=1)  # the others keep the order that came
    assert np.mean(joined) > 0.5
    np.testing.assert_allclose(-found[joined], expected[joined], atol=1e-5)


@pytest.mark.parametrize("name", ["k-reciprocal", "gnn"])
def test_first_candidates_get_the_scores_they_get_among_all(name):
    problem = Problem.from_embeddings(*people())
    whole = rerankit.rerank(problem, name, k=None, strength=1).to_dense()
    few = rerankit.rerank(problem, name, k=7, strength=1)
    np.testing.assert_allclose(few.scores, np.take_along_axis(whole, few.indices, axis=1), atol=1e-6)


def test_long_lists_of_all_relations_equal_the_matrices():
    queries, gallery = people()
    whole = Problem.from_embeddings(queries, gallery)
    parts = [
        rerankit.ListScores(*scores.topk(50), scores.shape[1])
        for scores in (whole.scores, whole.query_scores, whole.gallery_scores)
    ]
    listed = Problem(parts[0], query_scores=parts[1], gallery_scores=parts[2])
    found = rerankit.rerank(listed, "k-reciprocal", k=10, k1=8, weight=0, **ALONE)
    expected = rerankit.rerank(whole, "k-reciprocal", k=10, k1=8, weight=0, **ALONE)
    agreement = np.mean(found.indices == expected.indices)
    assert agreement > 0.85  # the farthest item is not on the lists, so weights differ a little


def test_memory_budget_changes_nothing():
    problem = Problem.from_embeddings(*people())
    expected = rerankit.rerank(problem, "k-reciprocal")
    with settings.using(memory_budget=20_000):
        found = rerankit.rerank(problem, "k-reciprocal")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)


def test_duplicates_and_constant_scores():
    same = np.ones((3, 3), np.float32)
    problem = Problem(same, query_scores=same, gallery_scores=same)
    found = rerankit.rerank(problem, "k-reciprocal")
    assert np.isfinite(found.scores).all()


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], "k-reciprocal")
    with pytest.raises(InputError, match="'weight' must be at most 1"):
        stage("k-reciprocal", weight=2)


@pytest.mark.parametrize("params", [{}, {"align": False, "strength": 1}, {"strength": 0}])
def test_one_pass_for_candidates_and_neighbours_answers_as_two(params):
    random = np.random.default_rng(5)
    centres = random.normal(size=(120, 16))
    sides = [centres[random.integers(0, 120, count)] + random.normal(size=(count, 16)) for count in (900, 1000)]
    for excluded in (None, [[row] for row in range(900)]):
        problem = Problem.from_embeddings(*sides, exclude=excluded)
        at_once = rerankit.rerank(problem, "k-reciprocal", k=10, **params)
        one = rerankit.Pipeline([rerankit.stage("k-reciprocal", **params)])
        one_by_one = one.rerank(problem, problem.ranking(10))
        assert at_once == one_by_one
        assert at_once.notes["k-reciprocal"] == one_by_one.notes["k-reciprocal"]


@pytest.mark.parametrize("with_bank", [False, True])
def test_what_a_large_gallery_is_worked_on_by_changes_nothing(with_bank, monkeypatch):
    random = np.random.default_rng(6)
    centres = random.normal(size=(40, 8))
    sides = [centres[random.integers(0, 40, count)] + random.normal(size=(count, 8)) for count in (150, 200, 90)]
    problem = Problem.from_embeddings(*sides[:2], query_bank=sides[2] if with_bank else None)
    full, known = problem.ranking(10), np.arange(10) < np.arange(150)[:, None] % 7 + 3
    lists = Ranking(np.where(known, full.indices, -1), np.where(known, full.scores, -np.inf), gallery_size=200)
    one = stage("k-reciprocal", **ALONE)
    expected = [rerankit.Pipeline([one]).rerank(problem, given) for given in (full, lists)]
    monkeypatch.setattr("rerankit.stages.neighbours.jaccard._WHOLE_ROWS", 0)  # sums of candidates alone
    monkeypatch.setattr("rerankit.stages.neighbours.k_reciprocal._CELL_BYTES", 10**9)  # blocks of 64 items
    for given, wanted in zip((full, lists), expected, strict=True):
        assert rerankit.Pipeline([one]).rerank(problem, given) == wanted
