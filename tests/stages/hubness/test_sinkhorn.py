from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given

import rerankit
from rerankit import Bank, Looks, Problem, settings, stage
from rerankit.errors import InputError, RerankitWarning
from rerankit.stages.cells import Cells
from strategies import VALUES, distinct, matrices


def naive_gains(scores: np.ndarray, beta: float, rounds: int) -> np.ndarray:
    """Rows, then columns, divided by their sums, `rounds` times; what the columns were multiplied by in all."""
    kernel = np.exp(beta * scores.astype(np.float64))
    rows, columns = kernel.shape
    gains = np.zeros(columns)
    for _ in range(rounds):
        for row in range(rows):
            kernel[row] /= sum(kernel[row])
        for column in range(columns):
            factor = rows / columns / sum(kernel[:, column])
            kernel[:, column] *= factor
            gains[column] += np.log(factor)
    return gains


def test_repr():
    assert repr(stage("sinkhorn", cells_kept=9)) == "stage('sinkhorn', cells_kept=9)"


@pytest.mark.parametrize("cells_kept", [None, 64])
@given(scores=matrices(elements=VALUES))
def test_equals_dividing_by_sums(cells_kept, scores):
    assume(len(scores) > 1)
    problem = Problem(scores)
    ranking = problem.ranking()
    found = stage("sinkhorn", beta=2, iterations=4, cells_kept=cells_kept, published=True).rescore(problem, ranking)
    corrected = scores + naive_gains(scores, 2.0, 4) / 2
    expected = np.take_along_axis(corrected, ranking.indices, axis=1)
    # What a whole row gains or loses says nothing about its order, and the two forms differ in it.
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], atol=1e-4)


def test_votes_that_no_number_holds_are_said():
    scores = distinct(8, 9)
    scores[:, 3] -= 1
    sharp = stage("sinkhorn", beta=1000, published=True)
    with pytest.warns(RerankitWarning, match=r"has beta=1000.*: the votes for [1-9] of 9 items .* give a lower beta"):
        rerankit.rerank(scores, sharp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rerankit.rerank(scores, stage("sinkhorn", published=True))


def test_the_first_cells_of_every_row_and_column_are_kept():
    scores = distinct(8, 9)
    cells = Cells.best(Problem(scores).scores, 2)
    expected = np.zeros(scores.shape, bool)
    expected[np.arange(8)[:, None], np.argsort(-scores, axis=1)[:, :2]] = True
    expected[np.argsort(-scores, axis=0)[:2], np.arange(9)] = True
    np.testing.assert_array_equal(cells.keys, np.flatnonzero(expected))


def test_a_bank_balances_against_the_gallery_alone():
    scores, bank = distinct(5, 6), distinct(9, 6, seed=1)
    problem = Problem(scores, query_bank=Bank(to_gallery=bank))
    found = rerankit.rerank(problem, "sinkhorn", beta=3, iterations=5)
    expected = np.argsort(-(scores + naive_gains(bank, 3.0, 5) / 3), axis=1)
    np.testing.assert_array_equal(found.indices, expected)
    assert stage("sinkhorn").looks_at(problem) == Looks(bank=True)


def test_lists_and_far_scores():
    whole = Problem(distinct(6, 7) * 500)
    first = whole.ranking(3)
    listed = Problem.from_rankings(first.indices, first.scores, 7)
    assert np.isfinite(rerankit.rerank(listed, "sinkhorn", k=3).scores).all()
    for cells_kept in (None, 2):
        assert np.isfinite(rerankit.rerank(whole, "sinkhorn", cells_kept=cells_kept).scores).all()


def test_memory_budget_changes_nothing():
    scores = distinct(70, 300)
    expected = rerankit.rerank(scores, "sinkhorn", cells_kept=None)
    with settings.using(memory_budget=1):
        assert rerankit.rerank(scores, "sinkhorn", cells_kept=None) == expected


def test_bad_parameters():
    with pytest.raises(InputError, match="'iterations' must be at least 1"):
        stage("sinkhorn", iterations=0)
    with pytest.raises(InputError, match="'cells_kept' must be at least 1"):
        stage("sinkhorn", cells_kept=0)
