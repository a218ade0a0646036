"""The hubness family against formulas written cell by cell: inverted-softmax, qb-norm, dual-softmax, dual-is, csls,
nnn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from scipy.special import ndtri

import rerankit
from rerankit import Bank, DenseScores, ListScores, Looks, Problem, Ranking, settings, stage
from rerankit.errors import InputError, StageError, UnmetNeedError
from rerankit.scores.products import Products
from rerankit.stages.hubness.frame import frame_and_highest, frame_of
from rerankit.stages.hubness.highest import column_top, column_top_mean
from rerankit.stages.hubness.passes import column_softmax_level, row_softmax_level
from rerankit.stages.hubness.spread import absent_levels, normal_quantiles, spread
from rerankit.stages.hubness.stage import HubnessStage
from strategies import VALUES, distinct, full_problem, matrices

BETA = 3.0


def level(column: np.ndarray, beta: float = BETA) -> float:
    return float(np.log(np.mean(np.exp(beta * column.astype(np.float64)))) / beta)


def nearest(values: np.ndarray, k: int) -> float:
    return float(np.mean(sorted(values.tolist(), reverse=True)[:k]))


def inverted(scores, others):
    return [[s - level(others[:, j]) for j, s in enumerate(row)] for row in scores]


def dual(scores, others):
    return [[s - level(others[:, j]) / 2 - level(row) / 2 for j, s in enumerate(row)] for row in scores]


def csls(scores, others):
    return [[2 * s - nearest(others[:, j], 2) - nearest(row, 2) for j, s in enumerate(row)] for row in scores]


def nnn(scores, others):
    return [[s - 0.5 * nearest(others[:, j], 2) for j, s in enumerate(row)] for row in scores]


def qb_norm(scores, others):
    favourites = {int(np.argmax(row)) for row in others}
    corrected = inverted(scores, others)
    return [corrected[i] if int(np.argmax(row)) in favourites else row.tolist() for i, row in enumerate(scores)]


FAMILY = [
    (stage("inverted-softmax", beta=BETA, published=True), inverted),
    (stage("qb-norm", beta=BETA, published=True), qb_norm),
    (stage("dual-softmax", beta=BETA, published=True), dual),
    (stage("csls", neighbours=2, published=True), csls),
    (stage("nnn", neighbours=2, alpha=0.5, published=True), nnn),
]
NAMES = [one.name for one, _ in FAMILY]


def test_repr():
    assert repr(stage("nnn", alpha=1)) == "stage('nnn', alpha=1.0)"


@pytest.mark.parametrize(("one", "naive"), FAMILY, ids=NAMES)
@given(scores=matrices(elements=VALUES))
def test_equals_the_formula_among_the_test_queries(one, naive, scores):
    assume(len(scores) > 1)
    ranking = Problem(scores).ranking()
    expected = np.take_along_axis(np.float64(naive(scores, scores)), ranking.indices, axis=1)
    np.testing.assert_allclose(one.rescore(Problem(scores), ranking), expected, atol=2e-5)


@pytest.mark.parametrize(("one", "naive"), FAMILY, ids=NAMES)
def test_equals_the_formula_with_a_bank(one, naive):
    scores, bank = distinct(5, 6), distinct(7, 6, seed=1)
    problem = Problem(scores, query_bank=Bank(to_gallery=bank))
    ranking = problem.ranking(4)
    expected = np.take_along_axis(np.float64(naive(scores, bank)), ranking.indices, axis=1)
    np.testing.assert_allclose(one.rescore(problem, ranking), expected, atol=2e-5)
    assert one.looks_at(problem) == Looks(bank=True)
    assert one.clone(bank="queries").looks_at(problem) == Looks(queries=True)
    alone = rerankit.rerank(problem.subset(queries=[3]), one, k=4)
    np.testing.assert_array_equal(alone.indices[0], rerankit.rerank(problem, one, k=4).indices[3])


@pytest.mark.parametrize("one", [one for one, _ in FAMILY], ids=NAMES)
def test_full_lists_equal_the_matrix_and_short_lists_work(one):
    whole = Problem(distinct(6, 7))
    first = whole.ranking()
    listed = Problem.from_rankings(first.indices, first.scores, 7)
    found, expected = rerankit.rerank(listed, one), rerankit.rerank(whole, one)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    short = Problem.from_rankings(first.indices[:, :2], first.scores[:, :2], 7)
    assert np.isfinite(rerankit.rerank(short, one, k=2).scores).all()


def test_qb_norm_leaves_queries_alone_that_do_not_reach_a_hub():
    bank = Bank(to_gallery=[[0.9, 0.1, 0.0]])
    problem = Problem([[0.1, 0.5, 0.4]], query_bank=bank)
    ranking = problem.ranking()
    np.testing.assert_array_equal(stage("qb-norm").rescore(problem, ranking), ranking.scores)


@pytest.mark.parametrize("gallery", ["gallery", "bank"])
def test_dual_is_equals_the_formula(gallery):
    problem = full_problem().with_banks(gallery_bank=Bank(to_gallery=distinct(4, 9)))
    scores, ranking = problem.scores.rows(), problem.ranking()
    items = problem.gallery_scores.rows() if gallery == "gallery" else distinct(4, 9)
    naive = [
        [s - (2 * level(scores[:, j], 2.0) + level(items[:, j], 1.0)) / 3 for j, s in enumerate(row)] for row in scores
    ]
    found = stage("dual-is", beta=2, gallery_beta=1, gallery=gallery, published=True).rescore(problem, ranking)
    np.testing.assert_allclose(found, np.take_along_axis(np.float64(naive), ranking.indices, axis=1), atol=2e-5)


def test_dual_is_says_what_it_lacks():
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], "dual-is")
    only_queries = Problem([[1, 2]], gallery_bank=Bank(to_queries=[[1]]))
    with pytest.raises(UnmetNeedError, match="needs gallery_bank:to_gallery"):
        rerankit.rerank(only_queries, "dual-is", gallery="bank")


def exact_levels(values: np.ndarray, beta: float) -> np.ndarray:
    wide = values.astype(np.float64)
    top = wide.max(axis=0)
    return top + np.log(np.mean(np.exp(beta * (wide - top)), axis=0)) / beta


@pytest.mark.parametrize(("spread", "middle"), [(1, 0), (1, -200), (1000, 0)])
def test_levels_are_exact_for_any_range_and_do_not_depend_on_blocks(spread, middle):
    values = np.float32(np.random.default_rng(0).normal(size=(50, 2003)) * spread + middle)
    values[:, :3] -= 40 * spread  # columns far below all others, and rows far above
    values[7:9] += 60 * spread
    scores = DenseScores(values)
    columns, rows = column_softmax_level(scores, 2.0), row_softmax_level(scores, 2.0, 1.0)
    np.testing.assert_allclose(columns, exact_levels(values, 2.0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(rows, exact_levels(values.T, 2.0), rtol=1e-5, atol=1e-5)
    with settings.using(memory_budget=1):
        np.testing.assert_array_equal(column_softmax_level(scores, 2.0), columns)
        np.testing.assert_array_equal(row_softmax_level(scores, 2.0, 1.0), rows)


def test_pairs_that_lists_leave_out_stand_below_the_last_of_their_list():
    lists = ListScores([[0, 1], [0, 2]], [[0.9, 0.5], [0.8, 0.1]], columns=4)
    absent = absent_levels(lists, spread(lists))
    assert (absent < [0.5, 0.1]).all()
    whole = np.array([[0.9, 0.5, absent[0], absent[0]], [0.8, absent[1], 0.1, absent[1]]])
    np.testing.assert_allclose(column_softmax_level(lists, 2.0), exact_levels(whole, 2.0), atol=1e-6)
    np.testing.assert_allclose(row_softmax_level(lists, 2.0, spread(lists)), exact_levels(whole.T, 2.0), atol=1e-6)
    np.testing.assert_allclose(column_top_mean(lists, 5), whole.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("name", ["inverted-softmax", "qb-norm", "dual-softmax", "dual-is"])
def test_beta_must_be_positive(name):
    with pytest.raises(InputError, match="'beta' must be above 0"):
        stage(name, beta=0)


def ascending(values: np.ndarray) -> np.ndarray:
    """Rows in the order of their scores: a sample of the first rows would say nothing of the last."""
    return np.sort(values, axis=0)


@pytest.mark.parametrize(
    "change",
    [np.array, np.round, np.zeros_like, np.asfortranarray, np.negative, ascending],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shape", [(150, 750), (450, 250)], ids=["wide", "tall"])
def test_means_of_the_highest_equal_sorting(change, k, shape):
    values = change(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    scores = DenseScores(values)
    expected = np.sort(values, axis=0)[-k:].mean(axis=0)
    np.testing.assert_allclose(column_top_mean(scores, k), expected, atol=1e-6)
    less = np.random.default_rng(1).normal(size=shape[0])
    lowered = values - less[:, None].astype(np.float32)
    np.testing.assert_array_equal(column_top(scores, k, less), -np.sort(-lowered, axis=0)[:k].T)
    for budget in (600_000, 1):
        with settings.using(memory_budget=budget):
            np.testing.assert_array_equal(column_top_mean(scores, k), column_top_mean(DenseScores(values), k))
            np.testing.assert_array_equal(column_top(scores, k, less), -np.sort(-lowered, axis=0)[:k].T)


@pytest.mark.parametrize("params", [{}, {"published": True}])
@pytest.mark.parametrize("name", ["nnn", "csls", "inverted-softmax", "dual-softmax", "sinkhorn", "mutual-rank"])
def test_one_pass_for_candidates_and_correction_answers_as_two(name, params):
    random = np.random.default_rng(4)
    centres = random.normal(size=(120, 16))
    sides = [centres[random.integers(0, 120, count)] + random.normal(size=(count, 16)) for count in (700, 900)]
    params = {} if name == "sinkhorn" else params
    for excluded in (None, [[row % 900] for row in range(700)]):
        problem = Problem.from_embeddings(*sides, exclude=excluded)
        at_once = rerankit.rerank(problem, name, k=10, **params)
        one_by_one = rerankit.Pipeline([rerankit.stage(name, **params)]).rerank(problem, problem.ranking(10))
        assert at_once == one_by_one
        assert at_once.notes.get(name) == one_by_one.notes.get(name)
        assert at_once.notes["looks_at"] == one_by_one.notes["looks_at"]


@pytest.mark.parametrize("name", ["nnn", "csls"])
@pytest.mark.parametrize("rows", [600, 1500])
def test_one_pass_over_a_bank_finds_the_highest_and_the_fall(name, rows, monkeypatch):
    multiplied = []

    def counted(self, rows, columns, squares, room):
        multiplied.append(len(rows) * len(columns))
        return fast(self, rows, columns, squares, room)

    fast = Products.fast
    random = np.random.default_rng(6)
    items, bank = random.normal(size=(1300, 8)), random.normal(size=(rows, 8))
    problem = Problem.from_embeddings(items[:1], items, query_bank=bank)
    monkeypatch.setattr(Products, "fast", counted)
    found = rerankit.rerank(problem, name, k=5)
    assert sum(multiplied) == (rows + 1) * 1300  # the query looks for its candidates, too
    assert found.shape == (1, 5)
    others = problem.query_bank.to_gallery
    frame, highest = frame_and_highest(others, 9)
    expected = frame_of(others)
    assert (frame.spread, frame.steepness) == (expected.spread, expected.steepness)
    np.testing.assert_array_equal(highest, column_top(others, 9, expected.usual))


def test_normal_quantiles_are_those_of_scipy():
    for count in (2, 50, 20_000, 10**9):
        places = np.random.default_rng(count).integers(0, min(count, 500), (40, 3))
        expected = ndtri(1 - (places + 0.625) / (count + 0.25))
        np.testing.assert_allclose(normal_quantiles(places, count), expected, rtol=1e-13, atol=1e-15)
    beyond = normal_quantiles(np.array([3, 9]), 4)  # short lists are padded
    assert beyond[0] == beyond[1]


def test_what_a_stage_of_a_plugin_raises_before_there_are_candidates_names_it():
    class Breaks(HubnessStage):
        name = "breaks"
        bank, lone = None, "raise"

        def correction(self, gallery, others, same):
            raise ZeroDivisionError("no luck")

    problem = Problem.from_embeddings(np.eye(3), np.eye(3))
    with pytest.raises(
        StageError, match=r"stage\('breaks'\) of unregistered, given Problem\(.* failed: ZeroDivisionError"
    ):
        rerankit.rerank(problem, Breaks(), k=2)


def test_the_padding_of_a_short_list_is_no_favourite_of_the_bank():
    """Item 0 is the bank's favourite, and stands where a list has no more candidates."""
    bank = Bank(to_gallery=[[0.9, 0.1, 0.2, 0.3], [0.8, 0.2, 0.1, 0.3]])
    problem = Problem([[0.1, 0.5, 0.5, 0.2]] * 2, query_bank=bank)
    lists = Ranking(
        [[1, 2, -1, -1], [1, 2, 3, 0]], [[0.5, 0.5, -np.inf, -np.inf], [0.5, 0.5, 0.2, 0.1]], gallery_size=4
    )
    assert stage("qb-norm").rerank(problem, lists).scores[0, :2].tolist() == [0.5, 0.5]
