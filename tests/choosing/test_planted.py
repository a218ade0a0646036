from __future__ import annotations

import numpy as np
import pytest

from rerankit import Bank, Pipeline, Problem, Relevance, choose, rerank
from rerankit.choosing.planted import Planted, planted_in


def with_hubs(hubs: float, queries: int = 120, items: int = 150, seed: int = 0) -> Problem:
    """Queries and a bank of queries for other items, to a gallery some of whose items score high for everybody."""
    random = np.random.default_rng(seed)
    level = hubs * random.normal(size=items)
    asked, earlier = (random.normal(size=(queries, items)) + level for _ in range(2))
    return Problem(asked + 4 * np.eye(queries, items), query_bank=Bank(to_gallery=earlier))


def found(problem: Problem, pipeline: Pipeline) -> float:
    first = pipeline.rerank(problem, problem.ranking(20)).indices[:, 0]
    return float(np.mean(first == np.arange(len(first))))


@pytest.mark.parametrize("seed", range(3))
def test_a_bank_without_labels_tells_which_correction_gains(seed):
    problem = with_hubs(2.0, seed=seed)
    chosen = choose(problem, among=["nnn", "sinkhorn"])
    assert len(chosen.stages) == 1
    assert "drawn and raised" in chosen.measured_on
    assert found(problem, chosen) > found(problem, Pipeline([])) + 0.1
    assert rerank(problem, "auto").notes["auto"]["chosen"]


@pytest.mark.parametrize("seed", range(3))
def test_without_hubs_nothing_is_chosen(seed):
    assert not choose(with_hubs(0.0, seed=seed), among=["nnn", "csls", "sinkhorn"]).stages


def test_the_raised_item_comes_first_for_half_of_the_queries():
    values = Planted(with_hubs(1.0).query_bank).values(Pipeline([]))
    assert values.mean() == pytest.approx(0.5, abs=0.01)


def test_a_bank_whose_queries_have_items_of_their_own_is_measured_by_agreement():
    random = np.random.default_rng(0)
    log = random.normal(size=(150, 150)) + 6 * np.eye(150)
    problem = Problem(log + random.normal(size=log.shape), query_bank=Bank(to_gallery=log))
    assert planted_in(problem) is None
    assert "each other's first choice among the bank's" in choose(problem, among=["nnn"]).measured_on


def test_a_bank_is_hardly_ever_taken_for_a_log_by_chance():
    assert all(planted_in(with_hubs(1.0, queries=60, items=60, seed=seed)) for seed in range(60))


def test_a_small_bank_is_no_evidence():
    problem = with_hubs(2.0)
    for count in (1, 2, 20):
        few = Problem(problem.scores, query_bank=Bank(to_gallery=problem.query_bank.to_gallery.rows()[:count]))
        assert choose(few, among=["nnn"]).reason == f"left alone: the bank has only {count} queries, 30 are needed"
        assert np.array_equal(rerank(few, "auto", k=9).indices, few.ranking(9).indices)


def test_order_scale_and_shift_do_not_matter():
    problem = with_hubs(2.0)
    bank = problem.query_bank.to_gallery.rows()
    random = np.random.default_rng(1)
    items, queries = random.permutation(bank.shape[1]), random.permutation(len(bank))
    expected = choose(problem, among=["nnn", "csls"]).table()
    for other in (bank[:, items], bank[queries], 4 * bank - 8):
        given = Problem(problem.scores, query_bank=Bank(to_gallery=other))
        assert choose(given, among=["nnn", "csls"]).table() == expected


def test_a_bank_of_lists_leaves_the_choice_to_the_labels():
    problem = with_hubs(1.0)
    first = Problem(problem.query_bank.to_gallery).ranking(20)
    lists = Problem.from_rankings(first.indices, first.scores, 150).scores
    given = Problem(problem.scores, query_bank=Bank(to_gallery=lists))
    pairs = Problem(np.random.default_rng(3).normal(size=(12, 12)))
    chosen = choose(given, bank=(pairs, Relevance.from_dense(np.eye(12))), among=["nnn"])
    assert not chosen.stages
    assert "without labels" not in chosen.reason


def test_where_labels_are_too_few_the_bank_tells_without():
    problem = with_hubs(1.0)
    random = np.random.default_rng(3)
    pairs = random.normal(size=(12, 12)) + random.normal(size=12) + 3 * np.eye(12)
    chosen = choose(problem, bank=(Problem(pairs), Relevance.from_dense(np.eye(12))), among=["nnn", "csls"])
    assert chosen.stages
    assert "without labels, of those that lose nothing by them" in chosen.reason
