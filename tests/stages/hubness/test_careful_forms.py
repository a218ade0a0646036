"""The stages' own forms against loops in float64, and what they promise: scale, shift, lists, few queries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import rerankit
from rerankit import Bank, DenseScores, ListScores, Looks, Problem, Relevance, evaluate, settings, stage
from rerankit.errors import RerankitWarning, UnmetNeedError
from rerankit.stages.hubness.claims import ListClaims, MatrixClaims
from rerankit.stages.hubness.evidence import trusted_top_means
from rerankit.stages.hubness.highest import column_top
from rerankit.stages.hubness.spread import absent_levels, fall_of, spread
from strategies import distinct

BETA = 4.0
FAMILY = ["sinkhorn", "inverted-softmax", "qb-norm", "dual-softmax", "nnn", "csls", "mutual-rank", "mutual-neighbours"]


def shares(scores: np.ndarray, shift: np.ndarray, beta: float = BETA) -> np.ndarray:
    """Each row's softmax of β s + shift, one by one."""
    powers = [[np.exp(beta * (s - max(row)) + g) for s, g in zip(row, shift, strict=True)] for row in scores]
    return np.array([[one / sum(row) for one in row] for row in powers])


def claimed(scores: np.ndarray) -> np.ndarray:
    rows, items = scores.shape
    return -np.log(shares(scores, np.zeros(items)).sum(axis=0) + 0.1 * max(1, items / rows))


def placed(scores: np.ndarray, rounds: int, same: bool, beta: float) -> np.ndarray:
    rows, items = scores.shape
    room = max(1, items / rows)
    first = 1 / (1 - min(rows / items / room, 0.995)) if same else 1
    shift = np.zeros(items)
    for turn in range(rounds):
        received = shares(scores, shift, beta).sum(axis=0) / np.exp(shift) * (first if turn == 0 else 1)
        shift = -np.log(1 + received / room)
    return shift / beta


def problem_of(scores: np.ndarray, bank: np.ndarray | None) -> Problem:
    return Problem(scores, query_bank=None if bank is None else Bank(to_gallery=bank))


@pytest.mark.parametrize("shape", [(7, 7), (3, 9), (9, 4)])
@pytest.mark.parametrize("with_bank", [False, True], ids=["queries", "bank"])
def test_the_softmax_stages_equal_loops(shape, with_bank):
    scores, bank = distinct(*shape), distinct(6, shape[1], seed=1) if with_bank else None
    others = scores if bank is None else bank
    problem = problem_of(scores, bank)
    ranking = problem.ranking()
    expected = {
        "inverted-softmax": scores + claimed(others) / BETA,
        "sinkhorn": scores + placed(others, 10, bank is None, BETA / 2 if bank is None else BETA),
    }
    for name, values in expected.items():
        found = stage(name, beta=BETA).rescore(problem, ranking)
        np.testing.assert_allclose(found, np.take_along_axis(values, ranking.indices, axis=1), atol=1e-5)
    halved = scores + (
        -np.log(shares(others, np.zeros(shape[1])).sum(axis=0) + 0.01 * max(1, shape[1] / len(others)))
    ) / (2 * BETA)
    halved -= np.log(np.exp(BETA * scores).mean(axis=1, keepdims=True)) / (2 * BETA)
    found = stage("dual-softmax", beta=BETA).rescore(problem, ranking)
    np.testing.assert_allclose(found, np.take_along_axis(halved, ranking.indices, axis=1), atol=1e-5)


def trusted(lowered: np.ndarray, k: int) -> tuple[float, np.ndarray]:
    """Mean level and trust by leaving queries out one by one."""
    rows, items = lowered.shape
    levels, noise = np.empty(items), np.empty(items)
    for item in range(items):
        column = sorted(lowered[:, item], reverse=True)
        levels[item] = np.mean(column[:k])
        without = [np.mean(sorted(np.delete(lowered[:, item], row), reverse=True)[:k]) for row in range(rows)]
        noise[item] = (rows - 1) / rows * sum((one - np.mean(without)) ** 2 for one in without)
    noise *= 2 * ((rows + 2) / (rows - 1)) ** 2
    real = max(0.0, levels.var() - noise.mean())
    return levels.mean(), real / (real + noise)


@pytest.mark.parametrize("k", [1, 3])
def test_nnn_and_csls_equal_leaving_queries_out(k):
    scores = (distinct(12, 9) + 0.8 * np.random.default_rng(3).normal(size=9)).astype(np.float32)
    problem = Problem(scores)
    ranking = problem.ranking()
    lowered = scores.astype(np.float64) - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    mean, trust = trusted(lowered, k)
    assert trust.max() > 0.1
    levels = np.empty(scores.shape)
    for query, item in np.ndindex(*scores.shape):
        others = np.delete(lowered[:, item], query)
        levels[query, item] = mean + trust[item] * (np.mean(sorted(others, reverse=True)[:k]) - mean)
    near = np.sort(scores, axis=1)[:, -k:].mean(axis=1, keepdims=True)
    for made, values in (
        (stage("nnn", neighbours=k, alpha=0.5), scores - 0.5 * levels),
        (stage("csls", neighbours=k), 2 * scores - levels - near),
    ):
        expected = np.take_along_axis(values, ranking.indices, axis=1)
        np.testing.assert_allclose(made.rescore(problem, ranking), expected, atol=1e-5)


def test_levels_that_are_chance_are_not_trusted():
    noise = np.random.default_rng(0).normal(size=(40, 300)).astype(np.float32)
    hubs = noise + 2 * np.random.default_rng(1).normal(size=300).astype(np.float32)
    for values, least, most in ((noise, 0.0, 0.2), (hubs, 0.8, 1.0)):
        found = trusted_top_means(column_top(DenseScores(values), 6), 5, 40)
        assert least <= found.trust.mean() <= most


@pytest.mark.parametrize("name", ["nnn", "csls"])
def test_a_bank_of_one_query_tells_of_no_hubs(name):
    random = np.random.default_rng(0)
    problem = problem_of(random.normal(size=(5, 40)), random.normal(size=(1, 40)))
    found = rerankit.rerank(problem, name, k=40)
    assert found.notes[name]["trust"] == 0
    assert np.array_equal(found.indices, problem.ranking(40).indices)


@pytest.mark.parametrize("bank", [False, True])
def test_mutual_ranks_equal_counting(bank):
    scores, others = distinct(5, 6), distinct(9, 6, seed=1) if bank else distinct(5, 6)
    problem = problem_of(scores, others if bank else None)
    ranking = problem.ranking()
    own, theirs = (one - one.mean(axis=1, keepdims=True) for one in (scores, others))
    many = max(1, len(others) / 6)
    ranks, places = np.empty(scores.shape), np.empty(scores.shape)
    for query, item in np.ndindex(*scores.shape):
        forward = 1 + sum(scores[query] > scores[query, item])
        backward = 1 + sum(theirs[:, item] > own[query, item])
        ranks[query, item] = -np.log(forward + 3) - 0.5 * np.log(backward + 3 * many)
        places[query, item] = -(min(forward, 4) + min(backward / many, 4)) - forward / 14
    for made, values in ((stage("mutual-rank", weight=0.5), ranks), (stage("mutual-neighbours", neighbours=3), places)):
        expected = np.take_along_axis(values, ranking.indices, axis=1)
        np.testing.assert_allclose(made.rescore(problem, ranking), expected, atol=1e-5)


def crowded(seed: int = 0) -> tuple[Problem, np.ndarray]:
    """Pairs in 25 clusters, far apart, in which many items are about as near as the nearest."""
    random = np.random.default_rng(seed)
    things = 2 * random.normal(size=(25, 16))[np.arange(500) % 25] + 0.6 * random.normal(size=(500, 16))
    queries, items = (things + 0.5 * random.normal(size=things.shape) for _ in range(2))
    return Problem.from_embeddings(queries, items), np.arange(500)


def test_rows_whose_first_ones_crowd_are_less_steep():
    values = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    assert fall_of(DenseScores(values)).steepness == 1.0
    ends = np.where(values > 2, 2 + (values - 2) / 10, values)
    found = fall_of(DenseScores(ends))
    best = -np.sort(-ends.astype(np.float64), axis=1)
    slope = np.median(best[:, 1] - best[:, 5]) / (norm.ppf(1 - 1.625 / 400.25) - norm.ppf(1 - 5.625 / 400.25))
    assert found.steepness == pytest.approx(1.2 * slope / found.spread, rel=1e-5)
    assert fall_of(DenseScores(7 * ends - 30)).steepness == pytest.approx(found.steepness, rel=1e-4)
    top = Problem(ends).ranking(100)
    assert fall_of(ListScores(top.indices, top.scores, 400)).steepness == pytest.approx(found.steepness)
    assert fall_of(DenseScores(ends[:, :16])).steepness == 1.0, "of few items nothing is told"


@pytest.mark.parametrize("name", ["sinkhorn", "inverted-softmax", "qb-norm", "dual-softmax", "nnn", "csls", "plan"])
def test_where_many_items_are_about_as_near_nothing_is_lost(name):
    problem, right = crowded()
    before, after = (
        np.mean(ranking.indices[:, 0] == right)
        for ranking in (problem.ranking(10), rerankit.rerank(problem, name, k=10))
    )
    assert after > before


@pytest.mark.parametrize(("name", "most"), [("nnn", 0.08), ("csls", 0.06), ("sinkhorn", 0.03)])
def test_on_a_curve_little_is_lost(name, most):
    random = np.random.default_rng(0)
    things = np.exp(random.normal(size=(500, 3)))
    queries, items = (things * np.exp(0.1 * random.normal(size=things.shape)) for _ in range(2))
    problem = Problem.from_embeddings(queries, items)
    before, after = (
        np.mean(ranking.indices[:, 0] == np.arange(500))
        for ranking in (problem.ranking(10), rerankit.rerank(problem, name, k=10))
    )
    assert after > before - most


@pytest.mark.parametrize("name", FAMILY)
@given(times=st.sampled_from([1e-3, 0.01, 7.0, 1e4]), plus=st.sampled_from([-3.0, 0.0, 0.5, 100.0]))
def test_scale_and_shift_change_no_order(name, times, plus):
    scores = np.random.default_rng(0).normal(size=(30, 40)) + np.eye(30, 40)
    found, expected = (rerankit.rerank(given, name) for given in (scores * times + plus * times, scores))
    assert np.mean(found.indices == expected.indices) > 0.99  # float32 rounds the shifted scores


@pytest.mark.parametrize("name", FAMILY)
def test_masked_pairs_change_nothing_for_the_others(name):
    scores = (np.random.default_rng(0).normal(size=(40, 60)) + 3 * np.eye(40, 60)).astype(np.float32)
    masked = scores.copy()
    masked[np.arange(40), np.arange(40)[::-1]] = -1e9
    relevance = Relevance.from_lists([[query] for query in range(40)], 60)
    for matrix in (scores, masked):
        found = evaluate(rerankit.rerank(matrix, name), relevance, ["success@1"])["success@1"]
        assert found >= evaluate(Problem(matrix).ranking(), relevance, ["success@1"])["success@1"] - 0.025


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("name", FAMILY)
def test_one_query_alone_is_refused_or_keeps_its_order_and_says_why(name, published):
    scores = distinct(1, 50)
    with pytest.raises(UnmetNeedError, match=r"needs other_queries: give a bank of queries .* lone='pass'"):
        rerankit.rerank(scores, name, published=published)
    alone = rerankit.rerank(scores, name, published=published, lone="pass")
    assert alone == Problem(scores).ranking()
    assert "no other queries" in alone.notes[name]["note"]
    assert alone.notes["looks_at"] == Looks()
    several = distinct(5, 50)
    assert rerankit.rerank(several, name, lone="pass") == rerankit.rerank(several, name)
    banked = Problem(scores, query_bank=Bank(to_gallery=distinct(9, 50, seed=1)))
    assert rerankit.rerank(banked, name, lone="pass") == rerankit.rerank(banked, name)


def test_one_query_keeps_the_order_of_the_stage_in_front():
    problem = Problem(distinct(1, 6))
    first = problem.ranking().with_scores(-problem.ranking().scores)
    for name in ("sinkhorn", "csls", "nnn", "inverted-softmax"):
        assert np.array_equal(stage(name, lone="pass").rerank(problem, first).indices, first.indices)


def test_equal_shares_of_far_scores_do_not_overflow():
    for rows in (2, 5):
        with pytest.warns(RerankitWarning, match="too small for a number"):
            found = rerankit.rerank(1e4 * distinct(rows, 7), "sinkhorn", published=True, beta=5.0)
        assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("queries", [2, 4, 16, 64])
@pytest.mark.parametrize("name", FAMILY)
def test_small_batches_lose_nothing(name, queries):
    random = np.random.default_rng(0)
    gains = []
    for _ in range(max(4, 100 // queries)):
        scores = random.normal(size=(queries, 300)) + 0.5 * random.normal(size=300)
        right = random.integers(0, 300, queries)
        scores[np.arange(queries), right] += 3
        relevance = Relevance.from_lists([[int(item)] for item in right], 300)
        after, before = (
            evaluate(one, relevance, ["success@1"])["success@1"]
            for one in (rerankit.rerank(scores, name), Problem(scores).ranking(10))
        )
        gains.append((after - before) * queries)
    assert sum(gains) / (len(gains) * queries) > -0.005


@pytest.mark.parametrize("shift", [False, True])
def test_claims_of_lists_are_those_of_the_matrix_with_absent_pairs_at_their_level(shift):
    scores = distinct(8, 11)
    whole = Problem(scores).ranking(4)
    lists = ListScores(whole.indices, whole.scores, 11)
    levels = absent_levels(lists, spread(lists))
    filled = np.where(np.isfinite(lists.rows()), lists.rows(), levels[:, None]).astype(np.float32)
    given_shift = np.random.default_rng(0).normal(size=11) if shift else None
    found, expected = (
        one.of(given_shift) for one in (ListClaims(lists, levels, BETA), MatrixClaims(DenseScores(filled), BETA))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found.sum() == pytest.approx(8)


def test_absent_pairs_stand_at_the_mean_of_what_normal_lists_leave_out():
    values = np.random.default_rng(0).normal(size=(200, 1000)).astype(np.float32) * 3
    best = Problem(values).ranking(50)
    lists = ListScores(best.indices, best.scores, 1000)
    rest = (values.sum(axis=1) - best.scores.sum(axis=1)) / 950
    np.testing.assert_allclose(absent_levels(lists, 3.0).mean(), rest.mean(), atol=0.05)
    assert spread(lists) == pytest.approx(spread(DenseScores(values)), rel=1e-6)
    assert (absent_levels(ListScores([[1, 0]], [[1, 0]], 2), 1.0) == -np.inf).all()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_spread_of_normal_scores_is_their_deviation(scale):
    values = (np.random.default_rng(0).normal(size=(300, 500)) * scale).astype(np.float32)
    assert spread(DenseScores(values)) == pytest.approx(scale, rel=0.1)
    assert norm.ppf(0.5) == 0


def test_the_spread_feels_no_order_no_mask_and_no_offset_of_rows():
    random = np.random.default_rng(0)
    values = random.normal(size=(3000, 80)).astype(np.float32)
    expected = spread(DenseScores(values))
    rows, columns = random.permutation(3000), random.permutation(80)
    assert spread(DenseScores(values[rows][:, columns])) == expected
    moved = values + 8 * np.arange(3000, dtype=np.float32)[:, None]
    assert spread(DenseScores(moved)) == pytest.approx(expected, rel=0.1)
    masked = values.copy()
    masked[random.random(values.shape) < 0.05] = -1e9
    assert spread(DenseScores(masked)) == pytest.approx(expected, rel=0.1)
    assert spread(DenseScores(np.ones((5, 5)))) == 0


@pytest.mark.parametrize("name", FAMILY)
def test_scores_that_are_all_alike_keep_the_order_in_which_they_came(name):
    found = rerankit.rerank(np.ones((4, 6)), name)
    np.testing.assert_array_equal(found.indices, np.tile(np.arange(6), (4, 1)))


@pytest.mark.parametrize("name", FAMILY)
def test_memory_budget_changes_nothing(name):
    scores = distinct(70, 300)
    expected = rerankit.rerank(scores, name)
    with settings.using(memory_budget=1):
        assert rerankit.rerank(scores, name) == expected


@pytest.mark.parametrize("name", ["sinkhorn", "inverted-softmax", "dual-softmax", "qb-norm"])
def test_the_number_used_is_noted(name):
    notes = rerankit.rerank(distinct(20, 30), name).notes[name]
    assert notes["beta"] > 0
    assert rerankit.rerank(distinct(20, 30), name, beta=3).notes[name]["beta"] == 3


def test_few_cells_of_a_matrix_come_near_all():
    random = np.random.default_rng(0)
    scores = random.normal(size=(300, 300)) + 2.5 * np.eye(300) + 0.7 * random.normal(size=300)
    relevance = Relevance.from_dense(np.eye(300))
    base, few, every = (
        evaluate(one, relevance, ["success@1"])["success@1"]
        for one in (
            Problem(scores).ranking(10),
            rerankit.rerank(scores, "sinkhorn", cells_kept=20),
            rerankit.rerank(scores, "sinkhorn"),
        )
    )
    assert every > base + 0.1
    assert few > every - 0.05
