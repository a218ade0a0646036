from __future__ import annotations

import numpy as np
from hypothesis import given

from rerankit import DenseScores, settings
from rerankit.ranks import Levels, levels_among, ranks_among, shared_ranks, told_apart
from strategies import distinct, matrices


def naive_rank(row: np.ndarray) -> np.ndarray:
    return np.array([np.nan if np.isnan(x) else 1 + sum(row > x) + (sum(row == x) - 1) / 2 for x in row])


@given(matrices())
def test_shared_ranks_are_counting(values):
    values = np.where(values < 0, np.float32(np.nan), values)
    np.testing.assert_allclose(shared_ranks(values), np.array([naive_rank(row) for row in values]))


@given(matrices(), matrices())
def test_ranks_among_are_counting(scores, more):
    others = np.resize(more, (len(more), scores.shape[1]))
    items = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    expected = np.empty(scores.shape)
    for query, item in np.ndindex(*scores.shape):
        above = np.sum(others[:, item] > scores[query, item])
        equal = np.sum(others[:, item] == scores[query, item])
        expected[query, item] = 1 + above + max(equal - 1, 0) / 2
    np.testing.assert_allclose(ranks_among(DenseScores(others), items, scores), expected)


def test_blocks_change_nothing():
    scores = distinct(20, 30)
    items = np.argsort(-scores, axis=1)[:, :5]
    own = np.take_along_axis(scores, items, axis=1)
    whole = ranks_among(DenseScores(scores), items, own)
    with settings.using(memory_budget=500):
        assert np.array_equal(ranks_among(DenseScores(scores), items, own), whole)


@given(matrices(), matrices())
def test_ranks_read_off_all_places_are_counting(scores, more):
    others = DenseScores(np.resize(more, (len(more), scores.shape[1])))
    items = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    levels = levels_among(others, told_apart(len(more), len(more)), None, None)
    np.testing.assert_array_equal(levels.ranks(items, scores), ranks_among(others, items, scores))


def test_ranks_read_off_some_places_are_near_and_the_first_exact():
    random = np.random.default_rng(0)
    others = DenseScores(np.round(random.normal(size=(3000, 20)), 2))
    items, scores = np.tile(np.arange(20), (50, 1)), np.float32(np.round(1.5 * random.normal(size=(50, 20)), 2))
    places = told_apart(3000, 64)
    assert len(places) < 90
    exact = ranks_among(others, items, scores)
    found = levels_among(others, places, None, None).ranks(items, scores)
    np.testing.assert_array_equal(found[exact < 60], exact[exact < 60])
    np.testing.assert_allclose(found, exact, rtol=0.06)
    with settings.using(memory_budget=500):
        np.testing.assert_array_equal(ranks_among(others, items, scores, places=places), found)


def test_scores_above_all_below_all_and_beside_absent_ones_have_ranks():
    levels = Levels.at(told_apart(4, 1), np.float32([[3, -np.inf, 1, -np.inf]]))
    found = levels.ranks(np.zeros(4, np.int64), np.float32([4, 2, 0, -np.inf]))
    np.testing.assert_array_equal(found, [1, 2, 3, 3.5])
