from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerankit import fusion, settings
from rerankit.aggregation import inverse_squares, majorities
from strategies import matrices

WEIGHTS = np.float32([1, 2, 0.5])


def place(row: np.ndarray, item: int) -> float:
    """The shared place of an item; one beyond the last where it is not known."""
    if np.isnan(row[item]):
        return len(row) + 1
    return 1 + np.sum(row > row[item]) + (np.sum(row == row[item]) - 1) / 2


@given(matrices(3, 5), st.integers(0, 5))
def test_equal_counting(scores, absent):
    values = np.stack([scores, scores[::-1], np.round(scores)])
    values[1, 0, absent % scores.shape[1]] = np.nan
    squares, wins = inverse_squares(values, WEIGHTS), majorities(values, WEIGHTS)
    for query in range(scores.shape[0]):
        rows = values[:, query]
        for item in range(scores.shape[1]):
            known = ~np.isnan(rows[:, item])
            points = sum(w / place(row, item) ** 2 for w, row, k in zip(WEIGHTS, rows, known, strict=True) if k)
            assert squares[query, item] == pytest.approx(points * known.sum(), rel=1e-5)
            expected = 0.0
            for other in range(scores.shape[1]):
                gaps = [np.sign(place(row, other) - place(row, item)) for row in rows]
                expected += np.sign(sum(w * gap for w, gap in zip(WEIGHTS, gaps, strict=True)))
            assert wins[query, item] == expected


def test_blocks_change_nothing():
    values = np.random.default_rng(0).normal(size=(3, 8, 6)).astype(np.float32)
    expected = majorities(values, WEIGHTS)
    with settings.using(memory_budget=1):
        np.testing.assert_array_equal(majorities(values, WEIGHTS), expected)


@pytest.mark.parametrize("method", ["isr", "copeland"])
def test_fusion_knows_them(method):
    values = np.float32([[[3, 2, 1]], [[3, 2, 1]]])
    assert fusion.combine(values, method, weights=[1, 1]).argmax() == 0
