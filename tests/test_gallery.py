"""Galleries: what they are made of, and the problems that queries become."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Bank, Gallery, Problem, Ranking, prepare
from rerankit.errors import InputError

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD = (RANDOM.normal(size=(count, 8)) for count in (40, 6, 15))
NAMES = [f"item-{row}" for row in range(40)]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_its_problems_have_the_scores_of_a_problem_of_the_same_vectors(metric):
    gallery = Gallery(ITEMS, metric=metric, bank=OLD)
    whole = Problem.from_embeddings(QUERIES, ITEMS, metric, query_bank=OLD)
    for row in range(len(QUERIES)):
        one = gallery.problem(QUERIES[row])
        np.testing.assert_array_equal(one.scores.rows(), whole.scores.rows()[row : row + 1])
        assert one.ranking(5) == whole.ranking(5).take([row])
        bank, known = one.query_bank, whole.query_bank
        np.testing.assert_array_equal(bank.to_gallery.rows(), known.to_gallery.rows())
        np.testing.assert_array_equal(bank.to_queries.rows(), known.to_queries.rows()[:, row : row + 1])
        np.testing.assert_array_equal(bank.to_bank.rows(), known.to_bank.rows())
    np.testing.assert_array_equal(one.gallery_scores.rows(), whole.gallery_scores.rows())


def test_candidates_are_ids_or_rows_and_keep_their_scores():
    gallery = Gallery(ITEMS, ids=NAMES)
    problem = gallery.problem(QUERIES[:2])
    by_id = gallery.ranking(problem, [["item-3", "item-1"], ["item-5"]], [[0.9, 0.4], [0.7]])
    expected = Ranking([[3, 1], [5, -1]], [[0.9, 0.4], [0.7, -np.inf]], gallery_size=40, gallery_ids=NAMES)
    assert by_id == expected
    assert gallery.ranking(problem, [[3, 1], [5, -1]], [[0.9, 0.4], [0.7, -np.inf]]) == expected
    assert gallery.ranking(problem, np.array([[3, 1], [5, 2]])).scores.tolist() == [[-1, -2], [-1, -2]]


def test_a_search_may_have_found_nothing():
    gallery = Gallery(ITEMS, ids=NAMES, bank=OLD)
    ready = prepare("nnn", gallery)
    assert ready.rerank(QUERIES[0], candidates=[], scores=[]).to_dict() == {0: {}}
    assert ready.rerank(QUERIES[0], candidates=[]).to_dict() == {0: {}}
    some = ready.rerank(QUERIES[:2], candidates=[[], [3, 1]], scores=[[], [0.9, 0.8]])
    assert some.take([1]) == ready.rerank(QUERIES[1], candidates=[3, 1], scores=[0.9, 0.8])
    assert some.indices[0].tolist() == [-1, -1]
    with pytest.raises(InputError, match="'candidates' must be a list for each of the 2 queries"):
        ready.rerank(QUERIES[:2], candidates=[])


def test_whole_numbers_are_ids_where_the_ids_are_whole_numbers():
    gallery = Gallery.from_scores(ids=[30, 10, 20])
    assert gallery.ranking(gallery.problem(candidates=[20, 30], scores=[0.5, 0.2]), [20, 30]).indices.tolist() == [
        [2, 0]
    ]


def test_exclusions_are_no_candidates():
    gallery = Gallery(ITEMS, ids=NAMES)
    problem = gallery.problem(QUERIES[0], exclude=["item-2", "item-7"])
    assert not set(problem.ranking(40).indices[0].tolist()) & {2, 7}
    assert gallery.ranking(problem, ["item-2", "item-1"]).indices.tolist() == [[1]]


def test_matrices_alone_make_a_gallery():
    relation = ITEMS @ ITEMS.T
    gallery = Gallery.from_scores(gallery_scores=relation, bank=Bank(to_gallery=OLD @ ITEMS.T))
    problem = gallery.problem(scores=(QUERIES @ ITEMS.T)[0], bank_scores=(QUERIES @ OLD.T)[0])
    assert problem.shape == (1, 40)
    np.testing.assert_array_equal(problem.query_bank.to_queries.rows(), np.float32(OLD @ QUERIES[:1].T))
    assert problem.gallery_scores is gallery.side.scores


WRONG = [
    (lambda: Gallery(np.empty((0, 4))), "'vectors' must not be empty"),
    (lambda: Gallery([[np.nan, 1.0]]), "'vectors' must be finite"),
    (lambda: Gallery(ITEMS, metric="cosines"), "unknown metric 'cosines'"),
    (lambda: Gallery(ITEMS, bank=OLD[:, :3]), "'bank' must have the gallery's width, 8"),
    (lambda: Gallery(ITEMS, bank=Bank(to_gallery=np.zeros((3, 5)))), "'bank' must have a column for each of the 40"),
    (lambda: Gallery(ITEMS, bank=Bank(to_queries=np.zeros((3, 5)))), "'bank' must have its similarities"),
    (lambda: Gallery(ITEMS, ids=NAMES[:3]), "'ids' must have one id for each of the 40 rows"),
    (lambda: Gallery(ITEMS, features={"text": ["a"]}), "features"),
    (lambda: Gallery(ITEMS, gallery_bank=OLD), "'gallery_bank' must be a rerankit.Bank"),
    (lambda: Gallery.from_scores(), "'size', the number of items, must be given"),
    (lambda: Gallery.from_scores(gallery_scores=np.zeros((3, 4))), r"'gallery_scores' must have shape \(4, 4\)"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_what_cannot_be_a_gallery_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


ASKED_WRONGLY = [
    ({}, "'queries' must be given"),
    ({"queries": QUERIES[0, :3]}, "'queries' must have the gallery's width, 8"),
    ({"queries": [np.nan] * 8}, "'queries' must be finite"),
    ({"queries": QUERIES[0], "scores": np.zeros((1, 40))}, "'scores' stand in the place of 'queries'"),
    ({"scores": np.zeros((1, 39))}, "'scores' must have a column for each of the 40 items"),
    ({"candidates": ["item-1", "item-99"]}, "'candidates' must name only known ids .*item-99"),
    ({"candidates": ["item-1", "item-2", "item-1"]}, "'candidates' must name an item once .*item-1"),
    ({"candidates": [1, 40]}, "'candidates' must lie in 0…39"),
    ({"candidates": [1, 2], "scores": [0.5]}, "'scores' must have one number for each candidate"),
    ({"candidates": [1, 2], "scores": [0.5, np.nan]}, "'scores' must be finite"),
    ({"queries": QUERIES, "candidates": [[1], [2]]}, "'candidates' must be a list for each of the 6 queries"),
    ({"queries": QUERIES[0], "bank_scores": [1.0, 2.0]}, r"'bank_scores' must have shape \(1, 15\)"),
    ({"queries": QUERIES[0], "ids": ["a", "b"]}, "'ids' must have one id for each of the 1 rows"),
]


@pytest.mark.parametrize(("asked", "message"), ASKED_WRONGLY)
def test_what_cannot_be_a_query_is_refused(asked, message):
    gallery = Gallery(ITEMS, ids=NAMES, bank=OLD)
    with pytest.raises(InputError, match=message):
        gallery.ranking(gallery.problem(**asked), asked.get("candidates"), asked.get("scores"))
