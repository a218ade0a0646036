from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Problem, settings, stage
from rerankit.errors import InputError, UnmetNeedError
from strategies import people

BETA, SHARPNESS, FLOOR, LIKENESS, ROUNDS = 5.0, 4.0, 0.05, 2.0, 6


def balanced(logits: np.ndarray, iterations: int) -> np.ndarray:
    for _ in range(iterations):
        logits = logits - np.log(np.exp(logits).sum(axis=0, keepdims=True)) + np.log(len(logits) / logits.shape[1])
        logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits


def naive(scores: np.ndarray, voters: np.ndarray, neighbours: int) -> np.ndarray:
    """The formula with whole matrices (items, voters) and a loop over voters for the vote."""
    logits = balanced(BETA * scores.astype(np.float64), ROUNDS)
    by_voter = np.exp(logits) / np.exp(logits).sum(axis=0, keepdims=True)
    by_item = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    vote = np.empty(scores.shape)
    for voter in range(scores.shape[1]):
        near = [other for other in np.argsort(-voters[voter]) if other != voter][:neighbours]
        weights = np.exp(SHARPNESS * voters[voter, near].astype(np.float64))
        vote[:, voter] = by_voter[:, near] @ (weights / weights.sum())
    likely = np.zeros(scores.shape)
    for item, row in enumerate(by_item):
        first = np.argsort(-row)[:neighbours]
        likely[item, first] = row[first]
    likeness = likely @ voters - likely * np.diag(voters)
    return balanced(logits + np.log(FLOOR + vote) + LIKENESS * likeness, ROUNDS // 2)


def make(voters: str, neighbours: int = 3) -> rerankit.Stage:
    given = {"beta": BETA, "sharpness": SHARPNESS, "floor": FLOOR, "likeness": LIKENESS, "iterations": ROUNDS}
    return stage("consensus", voters=voters, neighbours=neighbours, cells_kept=1000, **given)


def test_repr():
    assert repr(stage("consensus", likeness=0)) == "stage('consensus', likeness=0.0)"


@pytest.mark.parametrize("neighbours", [1, 3, 100])
@pytest.mark.parametrize("form", ["embeddings", "matrices"])
def test_equals_the_formula_in_both_directions(form, neighbours):
    items, voters = people(queries=7, gallery=15)
    expected = naive(items @ voters.T, voters @ voters.T, neighbours)
    problem = (
        Problem.from_embeddings(items, voters)
        if form == "embeddings"
        else Problem(items @ voters.T, gallery_scores=voters @ voters.T)
    )
    found = make("gallery", neighbours).rerank(problem, problem.ranking())
    np.testing.assert_allclose(found.to_dense(), expected, atol=1e-4)
    back = problem.reversed()
    found = make("query", neighbours).rerank(back, back.ranking())
    np.testing.assert_allclose(found.to_dense(), expected.T, atol=1e-4)


@pytest.mark.parametrize(("queries", "gallery", "side"), [(7, 15, "gallery"), (15, 7, "query"), (9, 9, "gallery")])
def test_the_larger_side_votes(queries, gallery, side):
    problem = Problem.from_embeddings(*people(queries=queries, gallery=gallery))
    found = rerankit.rerank(problem, "consensus")
    np.testing.assert_array_equal(found.indices, rerankit.rerank(problem, "consensus", voters=side).indices)


def test_few_cells_change_little():
    problem = Problem.from_embeddings(*people(queries=20, gallery=60))
    whole = rerankit.rerank(problem, "consensus", k=5, cells_kept=1000)
    few = rerankit.rerank(problem, "consensus", k=5, cells_kept=15)
    assert np.mean(whole.indices[:, 0] == few.indices[:, 0]) > 0.8


def test_memory_budget_changes_nothing():
    problem = Problem.from_embeddings(*people())
    expected = rerankit.rerank(problem, "consensus")
    with settings.using(memory_budget=1000):
        np.testing.assert_allclose(rerankit.rerank(problem, "consensus").scores, expected.scores, atol=1e-4)


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "consensus", voters="query")
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], "consensus", voters="gallery")
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "consensus")
    with pytest.raises(InputError, match="'floor' must be above 0"):
        stage("consensus", floor=0)
