from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import rerankit
from rerankit import Bank, Looks, Problem, stage
from rerankit.errors import InputError
from strategies import distinct, matrices


def naive(scores: np.ndarray, others: np.ndarray, weight: float) -> np.ndarray:
    """−(log r + weight · log r') for every pair, written as counting."""
    result = np.empty(scores.shape)
    for query, row in enumerate(scores):
        for item, score in enumerate(row):
            forward = 1 + sum(row > score) + (sum(row == score) - 1) / 2
            above, equal = sum(others[:, item] > score), sum(others[:, item] == score)
            result[query, item] = -np.log(forward) - weight * np.log(1 + above + max(equal - 1, 0) / 2)
    return result


def test_repr():
    assert repr(stage("mutual-rank")) == "stage('mutual-rank')"


@given(matrices())
def test_equals_counting_with_ties(scores):
    problem = Problem(scores)
    ranking = problem.ranking()
    found = stage("mutual-rank", weight=0.7, published=True).rescore(problem, ranking)
    expected = np.take_along_axis(naive(scores, scores, 0.7), ranking.indices, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@given(matrices(), matrices())
def test_a_bank_takes_the_place_of_the_test_queries(scores, other):
    bank = np.resize(other, (len(other), scores.shape[1]))
    problem = Problem(scores, query_bank=Bank(to_gallery=bank))
    ranking = problem.ranking()
    expected = np.take_along_axis(naive(scores, bank, 1.0), ranking.indices, axis=1)
    one, other = stage("mutual-rank", published=True), stage("mutual-rank", bank=bank, published=True)
    np.testing.assert_allclose(one.rescore(problem, ranking), expected, atol=1e-5)
    np.testing.assert_allclose(other.rescore(Problem(scores), ranking), expected, atol=1e-5)


def test_what_it_looks_at():
    with_bank = Problem([[1, 2]], query_bank=Bank(to_gallery=[[1, 2]]))
    assert stage("mutual-rank").looks_at() == Looks(queries=True)
    assert stage("mutual-rank").looks_at(with_bank) == Looks(bank=True)
    assert stage("mutual-rank", bank="queries").looks_at(with_bank) == Looks(queries=True)
    assert stage("mutual-rank", bank=[[1, 2]]).looks_at() == Looks(bank=True)


def test_a_bank_in_a_file(tmp_path):
    bank = distinct(4, 2)
    np.save(tmp_path / "bank.npy", bank)
    problem = Problem([[0.1, 0.2]])
    assert rerankit.rerank(problem, "mutual-rank", bank=str(tmp_path / "bank.npy")) == rerankit.rerank(
        problem, "mutual-rank", bank=bank
    )


def test_a_bank_without_the_gallery_is_an_unmet_need():
    problem = Problem([[1, 2]], query_bank=Bank(to_queries=[[1]]))
    assert [str(fault.need) for fault in stage("mutual-rank").unmet(problem)] == ["query_bank:to_gallery"]


def test_bad_parameters():
    with pytest.raises(InputError, match="'weight' must be at least 0"):
        stage("mutual-rank", weight=-1)
    with pytest.raises(InputError, match="'bank' must be None, 'queries', a Bank"):
        stage("mutual-rank", bank=True)
    with pytest.raises(InputError, match=r"'bank.to_gallery' must have 2 columns"):
        rerankit.rerank([[1, 2]], "mutual-rank", bank=[[1, 2, 3]])


def test_top_k_lists_equal_the_matrix_when_they_hold_all_of_it():
    scores = distinct(5, 6)
    whole = Problem(scores)
    listed = Problem.from_rankings(whole.ranking().indices, whole.ranking().scores, 6)
    assert rerankit.rerank(listed, "mutual-rank") == rerankit.rerank(whole, "mutual-rank")


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("name", ["mutual-rank", "mutual-neighbours"])
def test_embeddings_give_the_answer_of_their_matrix(metric, name):
    generator = np.random.default_rng(0)
    made = Problem.from_embeddings(generator.normal(size=(60, 48)), generator.normal(size=(90, 48)), metric)
    dense = Problem(made.scores.rows(), query_scores=made.query_scores.rows())
    assert np.array_equal(rerankit.rerank(made, name, k=30).indices, rerankit.rerank(dense, name, k=30).indices)
