"""alpha-qe and dba against loops over queries, items and neighbours."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import ListScores, Problem, stage
from rerankit.errors import InputError, UnmetNeedError
from rerankit.stages.dba import others_nearest
from strategies import distinct, full_problem


def vectors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    sides = random.normal(size=(6, 4)), random.normal(size=(11, 4))
    return tuple(np.float32(side / np.linalg.norm(side, axis=1, keepdims=True)) for side in sides)


def naive_alpha_qe(queries: np.ndarray, gallery: np.ndarray, neighbours: int, alpha: float) -> np.ndarray:
    result = np.empty((len(queries), len(gallery)))
    for row, query in enumerate(queries):
        scores = gallery @ query
        near = np.argsort(-scores)[:neighbours]
        weights = [max(scores[item], 0) ** alpha for item in near]
        mixed = (query + sum(w * gallery[item] for w, item in zip(weights, near, strict=True))) / (1 + sum(weights))
        result[row] = gallery @ mixed
    return result


def naive_dba(queries: np.ndarray, gallery: np.ndarray, neighbours: int, alpha: float) -> np.ndarray:
    mixed = np.empty(gallery.shape)
    for item, vector in enumerate(gallery):
        scores = gallery @ vector
        scores[item] = -np.inf
        near = np.argsort(-scores)[:neighbours]
        weights = [max(scores[other], 0) ** alpha for other in near]
        mixed[item] = (vector + sum(w * gallery[o] for w, o in zip(weights, near, strict=True))) / (1 + sum(weights))
    return queries @ mixed.T


NAIVE = {"alpha-qe": naive_alpha_qe, "dba": naive_dba}


@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize("name", ["alpha-qe", "dba"])
@pytest.mark.parametrize(("neighbours", "alpha"), [(1, 3.0), (4, 0.0), (50, 1.5)])
def test_equals_the_loops(name, form, neighbours, alpha):
    queries, gallery = vectors()
    problem = (
        Problem.from_embeddings(queries, gallery)
        if form == "embeddings"
        else Problem(queries @ gallery.T, gallery_scores=gallery @ gallery.T)
    )
    found = rerankit.rerank(problem, name, neighbours=neighbours, alpha=alpha).to_dense()
    np.testing.assert_allclose(found, NAIVE[name](queries, gallery, neighbours, alpha), atol=1e-5)


@pytest.mark.parametrize("name", ["alpha-qe", "dba"])
def test_is_an_ordinary_stage(name):
    assert repr(stage(name, alpha=1)) == f"stage({name!r}, alpha=1.0)"
    assert not stage(name).transductive
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], name)
    with pytest.raises(InputError, match="'neighbours' must be at least 1"):
        stage(name, neighbours=0)


@pytest.mark.parametrize("name", ["alpha-qe", "dba"])
def test_few_candidates_get_the_scores_they_get_among_all(name):
    problem = full_problem()
    whole = rerankit.rerank(problem, name, neighbours=3).to_dense()
    few = rerankit.rerank(problem, name, neighbours=3, k=4)
    np.testing.assert_allclose(few.scores, np.take_along_axis(whole, few.indices, axis=1), atol=1e-5)


def test_the_stage_before_alpha_qe_chooses_the_neighbours():
    queries, gallery = vectors()
    problem = Problem.from_embeddings(queries, gallery)
    first = problem.ranking().with_scores(-problem.ranking().scores)
    again = stage("alpha-qe", neighbours=1, alpha=0).rerank(problem, first).to_dense()
    farthest = (queries @ gallery.T).argmin(axis=1)
    np.testing.assert_allclose(again, (queries + gallery[farthest]) @ gallery.T / 2, atol=1e-5)


def test_nearest_others_leave_the_item_out():
    indices, scores = others_nearest(rerankit.DenseScores([[1, 2, 3], [0, 9, 1], [5, 1, 0]]), np.array([0, 2]), 1)
    assert indices.tolist() == [[2], [0]]
    assert scores.tolist() == [[3], [5]]


def test_lists_of_items_serve_as_gallery_scores():
    problem = Problem(distinct(3, 6), gallery_scores=ListScores(*Problem(distinct(6, 6)).scores.topk(3), 6))
    for name in ("alpha-qe", "dba"):
        assert np.isfinite(rerankit.rerank(problem, name, neighbours=2).scores).all()
