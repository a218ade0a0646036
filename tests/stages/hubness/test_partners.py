from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import DenseScores, Problem, stage
from rerankit.stages.hubness.partners import Lead, Partners, lead_of_rows, partners_of


def pairs(items: int, asked: int, lead: float, seed: int = 0, hubs: float = 0.0) -> np.ndarray:
    """Scores (asked, items) of queries that each have one item of their own."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(asked, items)) + hubs * random.normal(size=items)
    return scores + lead * np.eye(asked, items)


def naive_ratio(scores: np.ndarray) -> float:
    """The mean first step over what a line through the steps behind it says, in logarithms."""
    count, squares = len(scores), scores.var(axis=0)
    above = (scores - scores.mean(axis=0)) / np.sqrt((count * squares + 100 * squares.mean()) / (count + 100))
    steps: list[list[float]] = [[] for _ in range(7)]
    for row in above:
        best = sorted(row, reverse=True)
        for place in range(1, 8):
            steps[place - 1].append(place * (best[place - 1] - best[place]))
    means = [np.mean(step) for step in steps]
    _, level = np.polyfit(np.log(range(2, 8)), np.log(means[1:]), 1)
    return float(means[0] / np.exp(level))


def test_the_ratio_equals_a_loop_and_its_error_shrinks_with_the_rows():
    for scores in (pairs(60, 50, 4.0), pairs(60, 50, 0.0, hubs=2.0), np.tanh(pairs(60, 50, 2.0))):
        assert lead_of_rows(DenseScores(scores)).ratio == pytest.approx(naive_ratio(scores), rel=1e-4)
    errors = [lead_of_rows(DenseScores(pairs(size, size, 4.0))).error for size in (40, 160, 640)]
    assert errors[0] > 1.4 * errors[1] > 1.8 * errors[2]


@pytest.mark.parametrize(
    "bend", [lambda s: s, lambda s: np.tanh(s / 2), np.exp, lambda s: np.sqrt(np.maximum(s, 0)), lambda s: -np.exp(-s)]
)
def test_without_partners_the_ratio_is_one_whatever_end_scores_have(bend):
    found = [lead_of_rows(DenseScores(bend(pairs(300, 300, 0.0, seed)))) for seed in range(8)]
    errors = [(lead.ratio - 1) / lead.error for lead in found]
    assert abs(np.mean(errors)) < 1
    assert np.mean([lead.sure for lead in found]) < 0.25


def test_the_error_is_what_the_ratio_varies_by():
    found = [lead_of_rows(DenseScores(pairs(150, 150, 2.0, seed))) for seed in range(60)]
    assert np.std([lead.ratio for lead in found]) == pytest.approx(np.mean([lead.error for lead in found]), rel=0.3)


def test_a_few_hubs_do_not_hide_who_belongs_to_whom():
    random = np.random.default_rng(0)
    wrong = random.normal(size=(300, 300)) * np.where(np.arange(300) % 12, 1, 4)
    found = partners_of(DenseScores(wrong + 6 * np.eye(300)))
    assert min(found.each_item, found.pairs) > 0.9


def test_one_class_that_is_asked_for_gives_items_no_query_of_their_own():
    random = np.random.default_rng(0)
    things = random.normal(size=(600, 12))
    things[:200] = 0.6 * things[:200] + 2 * random.normal(size=12)
    queries = things[:100] + 0.4 * random.normal(size=(100, 12))
    assert partners_of(DenseScores(queries @ things[100:].T)).each_item < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_items_that_all_have_their_query_are_told_from_those_that_have_not(seed):
    assert partners_of(DenseScores(pairs(150, 150, 6.0, seed))).each_item > 0.9
    assert partners_of(DenseScores(pairs(400, 60, 6.0, seed))).each_item < 0.75
    assert partners_of(DenseScores(pairs(150, 150, 0.0, seed))).each_item < 0.5


@pytest.mark.parametrize("asked", [5, 40])
def test_a_query_that_scores_high_everywhere_is_no_partner(asked):
    scores = pairs(300, asked, 0.0)
    scores[0] += 8
    assert partners_of(DenseScores(scores)).each_item < 0.5
    assert lead_of_rows(DenseScores(scores.T)).sure < 0.5


def test_several_queries_of_one_item_are_told():
    random = np.random.default_rng(0)
    scores = random.normal(size=(200, 200)) + 6 * (np.arange(200)[:, None] // 4 == np.arange(200))
    found = partners_of(DenseScores(scores))
    assert found[:3] == (0.0, 1.0, 0.0)


def test_scale_shift_and_order_do_not_matter():
    scores = pairs(80, 80, 3.0, hubs=1)
    expected = partners_of(DenseScores(scores))
    order = np.random.default_rng(1).permutation(80)
    for other in (scores * 1e-3 - 40, scores * 64, scores[order], scores[:, order]):
        assert partners_of(DenseScores(other)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scores", [np.ones((9, 9)), np.eye(3), pairs(1, 9, 1.0), pairs(9, 1, 1.0)])
def test_nothing_is_told_where_there_is_nothing_to_tell(scores):
    assert partners_of(DenseScores(scores))[:3] == (0.0, 0.0, 0.0)


def test_lists_tell_nothing():
    whole = Problem(pairs(80, 80, 5.0)).ranking(10)
    found = partners_of(Problem.from_rankings(whole.indices, whole.scores, 80).scores)
    assert found._replace(certain=0.0) == Partners(0.0, 0.0, 0.0)


def test_of_a_large_matrix_some_rows_are_read(monkeypatch):
    scores = DenseScores(pairs(300, 300, 6.0))
    whole = lead_of_rows(scores)
    monkeypatch.setattr("rerankit.stages.hubness.partners._CELLS", 300 * 100)
    some = lead_of_rows(scores)
    assert some.error > whole.error
    assert some.ratio == pytest.approx(whole.ratio, rel=0.3)
    assert some.sure == 1


def test_sureness_grows_from_none_at_an_error_to_all_at_two():
    assert [Lead(ratio, 0.1, 0.5).sure for ratio in (0.9, 1.1, 1.15, 1.2, 3.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert Lead(2.0, np.inf, 0.5).sure == 0
    assert Lead(2.0, 0.1, 0.46, 0.02).sure == 0, "a few rows far ahead are not enough"
    assert Lead(0.8, 0.06, 0.4).behind(Lead(1.1, 0.08, 0.5), 2) == pytest.approx(1.0)
    assert Lead(0.8, 0.06, 0.4).behind(Lead(1.1, 0.08, 0.5), 4) == 0
    assert Lead(1.1, 0.08, 0.5).behind(Lead(0.8, 0.06, 0.4), 2) == 0


@pytest.mark.parametrize("asked", [60, 150, 300])
def test_coverage_is_the_share_of_items_that_may_have_been_asked_for(asked):
    found = [partners_of(DenseScores(pairs(300, asked, 8.0, seed))).each_item for seed in range(5)]
    assert asked / 300 - 0.1 < np.mean(found) < asked / 300 + 0.25


def test_every_item_of_a_batch_gets_its_share_where_each_was_asked_for():
    scores = pairs(300, 300, 4.0, hubs=1.5)
    careful, sure = (stage("sinkhorn", cells_kept=kept) for kept in (None, 300))
    for made in (careful, sure):
        found = rerankit.rerank(scores, made, k=50)
        assert found.notes["sinkhorn"]["each_item"] > 0.9
        assert np.mean(found.indices[:, 0] == np.arange(300)) > 0.8


@pytest.mark.parametrize("name", ["nnn", "csls", "inverted-softmax", "sinkhorn", "mutual-rank"])
def test_the_spread_of_a_bank_is_found_once(name, monkeypatch):
    from rerankit.stages.hubness import spread

    found, best_of = [], spread._best_of
    monkeypatch.setattr(spread, "_best_of", lambda scores: found.append(scores.shape) or best_of(scores))
    random = np.random.default_rng(0)
    query, items, bank = (random.normal(size=(count, 8)) for count in (1, 60, 40))
    rerankit.rerank(Problem.from_embeddings(query, items, query_bank=bank), name, k=5)
    assert found == [(40, 60)]
