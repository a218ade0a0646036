"""k-reciprocal and gnn with a bank: a graph of bank and gallery, which every query looks at from outside."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Looks, Problem, stage
from rerankit.errors import InputError, UnmetNeedError
from strategies import people

K1, K2 = 5, 3
ALONE = {"k1": K1, "k2": K2, "align": False, "strength": 1}
STAGES = [stage("k-reciprocal", **ALONE), stage("gnn", **ALONE), stage("gnn", **ALONE, device="cpu")]


def sides() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries, bank and gallery."""
    queries, gallery = people()
    return queries[:8], queries[8:], gallery


def relations(queries: np.ndarray, bank: np.ndarray, gallery: np.ndarray) -> Problem:
    """All of it as matrices, without the queries' similarities to each other."""
    given = Bank(to_gallery=bank @ gallery.T, to_queries=bank @ queries.T, among=bank @ bank.T)
    return Problem(queries @ gallery.T, gallery_scores=gallery @ gallery.T, query_bank=given)


def mutual(ranks: np.ndarray, item: int, count: int) -> set[int]:
    return {other for other in ranks[item, :count].tolist() if item in ranks[other, :count]}


def widened(members: set[int], ranks: np.ndarray) -> list[int]:
    halves = [mutual(ranks, member, round(K1 / 2) + 1) for member in members]
    return sorted(members.union(*(half for half in halves if len(half & members) > 2 / 3 * len(half))))


def k_reciprocal(queries: np.ndarray, bank: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    items = np.concatenate([bank, gallery])
    near, across = items @ items.T, queries @ items.T
    ranks, first = np.argsort(-near, axis=1, kind="stable"), np.argsort(-across, axis=1, kind="stable")
    weights, found = np.zeros_like(near), np.zeros_like(across)
    for item in range(len(items)):
        members = widened(mutual(ranks, item, K1 + 1), ranks)
        weights[item, members] = np.exp(-(1 - near[item, members]) / (1 - near[item].min()))
        weights[item] /= weights[item].sum()
    averaged = np.stack([weights[ranks[item, :K2]].mean(axis=0) for item in range(len(items))])
    for query, scores in enumerate(across):
        distances = (1 - scores) / (1 - scores.min())
        farther = [item for item in first[query, :K1].tolist() if scores[item] > near[item, ranks[item, K1]]]
        members, parts = widened(set(farther), ranks), [*weights[first[query, : K2 - 1]]]
        if members:
            own = np.zeros(len(items))
            own[members] = np.exp(-distances[members])
            parts.append(own / own.sum())
        described = np.mean(parts, axis=0)
        shared = np.minimum(described, averaged).sum(axis=1)
        found[query] = 0.7 * (1 - shared / np.maximum(described, averaged).sum(axis=1)) + 0.3 * distances
    return -found[:, len(bank) :]


def shares(scores: np.ndarray, highest: float) -> np.ndarray:
    level = np.sort(scores, axis=1)[:, (scores.shape[1] - 1) // 2][:, None]
    return np.clip((scores - level) / (highest - level), 0, 1)


def gnn(queries: np.ndarray, bank: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    items = np.concatenate([bank, gallery])
    near, across = items @ items.T, queries @ items.T
    ranks, first = np.argsort(-near, axis=1, kind="stable"), np.argsort(-across, axis=1, kind="stable")
    described, outside = np.zeros_like(near), np.zeros_like(across)
    nearness, closeness = shares(near, near.max()), shares(across, near.max())
    np.put_along_axis(described, ranks[:, :K1], 1, axis=1)
    np.put_along_axis(outside, first[:, : K1 - 1], 1, axis=1)
    for _ in range(2):
        both, outside = described + described.T, 2 * outside
        for query in range(len(across)):
            outside[query] += sum(closeness[query, item] ** 2 * both[item] for item in first[query, : K2 - 1])
        described = np.stack([sum(nearness[i, j] ** 2 * both[j] for j in ranks[i, :K2]) for i in range(len(items))])
        outside, described = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (outside, described))
    return outside @ described[len(bank) :].T


@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_equals_the_loops(one, form):
    queries, bank, gallery = sides()
    embedded = Problem.from_embeddings(queries, gallery, query_bank=bank)
    problem = embedded if form == "embeddings" else relations(queries, bank, gallery)
    loops = k_reciprocal if one.name == "k-reciprocal" else gnn
    found = rerankit.rerank(problem, one, k=None)
    assert found.notes["looks_at"] == Looks(bank=True)
    lowest = -np.inf if one.name == "k-reciprocal" else 0  # below it, what gnn's descriptions have nothing to say of
    np.testing.assert_allclose(np.maximum(found.to_dense(), lowest), loops(queries, bank, gallery), atol=1e-5)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_no_query_changes_the_answer_of_another(one, align):
    one, problem = one.clone(align=align), relations(*sides())
    together = rerankit.rerank(problem, one)
    for query in range(len(together)):
        alone = rerankit.rerank(problem.subset(queries=[query]), one)
        np.testing.assert_allclose(alone.to_dense()[0], together.to_dense()[query], atol=1e-6)


@pytest.mark.parametrize("one", STAGES[:2], ids=repr)
def test_which_others_are_looked_at(one):
    queries, bank, gallery = sides()
    problem = Problem.from_embeddings(queries, gallery, query_bank=bank)
    without = Problem.from_embeddings(queries, gallery)
    own = one.clone(bank=problem.query_bank)
    assert (one.looks_at(), own.looks_at()) == (Looks(queries=True), Looks(bank=True))
    assert own.needs == ("gallery_scores",)
    np.testing.assert_array_equal(rerankit.rerank(without, own).scores, rerankit.rerank(problem, one).scores)
    test_queries = rerankit.rerank(problem, one.clone(bank="queries"))
    assert test_queries.notes["looks_at"] == Looks(queries=True)
    np.testing.assert_array_equal(test_queries.scores, rerankit.rerank(without, one).scores)


@pytest.mark.parametrize("one", STAGES, ids=repr)
def test_more_neighbours_than_there_are_items(one):
    problem = relations(*sides())
    found = rerankit.rerank(problem, one.clone(k1=500, k2=90))
    assert np.isfinite(found.scores).all()
    single = rerankit.rerank(problem, one.clone(k1=1, k2=1))
    assert np.isfinite(single.scores).all()


def test_a_bank_without_its_relations_is_an_unmet_need():
    queries, bank, gallery = sides()
    problem = Problem(
        queries @ gallery.T, gallery_scores=gallery @ gallery.T, query_bank=Bank(to_gallery=bank @ gallery.T)
    )
    with pytest.raises(UnmetNeedError, match=r"needs query_bank:to_queries: .*\n.* needs query_bank:among: give"):
        rerankit.rerank(problem, "gnn")
    with pytest.raises(InputError, match=r"'bank' must be None, 'queries' or a rerankit\.Bank"):
        stage("k-reciprocal", bank=bank @ gallery.T)
