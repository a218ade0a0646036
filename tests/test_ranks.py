from __future__ import annotations

import numpy as np
from hypothesis import given

from rerankit import DenseScores, settings
from rerankit.ranks import ranks_among, shared_ranks
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
