from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rerankit
from rerankit import Bank, DenseScores, EmbeddingScores, Problem, prepare
from rerankit.gallery import Gallery
from rerankit.stages.hubness.partners import evenly_asked, lead_of_chosen_rows, partners_of
from rerankit.stages.hubness.popularity import asked_evenly, sure_of

FAMILY = (
    "sinkhorn",
    "nnn",
    "csls",
    "inverted-softmax",
    "dual-softmax",
    "qb-norm",
    "mutual-rank",
    "mutual-neighbours",
)


def asked(popularity: float, queries: int = 300, items: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of queries that each want one item, and which: some items are wanted more often than others."""
    random = np.random.default_rng(seed)
    things = random.normal(size=(items, 32)) + 0.7 * random.normal(size=32)
    chances = np.arange(1, items + 1.0) ** -popularity
    wanted = random.choice(items, size=queries, p=chances / chances.sum())
    found = things[wanted] + 1.2 * random.normal(size=(queries, 32))
    unit = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (found, things)]
    return (unit[0] @ unit[1].T).astype(np.float32), wanted


def naive_sure(leads: np.ndarray) -> list[float]:
    """Of each lead, the least share that is by chance among those that are at least so large, taken from one."""
    small = sum(np.exp(-lead) > 0.5 for lead in leads)
    chance = min(1.0, 2 * (small + 1) / len(leads))
    wrong = [chance * np.exp(-lead) * len(leads) / sum(leads >= lead) for lead in leads]
    return [1 - min(1.0, min(w for w, other in zip(wrong, leads, strict=True) if other <= lead)) for lead in leads]


def naive_evenly(first: np.ndarray, leads: np.ndarray, items: int) -> float:
    sure = naive_sure(leads)
    pairs = [(i, j) for i in range(len(first)) for j in range(i)]
    there_are = sum(sure[i] * sure[j] for i, j in pairs if first[i] == first[j])
    by_chance = sum(sure[i] * sure[j] for i, j in pairs) / items
    return min(1.0, (1.5 * by_chance + 1) / (max(0.0, there_are - 2 * np.sqrt(there_are + 1)) + 1))


@given(st.lists(st.floats(0.0, 20.0), min_size=25, max_size=40, unique=True), st.integers(1, 9), st.integers(0, 99))
def test_meetings_equal_counting_pairs(leads, items, seed):
    first = np.random.default_rng(seed).integers(items, size=len(leads))
    sure = sure_of(np.array(leads))
    np.testing.assert_allclose(sure, naive_sure(np.array(leads)), atol=1e-9)
    assert asked_evenly(first, sure, items) == pytest.approx(naive_evenly(first, np.array(leads), items))


@pytest.mark.parametrize("seed", range(3))
def test_popular_items_are_told_from_hubs(seed):
    evenly = [partners_of(DenseScores(asked(power, seed=seed)[0])).evenly for power in (0.0, 1.0)]
    assert evenly[0] > 0.8 > 0.5 > evenly[1]
    random = np.random.default_rng(seed)
    hubs = random.normal(size=(300, 300)) + 2 * random.normal(size=300)
    assert (
        evenly_asked(DenseScores(hubs), answered=False) > 0.9
    )  # nobody is sure: hubs everywhere, and all of it chance
    assert evenly_asked(DenseScores(hubs + 8 * np.eye(300)), answered=True) == 1


@pytest.mark.parametrize("length", [10, 40])
def test_lists_tell_popular_items_too(length):
    evenly = []
    for power in (0.0, 1.0):
        first = Problem(asked(power)[0]).ranking(length)
        lists = Problem.from_rankings(first.indices, first.scores, 300).scores
        found = partners_of(lists)
        assert found[:3] == (0.0, 0.0, 0.0)
        assert evenly_asked(lists, answered=False) <= evenly_asked(lists, answered=True) == found.evenly
        evenly.append(found.evenly)
    assert evenly[0] > 0.7 > 0.5 > evenly[1]


@pytest.mark.parametrize("length", [30, 100])
def test_in_lists_too_hubs_are_not_popular_where_each_item_has_its_query(length):
    random = np.random.default_rng(10)
    wrong = random.normal(size=(300, 300))
    wrong *= np.where(
        random.random(300) < 0.02, 6, 1
    )  # a few items come first by far, now for this query, now for that
    first = Problem(wrong + 6 * np.eye(300)).ranking(length)
    lists = Problem.from_rankings(first.indices, first.scores, 300).scores
    assert evenly_asked(lists, answered=False) < 0.4
    assert evenly_asked(lists, answered=True) == partners_of(lists).evenly > 0.8


def test_lists_that_list_everything_tell_what_matrices_tell():
    scores = asked(1.0)[0]
    first = Problem(scores).ranking(300)
    lists = Problem.from_rankings(first.indices, first.scores, 300).scores
    assert partners_of(lists) == pytest.approx(partners_of(DenseScores(scores)), abs=1e-4)


def test_a_few_queries_show_nothing():
    scores = np.zeros((10, 50), np.float32)
    scores[:, 3] = 9
    assert evenly_asked(DenseScores(scores + np.random.default_rng(0).random(scores.shape)), answered=False) == 1


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("bank", [False, True], ids=["queries", "bank"])
def test_popular_items_do_not_lose_their_queries(name, bank, monkeypatch):
    scores, wanted = asked(1.0, queries=600)
    problem = Problem(scores[300:], query_bank=Bank(to_gallery=scores[:300]) if bank else None)

    def right() -> float:
        return float(np.mean(rerankit.rerank(problem, name, k=50).indices[:, 0] == wanted[300:]))

    before = float(np.mean(problem.ranking(1).indices[:, 0] == wanted[300:]))
    after = right()
    monkeypatch.setattr("rerankit.stages.hubness.leads.asked_evenly", lambda *given: 1.0)
    assert after > before - 0.13
    assert after > right()


@pytest.mark.parametrize("name", FAMILY)
def test_what_is_prepared_knows_of_popular_items(name, tmp_path):
    scores, _ = asked(1.0, queries=600)
    problem = Problem(scores[300:], query_bank=Bank(to_gallery=scores[:300]))
    ready = prepare(name, Gallery.from_scores(bank=problem.query_bank))
    ready.save(tmp_path / "ready")
    expected = rerankit.rerank(problem, name, k=50)
    for one in (ready, rerankit.load(tmp_path / "ready")):
        np.testing.assert_array_equal(one.rerank(scores=scores[300:], k=50).indices, expected.indices)


def labelled(labels: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores (1000, labels) of queries that are nearly all sure of their label, and which that is."""
    random = np.random.default_rng(5)
    shares = np.arange(1.0, labels + 1) ** -power
    wanted = random.choice(labels, 1000, p=shares / shares.sum())
    centres = random.normal(size=(labels, 32))
    queries = centres[wanted] + random.normal(size=(1000, 32))
    return EmbeddingScores(queries, centres).rows(), wanted


@pytest.mark.parametrize("bank", [False, True])
@pytest.mark.parametrize("name", ["sinkhorn", "inverted-softmax", "nnn", "csls", "mutual-rank", "mutual-neighbours"])
def test_of_a_few_classes_nothing_is_taken(name, bank):
    scores, _ = labelled(5, 1.0)
    problem = Problem(scores[:100], query_bank=Bank(to_gallery=scores[100:])) if bank else Problem(scores)
    assert np.array_equal(rerankit.rerank(problem, name, k=5).indices[:, 0], problem.ranking(1).indices[:, 0])
    lists = Problem.from_rankings(*(part[:, :4] for part in (problem.ranking().indices, problem.ranking().scores)), 5)
    assert evenly_asked(lists.scores, answered=True) == evenly_asked(DenseScores(scores), answered=False) == 0


@pytest.mark.parametrize("name", ["sinkhorn", "inverted-softmax", "nnn", "csls", "mutual-rank", "mutual-neighbours"])
@pytest.mark.parametrize(("labels", "power"), [(200, 0.0), (50, 1.0), (50, 2.0)])
def test_queries_that_are_sure_of_their_label_keep_it(name, labels, power):
    scores, wanted = labelled(labels, power)
    before = np.mean(scores.argmax(axis=1) == wanted)
    after = np.mean(rerankit.rerank(scores, name, k=20).indices[:, 0] == wanted)
    assert before > 0.95
    assert after > before - 0.065


def test_rows_that_two_columns_choose_do_not_lead():
    random = np.random.default_rng(0)
    texts = random.normal(size=(400, 100)) + 6 * (np.arange(400)[:, None] // 4 == np.arange(100))
    few = texts[:, :30]
    assert lead_of_chosen_rows(DenseScores(texts)).sure == 1
    assert lead_of_chosen_rows(DenseScores(few)).sure == 1  # most rows have no column of theirs here
    assert lead_of_chosen_rows(DenseScores(texts[:, np.repeat(np.arange(30), 3)])).sure == 0
