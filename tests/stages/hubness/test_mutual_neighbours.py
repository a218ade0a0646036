from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Looks, Problem, stage
from rerankit.errors import InputError, UnmetNeedError
from strategies import distinct, full_problem


def naive_order(scores: np.ndarray, others: np.ndarray, near: list[list[int]], k: int) -> list[list[int]]:
    """For each query the items by (mean capped place of the query and its nearest ones, −score)."""
    result = []
    for query, row in enumerate(scores):
        keys = []
        for item, score in enumerate(row):
            group = [query, *near[query]]
            places = [min(1 + sum(others[:, item] > scores[one, item]), k + 1) for one in group]
            keys.append((np.mean(places), -score, item))
        result.append([item for _, _, item in sorted(keys)])
    return result


def test_repr():
    assert repr(stage("mutual-neighbours", neighbours=5)) == "stage('mutual-neighbours', neighbours=5)"


@pytest.mark.parametrize("k", [1, 3, 20])
def test_equals_sorting_by_place_then_score(k):
    scores = distinct(7, 9)
    made = stage("mutual-neighbours", neighbours=k, published=True)
    found = made.rerank(Problem(scores), Problem(scores).ranking())
    assert found.indices.tolist() == naive_order(scores, scores, [[]] * 7, k)


def test_a_bank_takes_the_place_of_the_test_queries():
    scores, bank = distinct(4, 6), distinct(9, 6, seed=1)
    problem = Problem(scores, query_bank=Bank(to_gallery=bank))
    found = rerankit.rerank(problem, "mutual-neighbours", published=True)
    assert found.indices.tolist() == naive_order(scores, bank, [[]] * 4, 20)
    assert stage("mutual-neighbours").looks_at(problem) == Looks(bank=True)


def test_nearest_queries_have_a_say():
    problem = full_problem()
    near = np.argsort(-problem.query_scores.rows() + np.diag([np.inf] * 6), axis=1)[:, :2].tolist()
    found = rerankit.rerank(problem, "mutual-neighbours", nearest_queries=2, published=True)
    scores = problem.scores.rows()
    assert found.indices.tolist() == naive_order(scores, scores, near, 20)
    assert stage("mutual-neighbours", nearest_queries=1, bank=[[1.0]]).looks_at() == Looks(queries=True, bank=True)


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "mutual-neighbours", nearest_queries=1)
    with pytest.raises(InputError, match="'neighbours' must be at least 1"):
        stage("mutual-neighbours", neighbours=0)
    few = Problem([[1.0, 2.0], [1.0, 2.0]], query_scores=np.eye(2))
    assert rerankit.rerank(few, "mutual-neighbours", nearest_queries=3).indices.tolist() == [[1, 0], [1, 0]]
