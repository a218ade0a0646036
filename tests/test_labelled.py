"""Runs in memory as problems: dictionaries, rankings, records; several runs beside each other."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import rerankit
from rerankit import Problem, Ranking, Relevance
from rerankit.errors import InputError

RUN = {"q1": {"a": 0.9, "b": 0.4}, "q2": {"c": 0.8}}
ScoredDoc = namedtuple("ScoredDoc", ["query_id", "doc_id", "score"])
Qrel = namedtuple("Qrel", ["query_id", "doc_id", "relevance", "iteration"])
RECORDS = [ScoredDoc(query, item, score) for query, items in RUN.items() for item, score in items.items()]


def test_a_run_of_dictionaries_or_records_is_a_problem_of_lists():
    for run in (RUN, RECORDS):
        problem = Problem(run)
        assert problem.ranking().to_dict() == RUN
        assert problem.scores.rows()[0].tolist() == [np.float32(0.9), np.float32(0.4), -np.inf]
        assert rerankit.rerank(run, "mutual-rank").query_ids.tolist() == ["q1", "q2"]


def test_a_run_may_be_lists_of_pairs():
    hits = [[("sku-2", 0.9), ("sku-1", 0.5)], [], [("sku-3", 0.8)]]
    expected = Problem({0: {"sku-2": 0.9, "sku-1": 0.5}, 1: {}, 2: {"sku-3": 0.8}}).ranking().to_dict()
    assert Problem(hits).ranking().to_dict() == Problem(dict(enumerate(hits))).ranking().to_dict() == expected
    assert Problem([[["sku-2", 0.9], ["sku-1", 0.5]]]).ranking().to_dict() == {0: expected[0]}  # as JSON has pairs
    assert rerankit.evaluate({"q": [("b", 0.9), ("a", 0.4)]}, {"q": {"a": 1}}, ["mrr"])["mrr"] == 0.5
    with pytest.raises(InputError, match="a query must list an item once"):
        Problem([[("a", 0.5), ("a", 0.4)]])
    assert Problem([(0.1, 0.9), (0.8, 0.3)]).shape == (2, 2)  # rows of a matrix


def test_judgements_may_be_the_right_items_of_each_query():
    problem = Problem([[0.9, 0.1], [0.8, 0.3]], query_ids=["x", "y"], gallery_ids=["a", "b"])
    for right in ({"x": ["a"], "y": ["b"]}, {"x": {"a"}, "y": ("b",)}, {"x": [("a", 1)], "y": {"b": 1}}):
        assert rerankit.evaluate(problem, right, ["mrr"])["mrr"] == 0.75
        assert rerankit.evaluate(problem.ranking().to_dict(), right, ["mrr"])["mrr"] == 0.75
        assert Relevance.from_dict(right, ["x", "y"], ["a", "b"]) == Relevance.from_lists([[0], [1]], 2)
    with pytest.raises(
        InputError, match=r"must map queries to \{item: grade\}, or to lists of \(item, grade\) or items"
    ):
        rerankit.evaluate(problem, {"x": "a", "y": "b"}, ["mrr"])
    with pytest.raises(InputError, match="a query must judge an item once"):
        Relevance.from_dict({"x": ["a", "a"]}, ["x"], ["a"])


def test_records_are_judged_by_records():
    qrels = [Qrel("q1", "b", 1, "0"), Qrel("q2", "c", 1, "0"), Qrel("q2", "x", -1, "0")]
    assert rerankit.evaluate(RECORDS, qrels, ["mrr"])["mrr"] == 0.75
    assert rerankit.evaluate(Problem(RUN).ranking(), qrels, ["mrr"])["mrr"] == 0.75


def test_a_query_without_items_stays():
    assert Problem({"q": {}, "r": {"a": 1}}).ranking().to_dict() == {"q": {}, "r": {"a": 1.0}}


def test_given_ids_are_the_order_of_a_run():
    problem = Problem(RUN, query_ids=["q2", "q1"], gallery_ids=["c", "d", "b", "a"])
    assert problem.ranking(1).indices.tolist() == [[0], [3]]
    with pytest.raises(InputError, match=r"'gallery_ids' must have every id of the lines \(got 1 unknown"):
        Problem(RUN, gallery_ids=["a", "b"])


def test_a_ranking_is_a_run_and_keeps_what_it_leaves_out():
    ranking = Ranking([[2, 0], [1, -1]], [[0.9, 0.5], [0.7, -np.inf]], gallery_size=3, exclude=[[1], []])
    problem = Problem(ranking)
    assert problem.ranking(2) == ranking
    assert len(problem.excluded) == 1
    named = Problem(ranking, query_ids=["a", "b"], gallery_ids=["x", "y", "z"]).ranking()
    turned = Problem(named, query_ids=["b", "a"], gallery_ids=["z", "y", "x"])
    assert turned.ranking().to_dict() == {"b": {"y": 0.7}, "a": {"z": 0.9, "x": 0.5}}
    assert (turned.excluded.rows.tolist(), turned.excluded.indices.tolist()) == ([1], [1])
    with pytest.raises(InputError, match="is a ranking with ids, which must be those that are given"):
        Problem(named, query_ids=["b", "c"])


def test_runs_beside_each_other():
    other = {"q2": {"d": 3.0, "c": 2.0}, "q3": {"a": 1.0}}
    problem = Problem.from_runs({"words": RUN, "pictures": other})
    assert problem.query_ids.tolist() == ["q1", "q2", "q3"]
    assert problem.gallery_ids.tolist() == ["a", "b", "c", "d"]
    assert problem.ranking().to_dict() == {**RUN, "q3": {}}
    pictures = problem.extra_scores["pictures"].rows()
    assert pictures.tolist() == [[-np.inf] * 4, [-np.inf, -np.inf, 2, 3], [1, -np.inf, -np.inf, -np.inf]]
    # Runs of other forms, and the order of one's own ids.
    again = Problem.from_runs({"words": Problem(RUN).ranking(), "pictures": other}, gallery_ids=["d", "c", "b", "a"])
    assert again.ranking().to_dict() == problem.ranking().to_dict()
    np.testing.assert_array_equal(again.extra_scores["pictures"].rows()[:, ::-1], pictures)
    fused = rerankit.rerank(
        Problem.from_runs({"words": RUN, "pictures": RUN}), rerankit.stage("fuse", sources=["scores", "pictures"])
    )
    assert fused.indices.tolist() == Problem(RUN).ranking().indices.tolist()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: Problem({}), "must have at least one line with scores"),
        (
            lambda: Problem({"scores": [[1, 2]]}),
            r"'scores' must map queries to \{item: score\}, or to lists of \(item, score\)",
        ),
        (lambda: Problem({"q": {"a": "high"}}), r"every score must be a number \(got 1 of 1 that are none"),
        (lambda: Problem({"q": {"a": np.nan}}), "every score must be finite"),
        (lambda: Problem.from_runs(RUN), r"'runs\['q1'\]' must map queries"),
        (lambda: Problem.from_runs({}), "'runs' must map names to runs"),
        (lambda: Problem.from_runs({"a": np.eye(2)}), r"'runs\['a'\]' must be a run, such as"),
        (lambda: rerankit.evaluate_both(RUN, {"q1": {"a": 1}}), "'scores' must be a matrix or complete scores"),
    ],
)
def test_what_is_wrong_is_said(given, words):
    with pytest.raises(InputError, match=words):
        given()
