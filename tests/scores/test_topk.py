from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rerankit
from rerankit.scores import EmbeddingScores
from rerankit.scores.topk import indices_of, keys_of, merge, order, scores_of, topk_dense
from strategies import VALUES, matrices, naive_topk


@given(matrices(rows=4, columns=40), st.integers(1, 45))
def test_equals_the_naive_tie_rule_with_ties(scores, k):
    indices, values = topk_dense(scores, k)
    expected = naive_topk(scores, k)
    assert np.array_equal(indices, expected[0])
    assert np.array_equal(values, expected[1])


@given(matrices(elements=VALUES))
def test_keys_hold_scores_and_indices(scores):
    columns = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    keys = keys_of(scores, columns)
    assert np.array_equal(indices_of(keys), columns)
    assert np.array_equal(scores_of(keys), scores)


@pytest.mark.parametrize("width", [50, 2_000, 20_001])
@pytest.mark.parametrize("kind", ["random", "constant", "few levels", "ascending", "with absent cells"])
def test_wide_rows(width, kind):
    generator = np.random.default_rng(0)
    scores = {
        "random": generator.normal(size=(5, width)),
        "constant": np.zeros((5, width)),
        "few levels": generator.integers(0, 3, (5, width)),
        "ascending": np.broadcast_to(np.arange(width), (5, width)),
        "with absent cells": np.where(generator.random((5, width)) < 0.01, generator.normal(size=(5, width)), -np.inf),
    }[kind].astype(np.float32)
    for k in (1, 10, 100):
        expected = naive_topk(scores, k)
        indices, values = topk_dense(scores, k)
        assert np.array_equal(indices, expected[0])
        assert np.array_equal(values, expected[1])


def test_minus_zero_ties_with_zero():
    assert topk_dense(np.float32([[-0.0, 0.0]]), 2)[0].tolist() == [[0, 1]]
    assert topk_dense(np.float32([[0.0, -0.0]]), 2)[0].tolist() == [[0, 1]]


def test_order_puts_padding_last():
    indices, scores = order(np.float32([[5, 1, 1]]), np.array([[-1, 8, 2]]))
    assert indices.tolist() == [[2, 8, -1]]
    assert scores.tolist() == [[1, 1, -np.inf]]


def test_merge_of_parts_is_the_whole():
    scores = np.random.default_rng(1).integers(0, 5, (3, 60)).astype(np.float32)
    parts = [topk_dense(scores[:, at : at + 20], 7, at) for at in (0, 20, 40)]
    for merged, whole in zip(merge(parts, 7), topk_dense(scores, 7), strict=True):
        assert np.array_equal(merged, whole)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scores_have_the_same_bits_with_and_without_room_for_the_gallery(metric, dtype):
    random = np.random.default_rng(5)
    queries, gallery = (random.normal(size=(count, 16)).astype(dtype) for count in (70, 3000))
    gallery[1500:] = gallery[:1500]  # ties, and many items at about the k-th score
    gallery[::2] *= dtype(1.001)
    found = []
    for budget in (1, 100_000, 1_000_000_000):
        with rerankit.settings.using(memory_budget=budget):
            made = EmbeddingScores(queries, gallery, metric)
            indices, scores = made.topk(9)
            found.append((indices, scores, made.pairs(np.arange(70)[:, None], indices), made.rows()))
    for one in found:
        for got, expected in zip(one, found[0], strict=True):
            assert np.array_equal(got, expected)
        assert np.array_equal(one[1], one[2])
        assert np.array_equal(one[0], naive_topk(one[3], 9)[0])
