"""alpha-qe and dba against loops over queries, items and neighbours."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import ListScores, Looks, Problem, stage
from rerankit.errors import InputError, UnmetNeedError
from rerankit.stages.neighbours.others import others_nearest
from strategies import distinct, full_problem


def vectors(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    sides = random.normal(size=(6, 4)), random.normal(size=(11, 4))
    return tuple(np.float32(side / np.linalg.norm(side, axis=1, keepdims=True)) for side in sides)


def quartiles(row: np.ndarray) -> list[float]:
    return [float(np.sort(row)[int((len(row) - 1) * part)]) for part in (0.25, 0.5, 0.75)]


def share(row: np.ndarray, itself: float, value: float) -> float:
    """Where a similarity lies between the row's median, 0, and the item's similarity to itself, 1."""
    return (value - quartiles(row)[1]) / (itself - quartiles(row)[1])


def naive_alpha_qe(scores: np.ndarray, gallery: np.ndarray, first: np.ndarray, alpha: float) -> np.ndarray:
    """Mean share of a query and of its `first` items (queries, n), as seen from each, for every item."""
    units = [
        (gallery[i, i] - quartiles(row)[1]) / (quartiles(row)[2] - quartiles(row)[0]) for i, row in enumerate(gallery)
    ]
    result = np.empty(scores.shape)
    for row, own in enumerate(scores):
        low, level, high = quartiles(own)
        itself = level + np.median(units) * (high - low)
        weights = [np.clip(share(own, itself, own[item]), 0, 1) ** alpha for item in first[row]]
        for item in range(len(gallery)):
            others = [share(gallery[o], gallery[o, o], gallery[o, item]) for o in first[row]]
            total = share(own, itself, own[item]) + sum(w * o for w, o in zip(weights, others, strict=True))
            result[row, item] = total / (1 + sum(weights))
    return result


def naive_dba(scores: np.ndarray, gallery: np.ndarray, neighbours: int, alpha: float, normalised: bool) -> np.ndarray:
    """Queries against mixtures of every item and its nearest; similarities less what unrelated items have."""
    result = np.empty(scores.shape)
    for item, row in enumerate(gallery):
        others = np.where(np.arange(len(row)) == item, -np.inf, row)
        near = [item, *np.argsort(-others)[: min(neighbours, len(row) - 1)]]
        weights = [1.0, *(np.clip(share(row, row[item], row[o]), 0, 1) ** alpha for o in near[1:])]
        parts = list(zip(weights, near, strict=True))
        square = sum(w * v * (gallery[a, b] - quartiles(gallery[a])[1]) for w, a in parts for v, b in parts)
        length = np.sqrt(max(square / (row[item] - quartiles(row)[1]), 1)) if normalised else sum(weights)
        for query, own in enumerate(scores):
            level = quartiles(own)[1]
            result[query, item] = level + sum(w * (own[o] - level) for w, o in parts) / length
    return result


def forms(form: str) -> tuple[Problem, np.ndarray, np.ndarray]:
    queries, gallery = vectors()
    scores, among = queries @ gallery.T, gallery @ gallery.T
    if form == "embeddings":
        return Problem.from_embeddings(queries, gallery), scores, among
    return Problem(scores, gallery_scores=among), scores, among


@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize(("neighbours", "alpha"), [(1, 3.0), (4, 0.0), (50, 1.5)])
def test_alpha_qe_equals_the_loops(form, neighbours, alpha):
    problem, scores, among = forms(form)
    found = rerankit.rerank(problem, "alpha-qe", neighbours=neighbours, alpha=alpha, strength=1).to_dense()
    first = np.argsort(-scores, axis=1)[:, :neighbours]
    np.testing.assert_allclose(found, naive_alpha_qe(scores, among, first, alpha), atol=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize(("neighbours", "alpha"), [(1, 3.0), (4, 0.0), (50, 1.5)])
def test_dba_equals_the_loops(form, neighbours, alpha, normalised):
    problem, scores, among = forms(form)
    given = {"neighbours": neighbours, "alpha": alpha, "normalised": normalised}
    found = rerankit.rerank(problem, "dba", strength=1, **given).to_dense()
    np.testing.assert_allclose(found, naive_dba(scores, among, **given), atol=1e-5)


@pytest.mark.parametrize("strength", [1.0, "auto"])
@pytest.mark.parametrize("name", ["alpha-qe", "dba", "diffusion"])
def test_scale_and_shift_do_not_matter(name, strength):
    _, scores, among = forms("matrices")
    expected = rerankit.rerank(Problem(scores, gallery_scores=among), name, strength=strength)
    for factor, added in ((0.125, 0), (64, 0), (1, 5), (1, -5), (4, -50)):
        problem = Problem(factor * scores + added, gallery_scores=4 * factor * among - 2 * added)
        found = rerankit.rerank(problem, name, strength=strength)
        np.testing.assert_array_equal(found.indices, expected.indices)


@pytest.mark.parametrize("name", ["alpha-qe", "dba"])
def test_is_an_ordinary_stage(name):
    assert repr(stage(name, alpha=1)) == f"stage({name!r}, alpha=1.0)"
    assert stage(name).looks_at() == Looks()
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], name)
    with pytest.raises(InputError, match="'neighbours' must be at least 1"):
        stage(name, neighbours=0)


@pytest.mark.parametrize("name", ["alpha-qe", "dba"])
def test_few_candidates_get_the_scores_they_get_among_all(name):
    problem = full_problem()
    whole = rerankit.rerank(problem, name, neighbours=3, strength=1).to_dense()
    few = rerankit.rerank(problem, name, neighbours=3, k=4, strength=1)
    np.testing.assert_allclose(few.scores, np.take_along_axis(whole, few.indices, axis=1), atol=1e-5)


def test_the_stage_before_alpha_qe_chooses_the_neighbours():
    problem, scores, among = forms("matrices")
    first = problem.ranking().with_scores(-problem.ranking().scores)
    again = stage("alpha-qe", neighbours=1, alpha=0, strength=1).rerank(problem, first).to_dense()
    farthest = scores.argmin(axis=1)[:, None]
    np.testing.assert_allclose(again, naive_alpha_qe(scores, among, farthest, 0), atol=1e-5)


def test_nearest_others_leave_the_item_out():
    indices, scores = others_nearest(rerankit.DenseScores([[1, 2, 3], [0, 9, 1], [5, 1, 0]]), np.array([0, 2]), 1)
    assert indices.tolist() == [[2], [0]]
    assert scores.tolist() == [[3], [5]]


def test_lists_of_items_serve_as_gallery_scores():
    problem = Problem(distinct(3, 6), gallery_scores=ListScores(*Problem(distinct(6, 6)).scores.topk(3), 6))
    for name in ("alpha-qe", "dba"):
        assert np.isfinite(rerankit.rerank(problem, name, neighbours=2).scores).all()
