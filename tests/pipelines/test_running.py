"""Needs, candidates and answers are checked wherever a stage runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Gallery, Pipeline, Problem, Ranking, Relevance, Stage, prepare, stage
from rerankit.errors import InputError, StageError, UnmetNeedError
from rerankit.pipelines.prepared import Prepared
from strategies import stages_without_arguments


class Loses(Stage):
    """Keeps one candidate of each query."""

    name = "loses"

    def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
        return ranking.top(1)


class Repeats(Stage):
    """Has the first candidate in every place."""

    name = "repeats"

    def reorder(self, problem: Problem, ranking: Ranking) -> Any:
        copy = ranking.with_scores(ranking.scores)
        copy.__dict__["indices"] = np.repeat(ranking.indices[:, :1], ranking.shape[1], axis=1)
        return copy


class Needy(Stage):
    """Needs similarities of the gallery, and reads them."""

    name = "needy"
    needs = ("gallery_scores",)

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        assert problem.gallery_scores is not None
        return ranking.scores


class Breaks(Stage):
    """Raises what its author did not think of."""

    name = "breaks"

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        raise ZeroDivisionError("no luck")


def problem() -> Problem:
    return Problem(np.random.default_rng(0).normal(size=(4, 6)))


def first(k: int = 3) -> Ranking:
    return problem().ranking(k)


def by_hand(one: Stage) -> Ranking:
    return one.rerank(problem(), first())


def prepared(one: Stage) -> Ranking:
    bank = Bank(to_gallery=np.random.default_rng(1).normal(size=(9, 6)))
    ready = prepare(one, Gallery.from_scores(bank=bank))
    return ready.rerank(scores=problem().scores.rows(), k=3)


WAYS: dict[str, Callable[[Stage], Ranking]] = {
    "called directly": by_hand,
    "in a pipeline": lambda one: by_hand(Pipeline([one])),
    "behind another": lambda one: by_hand(stage("mutual-rank") >> one),
    "on the first": lambda one: by_hand(one.top(2)),
    "in a fusion": lambda one: by_hand(stage("fuse", sources=["scores", one])),
    "in a fusion, in a pipeline, on the first": lambda one: by_hand(
        stage("fuse", sources=[Pipeline([one, "mutual-rank"])]).top(2)
    ),
    "chosen": lambda one: by_hand(stage("auto", chosen=Pipeline([one]))),
    "by rerank": lambda one: rerankit.rerank(problem(), one, k=3),
    "prepared": prepared,
    "prepared, in a fusion": lambda one: prepared(stage("fuse", sources=["scores", one])),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_wrong_is_said_in_every_place(way: Callable[[Stage], Ranking]) -> None:
    with pytest.raises(
        StageError, match=r"stage\('loses'\) of unregistered, .* must return every candidate it was given"
    ):
        way(Loses())
    with pytest.raises(
        StageError, match=r"stage\('repeats'\) of unregistered, .* must return every candidate it was given"
    ):
        way(Repeats())
    with pytest.raises(UnmetNeedError, match=r"stage 'needy' needs gallery_scores: give (Problem|Gallery)"):
        way(Needy())
    with pytest.raises(StageError, match=r"stage\('breaks'\) of unregistered, .* failed: ZeroDivisionError: no luck"):
        way(Breaks())


@pytest.mark.parametrize("name", stages_without_arguments())
def test_a_stage_without_what_it_needs_says_so_when_called_directly(name: str) -> None:
    made, given = stage(name), Problem.from_rankings([[0, 1], [1, 0]], [[2, 1], [2, 1]], 2)
    if made.unmet(given):
        with pytest.raises(UnmetNeedError, match=rf"stage '{name}' needs "):
            made.rerank(given, given.ranking(2))
    else:
        assert made.rerank(given, given.ranking(2)).shape == (2, 2)


def test_a_first_ranking_of_another_problem_is_refused_everywhere() -> None:
    other = Problem([[1, 2, 3]]).ranking()
    for one in (stage("mutual-rank"), stage("mutual-rank").top(2), stage("fuse"), Pipeline(["fuse"])):
        with pytest.raises(InputError, match=r"'ranking' must be of the problem's \(4, 6\) queries and items"):
            one.rerank(problem(), other)


def test_rerank_is_not_to_be_overridden() -> None:
    with pytest.raises(InputError, match="stage class Old must implement 'reorder' or 'rescore'"):
        type("Old", (Stage,), {"name": "old", "rerank": lambda self, problem, ranking: ranking})
    with pytest.raises(InputError, match="class Old must implement 'reorder'"):
        type("Old", (Prepared,), {"rerank": lambda self, problem, ranking: ranking})


def test_what_is_prepared_is_checked_as_the_stage_is() -> None:
    class Wrong(Prepared):
        def reorder(self, problem: Problem, ranking: Ranking) -> Ranking:
            return ranking.top(1)

    class PreparesWrong(Needy):
        name = "prepares-wrong"
        needs = ()

        def prepare(self, gallery: Gallery) -> Prepared:
            return Wrong(self, gallery)

    with pytest.raises(StageError, match="must return every candidate it was given once"):
        prepared(PreparesWrong())


def test_learned_fusion_and_both_directions_check_their_needs() -> None:
    votes = stage("learned-fusion", opinions=["query-votes"])
    with pytest.raises(UnmetNeedError, match="needs query_scores"):
        votes.fit(problem(), Relevance.from_dense(np.eye(4, 6)))
    for name in ("pillar", "pillar-plus"):
        with pytest.raises(UnmetNeedError, match=f"stage '{name}' needs query_scores"):
            stage(name).rerank_both(problem())


def test_a_stage_is_not_run_where_no_query_has_a_candidate() -> None:
    """A first stage that found nothing at all leaves one order; a gallery that stands ready answers the same."""
    problem = Problem([[0.1, 0.2]], exclude=[[0, 1]])
    empty = problem.ranking()
    assert Loses().rerank(problem, Ranking([[-1, -1]], [[-np.inf, -np.inf]], gallery_size=2)).shape == (1, 2)
    assert Prepared(Repeats(), Gallery.of(problem)).rerank(problem, empty) is empty
    notes = Pipeline([Loses(), Repeats()]).rerank(problem, empty).notes
    assert notes["stages"] == ["stage('loses')", "stage('repeats')"]
