from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rerankit
from rerankit.scores import EmbeddingScores, Searching, counting, search
from rerankit.scores.best import Best
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


@pytest.mark.parametrize("row", [[3.0, 1.0, -2.0], [3.0, -0.0, -2.0], [3.0, 1.0, 1.0], [3.0, np.nan, 1.0]])
def test_rows_that_come_in_order_are_those_of_the_keys_and_the_caller_s_own(row):
    given, scores = np.array([[8, 2, 5]]), np.float32([row])
    keys = np.sort(keys_of(scores, given), axis=1)
    indices, values = order(scores, given)
    np.testing.assert_array_equal(indices, indices_of(keys))
    np.testing.assert_array_equal(values.view(np.uint32), scores_of(keys).view(np.uint32))
    indices[:], values[:] = 0, 0
    assert (given > 0).all()
    assert scores[0, 0] == 3


def test_merge_of_parts_is_the_whole():
    scores = np.random.default_rng(1).integers(0, 5, (3, 60)).astype(np.float32)
    parts = [topk_dense(scores[:, at : at + 20], 7, at) for at in (0, 20, 40)]
    for merged, whole in zip(merge(parts, 7), topk_dense(scores, 7), strict=True):
        assert np.array_equal(merged, whole)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scores_have_the_same_bits_with_and_without_room_for_the_gallery(metric, dtype):
    random = np.random.default_rng(5)
    queries, gallery = (random.normal(size=(count, 16)).astype(dtype) for count in (70, 1200))
    gallery[600:] = gallery[:600]  # ties, and many items at about the k-th score
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


@pytest.mark.parametrize("kind", ["random", "rising", "falling", "constant", "short"])
def test_the_best_of_lists_are_those_of_the_whole(kind):
    random = np.random.default_rng(7)
    values = {
        "random": random.normal(size=(30, 900)),
        "rising": np.sort(random.normal(size=(30, 900)), axis=1),
        "falling": -np.sort(random.normal(size=(30, 900)), axis=1),
        "constant": np.zeros((30, 900)),
        "short": random.normal(size=(30, 5)),
    }[kind].astype(np.float32)
    rows, columns = Best(30, 8), Best(30, 8)
    for start in range(0, values.shape[1], 70):
        for lists in (slice(0, 11), slice(11, 30)):
            part = values[lists, start : start + 70]
            rows.add_rows(lists, part, start)
            columns.add_columns(lists, part.T + np.float32(1), start, np.ones(part.shape[1], np.float32))
    for best, added in ((rows, values), (columns, (values + np.float32(1)) - np.float32(1))):
        indices, scores = best.lists()
        known = indices >= 0
        assert np.array_equal(scores[:, : values.shape[1]], naive_topk(added, 8)[1])
        assert np.array_equal(known.sum(axis=1), np.full(30, min(8, values.shape[1])))
        assert np.array_equal(np.where(known, added[np.arange(30)[:, None], indices], 0), np.where(known, scores, 0))


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("budget", [1, 300_000, 1_000_000_000])
def test_one_pass_finds_what_two_would(metric, budget):
    random = np.random.default_rng(9)
    queries, gallery = random.normal(size=(1500, 12)), random.normal(size=(2500, 12))
    gallery[1200:1300], queries[700:760] = gallery[:100], queries[:60]  # ties
    gallery[0] *= 3
    less = random.normal(size=1500) / 10
    exact = EmbeddingScores(queries, gallery, metric)
    lowered = exact.rows() - less.astype(np.float32)[:, None]
    with rerankit.settings.using(memory_budget=budget):
        plain, searching = EmbeddingScores(queries, gallery, metric), Searching(exact, 5)
        for scores in (plain, searching):
            assert np.array_equal(scores.column_highest(9, less), -np.sort(-lowered, axis=0)[:9].T)
        expected = topk_dense(exact.rows(), 5)
        assert all(np.array_equal(got, wanted) for got, wanted in zip(searching.found, expected, strict=True))
        assert all(np.array_equal(got, wanted) for got, wanted in zip(searching.topk(4), plain.topk(4), strict=True))
        assert np.array_equal(searching.of_found(slice(None), expected[0]), expected[1])
        every = np.arange(1500)[:, None]
        assert np.array_equal(searching.pairs(every, expected[0]), expected[1])
        assert np.array_equal(searching.pairs(every, expected[0][:, ::-1]), expected[1][:, ::-1])
        some, first = np.array([7, 3, 3]), expected[0][[7, 3, 3], :2]
        assert np.array_equal(searching.of_found(some, first), plain.pairs(some[:, None], first))
        for rows, others in ((slice(None), expected[0][:, ::-1]), (some[::-1], first), (some[:2], first)):
            assert searching.of_found(rows, others) is None


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("budget", [30_000, 300_000, 1_000_000_000])
def test_ends_of_vectors_among_themselves_are_made_once_for_both_places(metric, budget, monkeypatch):
    monkeypatch.setattr(search, "_WIDE", 300)
    random = np.random.default_rng(12)
    vectors = random.normal(size=(1100, 12))
    vectors[700:760] = vectors[:60]  # ties
    vectors[0] *= 3
    scores = EmbeddingScores.within(vectors, metric)
    whole = scores.rows()
    monkeypatch.setattr(search, "_fits", lambda lists, most: True)
    with rerankit.settings.using(memory_budget=budget):
        found, of_columns = scores.ends(6, 6)
        first = scores.topk(9)
    assert of_columns is found
    assert all(np.array_equal(got, wanted) for got, wanted in zip(first, topk_dense(whole, 9), strict=True))
    assert all(np.array_equal(got, wanted) for got, wanted in zip(found.first, topk_dense(whole, 6), strict=True))
    assert np.array_equal(found.lowest, whole.min(axis=1))


def test_ends_and_candidates_come_from_one_pass():
    random = np.random.default_rng(13)
    scores = EmbeddingScores(random.normal(size=(900, 12)), random.normal(size=(1000, 12)))
    searching, expected = Searching(scores, 20), scores.ends(5, 5)
    for got, wanted in zip(searching.ends(5, 5), expected, strict=True):
        assert np.array_equal(got.first[0], wanted.first[0])
        assert np.array_equal(got.first[1], wanted.first[1])
        assert np.array_equal(got.lowest, wanted.lowest)
    assert all(np.array_equal(got, wanted) for got, wanted in zip(searching.found, scores.topk(20), strict=True))
    many = Searching(scores, 400)  # so many that the ends are looked for alone
    assert np.array_equal(many.ends(5, 5)[0].first[0], expected[0].first[0])
    assert many.found is None


def test_rows_that_are_read_one_after_the_other_are_searched():
    random = np.random.default_rng(10)
    scores = EmbeddingScores(random.normal(size=(50, 8)), random.normal(size=(40, 8)))
    searching = Searching(scores, 3)
    searching.rows(slice(0, 8))
    for start in (0, 20):
        assert searching.found is None
        searching.rows(slice(start, start + 20))
    searching.rows(np.arange(40, 50))
    assert searching.found is None  # numbers of rows may be any
    searching.rows(slice(40, 50))
    assert all(np.array_equal(got, wanted) for got, wanted in zip(searching.found, scores.topk(3), strict=True))


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("budget", [1, 100_000, 1_000_000_000])
def test_counts_above_are_those_of_all_scores(metric, budget):
    random = np.random.default_rng(11)
    others, gallery = random.normal(size=(900, 12)), random.normal(size=(400, 12))
    others[800:] = others[:100]  # ties
    scores, less = EmbeddingScores(others, gallery, metric), random.normal(size=900) / 10
    lowered = scores.rows() - less.astype(np.float32)[:, None]
    columns = np.sort(random.integers(0, 400, 3000))
    values = lowered[random.integers(0, 900, 3000), columns]
    values[:200] += np.float32(1e-6)  # near a score and none of them
    values[200:220] = [-9, 9] * 10
    with rerankit.settings.using(memory_budget=budget):
        above, equal = scores.counts_above(columns, values, less)
    assert np.array_equal(above, (lowered[:, columns] > values).sum(axis=0))
    assert np.array_equal(equal, (lowered[:, columns] == values).sum(axis=0))


@pytest.mark.parametrize(("budget", "told"), [(1, 0.0), (100_000, 0.0), (200_000, 0.1), (1_000_000_000, 0.9)])
def test_what_is_kept_while_rows_are_searched_tells_the_counts_of_their_first_columns(budget, told, monkeypatch):
    monkeypatch.setattr(search, "_TALL", 128)
    monkeypatch.setattr(search, "_WIDE", 300)
    random = np.random.default_rng(17)
    others, gallery = random.normal(size=(900, 12)), random.normal(size=(700, 12))
    others[800:] = others[:100]  # ties
    less = random.normal(size=900) / 10
    exact = EmbeddingScores(others, gallery)
    lowered = exact.rows() - less.astype(np.float32)[:, None]
    with rerankit.settings.using(memory_budget=budget):
        scores = Searching(exact, 9)
        scores.counting(less, np.arange(0, 900, 9))
        found = scores.topk(9)
        items, rows = found[0].reshape(-1), np.repeat(np.arange(900), 9)
        by_item = np.argsort(items, kind="stable")
        items, rows = items[by_item], rows[by_item]
        values = lowered[rows, items]
        searched = []
        hits = counting._hits
        monkeypatch.setattr(counting, "_hits", lambda *given: searched.append(len(given[1])) or hits(*given))
        above, equal = scores.counts_above(items, values, less, rows)
        assert max(searched, default=0) <= (1 - told) * len(np.unique(items))
        without = scores.counts_above(items, values, None, None)  # less something else was not kept
    assert all(np.array_equal(got, wanted) for got, wanted in zip(found, exact.topk(9), strict=True))
    assert np.array_equal(above, (lowered[:, items] > values).sum(axis=0))
    assert np.array_equal(equal, (lowered[:, items] == values).sum(axis=0))
    assert np.array_equal(without[0], (exact.rows()[:, items] > values).sum(axis=0))


@pytest.mark.parametrize("budget", [20_000, 1_000_000_000])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_the_first_rows_of_columns_come_from_the_pass_that_finds_candidates(metric, budget):
    random = np.random.default_rng(18)
    others, gallery = random.normal(size=(900, 12)), random.normal(size=(700, 12))
    gallery[600:] = gallery[:100]  # ties
    exact = EmbeddingScores(others, gallery, metric)
    with rerankit.settings.using(memory_budget=budget):
        scores = Searching(exact, 9)
        scores.both_ways(5)
        assert scores.T.topk(5)[0].shape == (700, 5)  # nothing was searched yet
        found = scores.topk(9)
        of_columns = scores.T._first
    assert all(np.array_equal(got, wanted) for got, wanted in zip(found, exact.topk(9), strict=True))
    assert all(np.array_equal(got, wanted) for got, wanted in zip(of_columns, exact.T.topk(5), strict=True))
    assert all(np.array_equal(got, wanted) for got, wanted in zip(scores.T.topk(8), exact.T.topk(8), strict=True))


def test_some_rows_keep_the_first_columns_that_a_search_found_and_not_those_that_were_told():
    random = np.random.default_rng(20)
    exact = EmbeddingScores(random.normal(size=(300, 8)), random.normal(size=(700, 8)))
    some, searching = np.array([7, 3, 299]), Searching(exact, 9)
    searching.topk(9)
    assert searching.take(some)._first is not None
    told = exact.knowing(np.broadcast_to(np.arange(20), (300, 20)))
    for taken in (searching.take(some), told.take(some), searching.take(some, np.arange(700)[::-1])):
        wanted = exact.take(some, np.arange(700)[::-1] if taken.gallery is not exact.gallery else None).topk(9)
        assert all(np.array_equal(got, each) for got, each in zip(taken.topk(9), wanted, strict=True))


def test_the_lowest_of_many_that_are_alike_are_exact():
    random = np.random.default_rng(19)
    vectors = random.normal(size=(900, 12))
    vectors[:400] = vectors[0]  # more that may be the lowest than an account is kept of
    scores = EmbeddingScores.within(vectors)
    found = scores.ends(5)[0]
    across = EmbeddingScores(vectors, vectors[100:800].copy()).ends(5, 5)
    whole = scores.rows()
    assert np.array_equal(found.lowest, whole.min(axis=1))
    assert np.array_equal(across[0].lowest, whole[:, 100:800].min(axis=1))
    assert np.array_equal(across[1].lowest, whole[:, 100:800].min(axis=0))
