"""Needs are values: they can be asked, shown, and compared."""

from __future__ import annotations

import numpy as np
import pytest

from rerankit import Bank, Problem, stage
from rerankit.errors import InputError, UnknownNameError
from rerankit.pipelines.needs import Need
from strategies import stages_without_arguments

RELATIONS = np.eye(2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("query_scores", Problem([[1, 2]] * 2, query_scores=RELATIONS)),
        ("gallery_scores", Problem([[1, 2]], gallery_scores=RELATIONS)),
        ("embeddings", Problem.from_embeddings(RELATIONS, RELATIONS)),
        ("complete_scores", Problem([[1, 2]])),
        ("query_bank", Problem([[1, 2]], query_bank=Bank(to_gallery=[[1, 2]]))),
        ("query_bank:to_gallery", Problem([[1, 2]], query_bank=Bank(to_gallery=[[1, 2]]))),
        ("gallery_bank:to_queries", Problem([[1, 2]], gallery_bank=Bank(to_queries=[[1]]))),
        ("query_features:text|reference", Problem([[1, 2]], query_features={"reference": ["a cat"]})),
        ("gallery_features:text", Problem([[1, 2]], gallery_features={"text": ["a", "b"]})),
        ("extra_scores:clip", Problem([[1, 2]], extra_scores={"clip": [[2, 1]]})),
    ],
)
def test_a_need_is_met_where_it_is_given(text: str, problem: Problem) -> None:
    need, lists = Need.of(text), Problem.from_rankings([[0]], [[1]], 2)
    assert str(need) == text
    assert need == Need.of(text)
    assert need.is_met(problem, stage("fuse"))
    assert not need.is_met(lists, stage("fuse"))
    assert need.how.startswith(("give ", "use "))


def test_weights_are_the_stages_own() -> None:
    fitted = stage("pillar-plus", weights="captions")
    assert Need.of("weights").is_met(Problem([[1]]), fitted)
    assert not Need.of("weights").is_met(Problem([[1]]), stage("pillar-plus"))


def test_which_the_queries_bring() -> None:
    brought = {"query_scores", "query_features:text", "extra_scores:clip"}
    others = {"gallery_scores", "gallery_features:text", "query_bank", "weights", "complete_scores"}
    assert {text for text in brought | others if Need.of(text).of_queries} == brought


@pytest.mark.parametrize("text", ["query_scroes", "query_scores:x", "query_features", "weights:", "extra_scores:"])
def test_unknown_needs(text: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown need '{text}'"):
        Need.of(text)


def test_a_bank_stands_in_for_other_queries() -> None:
    one = stage("k-reciprocal")
    partly = Problem([[1, 2]], gallery_scores=RELATIONS, query_bank=Bank(to_gallery=[[1, 2]]))
    assert one.needs == ("query_scores", "gallery_scores")
    assert one.needs_on(Problem([[1, 2]])) == one.needs
    wanted = ("query_bank:to_gallery", "query_bank:to_queries", "query_bank:to_bank")
    assert one.needs_on(partly) == ("gallery_scores", *wanted)
    assert [str(fault.need) for fault in one.unmet(partly)] == [*wanted[1:]]
    assert str(one.unmet(partly)[0]) == (
        "stage 'k-reciprocal' needs query_bank:to_queries: "
        "give Problem(…, query_bank=rerankit.Bank(to_queries=…)), items that are not under test"
    )
    with pytest.raises(InputError, match=r"'bank' must have its relations to_gallery and to_queries and to_bank"):
        stage("k-reciprocal", bank=partly.query_bank)


def test_every_need_of_every_stage_can_be_shown() -> None:
    for name in stages_without_arguments():
        assert all(Need.of(need).how for need in stage(name).needs)
