from __future__ import annotations

import numpy as np
import pytest

import naive
import rerankit
from rerankit import Problem, settings, stage
from rerankit.errors import InputError, UnmetNeedError
from rerankit.stages.neighbours import diffusion
from rerankit.stages.neighbours.diffusion import normalised_graph
from strategies import people


def reached(found: rerankit.Ranking) -> np.ndarray:
    """What reaches each item, 0 where the stage put an item behind the others."""
    return np.maximum(found.to_dense(0), 0)


def test_repr():
    assert repr(stage("diffusion", truncation=30)) == "stage('diffusion', truncation=30)"


@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize(("neighbours", "query_neighbours", "alpha"), [(10, 3, 0.9), (4, 1, 0.5), (200, 200, 0.99)])
def test_equals_solving_the_whole_system(form, neighbours, query_neighbours, alpha):
    queries, gallery = people()
    problem = (
        Problem.from_embeddings(queries, gallery)
        if form == "embeddings"
        else Problem(queries @ gallery.T, gallery_scores=gallery @ gallery.T)
    )
    parameters = {"neighbours": neighbours, "query_neighbours": query_neighbours, "alpha": alpha}
    found = rerankit.rerank(problem, "diffusion", k=None, iterations=500, strength=1, **parameters)
    expected = naive.diffusion(queries @ gallery.T, gallery @ gallery.T, **parameters)
    np.testing.assert_allclose(reached(found), expected, atol=1e-4 * expected.max())


def test_default_iterations_reach_the_solved_system():
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False) + np.random.default_rng(0).normal(size=200) / 50
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    problem = Problem(ring @ ring.T, gallery_scores=ring @ ring.T)
    expected = naive.diffusion(ring @ ring.T, ring @ ring.T, neighbours=3, query_neighbours=1)
    whole, few = (
        reached(rerankit.rerank(problem, "diffusion", k=None, neighbours=3, query_neighbours=1, strength=1, **given))
        for given in ({}, {"iterations": 20})
    )
    np.testing.assert_allclose(whole, expected, atol=1e-4 * expected.max())
    assert np.abs(few - expected).max() > 1e-3 * expected.max()


def test_offline_among_all_items_is_the_whole_system():
    problem = Problem.from_embeddings(*people())
    parameters = {"neighbours": 8, "query_neighbours": 4, "iterations": 200, "alpha": 0.9, "strength": 1}
    whole = rerankit.rerank(problem, "diffusion", **parameters)
    offline = rerankit.rerank(problem, "diffusion", truncation=1000, **parameters)
    np.testing.assert_allclose(reached(offline), reached(whole), atol=1e-4)
    near = rerankit.rerank(problem, "diffusion", truncation=20, **parameters)
    assert np.mean(near.indices[:, :5] == whole.indices[:, :5]) > 0.5


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_offline_a_gallery_that_stands_ready_keeps_every_items_solution(metric, tmp_path, monkeypatch):
    queries, items = people()
    how = stage("diffusion", truncation=15, neighbours=8, query_neighbours=4)
    batch = rerankit.rerank(Problem.from_embeddings(queries, items, metric), how, k=20)
    monkeypatch.setattr(diffusion, "_SOLVED", 7)  # in several parts
    ready = rerankit.prepare(how, rerankit.Gallery(items, metric=metric))
    ready.save(tmp_path / "ready")
    loaded = rerankit.load(tmp_path / "ready")
    monkeypatch.setattr(diffusion, "conjugate_gradients", None)
    for one in (ready, loaded):
        assert rerankit.Ranking.concat([one.rerank(query, k=20) for query in queries]) == batch
    assert 12 * 15 * len(items) * 0.9 < ready.info()[0]["bytes"] < 12 * 16 * len(items) * 1.2


def test_items_that_nothing_reaches_keep_their_order_behind():
    problem = Problem([[0.9, 0.3, 0.5, 0.4]], gallery_scores=np.eye(4) + np.eye(4)[[1, 0, 3, 2]] * 0.5)
    found = rerankit.rerank(problem, "diffusion", query_neighbours=1, neighbours=1, strength=1)
    assert found.indices.tolist() == [[0, 1, 2, 3]]
    assert (found.scores[0, :2] > 0).all()
    assert (found.scores[0, 2:] < 0).all()


def test_a_query_does_not_depend_on_the_others():
    problem = Problem.from_embeddings(*people(queries=70))
    whole = rerankit.rerank(problem, "diffusion")
    alone = rerankit.rerank(problem.subset(queries=[65]), "diffusion")
    np.testing.assert_allclose(alone.scores[0], whole.scores[65], rtol=1e-5, atol=1e-7)
    with settings.using(memory_budget=1000):
        np.testing.assert_allclose(rerankit.rerank(problem, "diffusion").scores, whole.scores, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("truncation", [None, 12])
def test_large_similarities_answer_as_small_ones(truncation):
    random = np.random.default_rng(0)
    one, other = np.abs(random.normal(size=(4, 8))), np.abs(random.normal(size=(30, 8)))
    small = rerankit.rerank(rerankit.Problem.from_embeddings(one, other, "dot"), "diffusion", truncation=truncation)
    large = rerankit.Problem.from_embeddings(one * 2.0**20, other * 2.0**20, "dot")
    assert np.array_equal(rerankit.rerank(large, "diffusion", truncation=truncation).indices, small.indices)


def test_the_graph_is_symmetric_and_has_no_loops():
    _, gallery = people()
    graph = normalised_graph(Problem.from_embeddings(gallery, gallery).scores, 5, 3.0).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert not graph.diagonal().any()
    np.testing.assert_array_equal(graph > 0, naive.mutual_graph(gallery @ gallery.T, 5, 3.0) > 0)


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], "diffusion")
    with pytest.raises(InputError, match="'alpha' must be at most"):
        stage("diffusion", alpha=1)
