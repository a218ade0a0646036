from __future__ import annotations

import numpy as np
import pytest

import naive
import rerankit
from rerankit import Problem, settings, stage
from rerankit.errors import InputError, UnmetNeedError
from strategies import people


def joint(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    every = np.concatenate([queries, gallery])
    return every @ every.T


def test_repr():
    assert repr(stage("gnn", k1=10)) == "stage('gnn', k1=10)"


@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize(
    ("k1", "k2", "alpha", "layers"), [(26, 7, 2.0, 2), (5, 3, 1.0, 1), (200, 6, 0.0, 2), (9, 1, 2.0, 2)]
)
def test_equals_the_loops(form, k1, k2, alpha, layers):
    queries, gallery = people()
    problem = (
        Problem.from_embeddings(queries, gallery)
        if form == "embeddings"
        else Problem(queries @ gallery.T, query_scores=queries @ queries.T, gallery_scores=gallery @ gallery.T)
    )
    given = {"k1": k1, "k2": k2, "alpha": alpha, "layers": layers, "align": False, "strength": 1}
    found = rerankit.rerank(problem, "gnn", k=None, **given).to_dense()
    expected = naive.gnn(joint(queries, gallery), len(queries), k1, k2, alpha, layers)
    np.testing.assert_allclose(np.maximum(found, 0), expected, atol=1e-5)


@pytest.mark.parametrize("bank", [None, people(queries=15, seed=1)[0]], ids=["", "bank"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_torch_equals_numpy(device, bank):
    torch = pytest.importorskip("torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    problem = Problem.from_embeddings(*people(), query_bank=bank)
    found = rerankit.rerank(problem, "gnn", k=10, device=device).to_dense(0)
    np.testing.assert_allclose(found, rerankit.rerank(problem, "gnn", k=10).to_dense(0), atol=1e-4)


def test_distances_and_budget():
    queries, gallery = people()
    problem = Problem.from_embeddings(queries, gallery, metric="euclidean")
    expected = rerankit.rerank(problem, "gnn")
    assert np.isfinite(expected.scores[expected.mask]).all()
    with settings.using(memory_budget=20_000):
        np.testing.assert_allclose(rerankit.rerank(problem, "gnn").scores, expected.scores, atol=1e-6)


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "gnn")
    with pytest.raises(InputError, match="'layers' must be at least 1"):
        stage("gnn", layers=0)


def relations(queries: np.ndarray, gallery: np.ndarray, far: float = 1.0, shift: float = 0.0) -> Problem:
    """The problem as matrices; scores among one side's items on another scale than those across."""
    return Problem(
        queries @ gallery.T,
        query_scores=far * (queries @ queries.T) + shift,
        gallery_scores=far * (gallery @ gallery.T) + shift,
    )


@pytest.mark.parametrize("name", ["gnn", "k-reciprocal"])
def test_aligned_relations_may_come_on_any_scale(name):
    sides = people()
    expected = rerankit.rerank(relations(*sides), name, k=10, align=True)
    found = rerankit.rerank(relations(*sides, far=0.25, shift=0.7), name, k=10, align=True)
    np.testing.assert_allclose(found.to_dense(0), expected.to_dense(0), atol=1e-4)
    embedded = rerankit.rerank(Problem.from_embeddings(*sides), name, k=10, align=True)
    np.testing.assert_allclose(embedded.to_dense(0), expected.to_dense(0), atol=1e-4)


@pytest.mark.parametrize("name", ["gnn", "k-reciprocal"])
def test_a_graph_that_joins_no_query_to_an_item_is_told(name):
    gap = relations(*people(), far=0.1, shift=5)
    with pytest.warns(RuntimeWarning, match="align=True"):
        rerankit.rerank(gap, name, k1=5, k2=3, align=False)
    assert rerankit.rerank(gap, name, k1=5, k2=3).shape == (20, 60)


@pytest.mark.filterwarnings("ignore:.*joins no query")
@pytest.mark.parametrize("strength", [1.0, "auto"])
@pytest.mark.parametrize("given", [{}, {"weight": 0.0}])
@pytest.mark.parametrize("name", ["gnn", "k-reciprocal"])
def test_a_graph_that_joins_nothing_gives_the_order_that_came(name, given, strength):
    gap = relations(*people(), far=0.1, shift=5)
    came = gap.ranking(12)
    came = came.with_scores(-came.scores)
    given = given if name == "k-reciprocal" else {}
    one = stage(name, k1=5, k2=3, align=False, strength=strength, **given)
    np.testing.assert_array_equal(one.rerank(gap, came).indices, came.indices)


def test_aligned_distances_stay_distances():
    problem = Problem.from_embeddings(*people(), metric="euclidean")
    found = rerankit.rerank(problem, "k-reciprocal", k=10, align=True)
    expected = rerankit.rerank(problem, "k-reciprocal", k=10)
    assert np.mean(found.indices[:, 0] == expected.indices[:, 0]) > 0.8
