from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import DenseScores, Problem, stage
from rerankit.stages.hubness.partners import Lead, lead_of_rows, partners_of


def pairs(items: int, asked: int, lead: float, seed: int = 0, hubs: float = 0.0) -> np.ndarray:
    """Scores (asked, items) of queries that each have one item of their own."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(asked, items)) + hubs * random.normal(size=items)
    return scores + lead * np.eye(asked, items)


def naive_ratio(scores: np.ndarray) -> float:
    above = scores - scores.mean(axis=0)
    first, behind = [], []
    for row in above:
        one, two, three, four = sorted(row, reverse=True)[:4]
        first.append(one - two)
        behind.append((2 * (two - three) + 3 * (three - four)) / 2)
    return float(np.mean(first) / np.mean(behind))


def test_the_ratio_equals_a_loop_and_its_error_shrinks_with_the_rows():
    scores = pairs(60, 50, 4.0)
    assert lead_of_rows(DenseScores(scores)).ratio == pytest.approx(naive_ratio(scores), rel=1e-4)
    errors = [lead_of_rows(DenseScores(pairs(size, size, 4.0))).error for size in (40, 160, 640)]
    assert errors[0] > 1.4 * errors[1] > 1.8 * errors[2]


@pytest.mark.parametrize("seed", range(4))
def test_items_that_all_have_their_query_are_told_from_those_that_have_not(seed):
    assert partners_of(DenseScores(pairs(150, 150, 6.0, seed))).each_item > 0.9
    assert partners_of(DenseScores(pairs(400, 60, 6.0, seed))).each_item < 0.5
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
    assert partners_of(DenseScores(scores)) == (0.0, 0.0, 0.0, 1.0)


def test_lists_tell_nothing():
    whole = Problem(pairs(80, 80, 5.0)).ranking(10)
    assert partners_of(Problem.from_rankings(whole.indices, whole.scores, 80).scores) == (0.0, 0.0, 0.0, 1.0)


def test_of_a_large_matrix_some_rows_are_read(monkeypatch):
    scores = DenseScores(pairs(300, 300, 6.0))
    whole = lead_of_rows(scores)
    monkeypatch.setattr("rerankit.stages.hubness.partners._CELLS", 300 * 100)
    some = lead_of_rows(scores)
    assert some.error > whole.error
    assert some.ratio == pytest.approx(whole.ratio, rel=0.3)
    assert some.sure == 1


def test_sureness_grows_from_none_at_a_ratio_of_one():
    assert [Lead(ratio, 0.1, 0.5).sure for ratio in (0.9, 1.0, 1.1, 1.2, 3.0)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert Lead(2.0, np.inf, 0.5).sure == 0
    assert Lead(0.8, 0.06, 0.4).behind(Lead(1.1, 0.08, 0.5)) == pytest.approx(1.0)
    assert Lead(0.9, 0.06, 0.4).behind(Lead(1.1, 0.08, 0.5)) == 0
    assert Lead(1.1, 0.08, 0.5).behind(Lead(0.8, 0.06, 0.4)) == 0


def test_coverage_is_the_share_of_items_that_were_asked_for():
    for asked in (60, 150, 300):
        found = [partners_of(DenseScores(pairs(300, asked, 8.0, seed))).each_item for seed in range(5)]
        assert np.mean(found) == pytest.approx(asked / 300, abs=0.12)


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
