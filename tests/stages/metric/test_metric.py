"""The stage `metric`: the model against its definition, what later stages see, when it keeps away."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import rerankit
from rerankit import Bank, Pipeline, Problem, Relevance, stage
from rerankit.errors import InputError, NotFittedError, RerankitWarning, UnmetNeedError
from rerankit.stages.metric.similarities import Coordinates
from rerankit.stages.metric.trust import trust
from rerankit.stages.metric.two_covariance import VectorPairs, two_covariance
from rerankit.stages.metric.vectors import KnownVectors

_SPEC = importlib.util.spec_from_file_location("metric_cases", Path(__file__).with_name("conformance_cases.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
cases = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(cases)


def one_to_one(count: int) -> Relevance:
    return Relevance.from_lists([[one] for one in range(count)], count)


@pytest.fixture
def pairs() -> VectorPairs:
    queries, gallery = cases.vectors(300, 0)
    return VectorPairs(queries + 3, gallery - 1, np.arange(300))


def test_scores_are_the_log_likelihood_ratio(pairs):
    shrink = 0.3
    model = two_covariance(pairs, shrink)
    queries, gallery = pairs.queries - pairs.queries.mean(axis=0), pairs.gallery - pairs.gallery.mean(axis=0)
    noise = np.cov((queries - gallery).T, bias=True) / 2
    noise = (1 - shrink) * noise + shrink * np.trace(noise) / cases.WIDTH * np.eye(cases.WIDTH)
    cross = queries.T @ gallery / 300
    shared = (cross + cross.T) / 2
    together = np.block([[shared + noise, shared], [shared, shared + noise]])
    apart = np.block([[shared + noise, 0 * shared], [0 * shared, shared + noise]])
    found = model.scores(pairs.queries[:5], pairs.gallery[:4])
    for row in range(5):
        for column in range(4):
            both = np.concatenate([queries[row], gallery[column]])
            ratio = [multivariate_normal(np.zeros(len(both)), one).logpdf(both) for one in (together, apart)]
            constant = [np.linalg.slogdet(one)[1] / 2 for one in (together, apart)]
            expected = ratio[0] - ratio[1] + constant[0] - constant[1]
            assert found[row, column] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_it_gains_and_all_relations_are_the_learned_ones(metric):
    queries, gallery = cases.vectors(600, 3)
    known = Problem.from_embeddings(queries[:300], gallery[:300], metric=metric)
    fitted = stage("metric").fit(known, one_to_one(300))
    problem = Problem.from_embeddings(queries[300:], gallery[300:], metric=metric)
    after = rerankit.rerank(problem, fitted, k=300)
    right = one_to_one(300)
    gain = [rerankit.evaluate(one, right, ["mrr"])["mrr"] for one in (after, problem.ranking())]
    assert gain[0] > gain[1] + 0.03
    assert after.notes["metric"]["share"] > 0
    seen = fitted.transformed(problem)
    np.testing.assert_array_equal(seen.ranking().indices, after.indices)
    # The same item on both sides is as like itself as to the other side.
    same = Problem.from_embeddings(queries[300:], queries[300:], metric=metric)
    relation = fitted.transformed(same).query_scores.rows()
    np.testing.assert_allclose(relation, relation.T, atol=1e-4 * np.abs(relation).max())
    assert (relation.argmax(axis=1) == np.arange(300)).mean() > 0.9


def test_the_other_direction_is_the_transposed_one():
    fitted, problem = cases.fitted(), cases.problem(12, 9)
    one, other = fitted.transformed(problem), fitted.reversed().transformed(problem.reversed())
    np.testing.assert_allclose(one.scores.rows(), other.scores.rows().T, atol=1e-5)
    np.testing.assert_allclose(one.query_scores.rows(), other.gallery_scores.rows(), atol=1e-5)
    assert fitted.reversed().reversed() == fitted


def test_stages_behind_it_see_the_learned_similarities_and_banks():
    fitted, bank = cases.fitted(), cases.vectors(30, 9)[0]
    one, other = cases.vectors(20, 5)
    problem = Problem.from_embeddings(one, other, query_bank=bank)
    found = rerankit.rerank(problem, fitted >> "csls", k=20)
    expected = rerankit.rerank(fitted.transformed(problem), "csls", k=20)
    np.testing.assert_array_equal(found.indices, expected.indices)
    with_bank = Problem.from_embeddings(bank, other)
    np.testing.assert_allclose(
        fitted.transformed(problem).query_bank.to_gallery.rows(), fitted.transformed(with_bank).scores.rows(), atol=1e-5
    )


def test_a_gallery_that_stands_ready_answers_as_the_batch_does():
    fitted, bank = cases.fitted(), cases.vectors(30, 9)[0]
    one, other = cases.vectors(20, 5)
    ready = rerankit.prepare(fitted >> "inverted-softmax", rerankit.Gallery(other, bank=bank))
    batch = rerankit.rerank(Problem.from_embeddings(one, other, query_bank=bank), fitted >> "inverted-softmax", k=10)
    for row in range(3):
        alone = ready.rerank(one[row], k=10)
        np.testing.assert_array_equal(alone.indices[0], batch.indices[row])
        np.testing.assert_array_equal(alone.scores[0], batch.scores[row])


def test_pairs_that_mean_nothing_mostly_change_nothing():
    kept_away = 0
    for seed in range(6):
        queries, gallery = np.random.default_rng(seed).normal(size=(2, 150, 8))
        problem = Problem.from_embeddings(queries, gallery)
        fitted = stage("metric").fit(problem, one_to_one(150))
        if fitted.trust.forward.share == 0:
            kept_away += 1
            np.testing.assert_array_equal(rerankit.rerank(problem, fitted).indices, problem.ranking(100).indices)
    assert kept_away >= 3


def test_the_splits_know_things_that_hang_together(pairs):
    doubled = VectorPairs(
        np.repeat(pairs.queries, 2, axis=0), np.repeat(pairs.gallery, 2, axis=0), np.repeat(pairs.things, 2)
    )
    one, other = (trust(KnownVectors(known, "dot")).forward for known in (doubled, pairs))
    assert one.error == pytest.approx(other.error, rel=0.35)


def test_files_parameters_and_mistakes(tmp_path):
    fitted = cases.fitted()
    fitted.save(tmp_path / "stage")
    again = rerankit.load(tmp_path / "stage")
    problem = cases.problem(6, 7)
    assert rerankit.rerank(problem, again) == rerankit.rerank(problem, fitted)
    known = Problem.from_embeddings(*cases.vectors(100, 1))
    given = stage("metric", share=0.5, shrink=0.2).fit(known, one_to_one(100), validation=(known, one_to_one(100)))
    assert rerankit.rerank(problem, given).notes["metric"] == {"share": 0.5, "shrink": 0.2}
    with pytest.raises(UnmetNeedError, match="'metric' needs embeddings: use"):
        rerankit.rerank([[0.1, 0.2]], fitted)
    with pytest.raises(UnmetNeedError, match="'metric' needs weights"):
        rerankit.rerank(problem, "metric")
    with pytest.raises(NotFittedError, match="call its fit"):
        stage("metric").transformed(problem)
    with pytest.raises(InputError, match="must hold 20 pairs or more"):
        stage("metric").fit(problem, Relevance.from_lists([[0]] * 6, 7))
    with pytest.raises(InputError, match="must have cosine embeddings of width 8"):
        fitted.transformed(Problem.from_embeddings([[1.0, 2.0]], [[1.0, 2.0]]))
    with pytest.raises(InputError, match="'share' must be at most 1"):
        stage("metric", share=2)
    dense = Problem.from_embeddings(*cases.vectors(4, 0)).with_banks(
        query_bank=rerankit.Bank(to_gallery=np.ones((3, 4)))
    )
    with pytest.raises(InputError, match="needs banks of vectors"):
        (fitted >> Pipeline(["csls"])).rerank(dense, dense.ranking())


def test_the_other_side_is_noticed():
    queries, gallery = cases.vectors(300, 0)
    apart = Problem.from_embeddings(queries + 3, gallery - 1, metric="dot")
    fitted = stage("metric").fit(apart, one_to_one(300))
    rerankit.rerank(apart, fitted, k=10)
    with pytest.warns(RerankitWarning, match="the gallery is like the queries that it learned from"):
        rerankit.rerank(apart.reversed(), fitted, k=10)
    rerankit.rerank(apart.reversed(), fitted.reversed(), k=10)


def test_matrices_say_what_the_vectors_do():
    queries, gallery = cases.KNOWN
    right = one_to_one(60)
    of_vectors = stage("metric").fit(Problem.from_embeddings(queries, gallery, metric="dot"), right)
    of_matrices = cases.fitted_on_matrices()
    assert of_matrices.trust[0] == of_vectors.trust[0]
    np.testing.assert_allclose(of_matrices.trust[1:], of_vectors.trust[1:], rtol=1e-6)
    problem = cases.matrices(12, 9)
    one, other = (side[:count] for side, count in zip(cases.vectors(12, 2), (12, 9), strict=True))
    vectors = Problem.from_embeddings(one, other, metric="dot", query_bank=queries, gallery_bank=gallery)
    for turned in (False, True):
        stages = [each.reversed() if turned else each for each in (of_matrices, of_vectors)]
        found, expected = (
            each.transformed(given.reversed() if turned else given)
            for each, given in zip(stages, (problem, vectors), strict=True)
        )
        for relation in (
            lambda given: given.scores,
            lambda given: given.query_scores,
            lambda given: given.gallery_scores,
            lambda given: given.query_bank.to_gallery,
            lambda given: given.query_bank.to_queries,
            lambda given: given.query_bank.to_bank,
            lambda given: given.gallery_bank.to_queries,
        ):
            expected_rows = relation(expected).rows()
            np.testing.assert_allclose(relation(found).rows(), expected_rows, atol=2e-4 * np.abs(expected_rows).max())


def test_products_of_coordinates_are_the_similarities_less_their_means():
    one, other = cases.KNOWN
    both = np.concatenate([one, other])
    among = both @ both.T + 7  # what is added to all similarities plays no part
    made = Coordinates.of(among, len(one))
    new = np.random.default_rng(0).normal(size=(5, cases.WIDTH))
    found = made.vectors(new @ both.T + 7, "query") @ made.vectors(among[60:], "gallery").T
    np.testing.assert_allclose(found, (new - one.mean(axis=0)) @ (other - other.mean(axis=0)).T, atol=1e-6)


def test_scores_across_alone_are_enough_and_scale_and_shift_play_no_part(tmp_path):
    queries, gallery = cases.vectors(600, 3)
    across = queries @ gallery.T
    first, rest = slice(300), slice(300, None)
    right, found = one_to_one(300), []
    for scale, shift in ((1, 0), (0.01, 5)):
        scores = scale * across + shift
        fitted = stage("metric").fit(Problem(scores[first, first]), right)
        assert fitted.needs == ("query_bank:to_gallery", "gallery_bank:to_queries", "weights")
        assert fitted.reversed().needs == fitted.needs
        problem = Problem(
            scores[rest, rest],
            query_bank=Bank(to_gallery=scores[first, rest]),
            gallery_bank=Bank(to_queries=scores[rest, first].T),
        )
        after = rerankit.rerank(problem, fitted, k=300)
        gain = [rerankit.evaluate(one, right, ["mrr"])["mrr"] for one in (after, problem.ranking())]
        assert gain[0] > gain[1] + 0.03
        found.append(after.indices[:, :20])
    assert (found[0] == found[1]).mean() > 0.99
    fitted.save(tmp_path / "stage")
    assert rerankit.rerank(problem, rerankit.load(tmp_path / "stage"), k=300) == after
    begun = problem.ranking(30)
    lists = Problem.from_rankings(begun.indices, begun.scores, 300).with_banks(
        query_bank=problem.query_bank, gallery_bank=problem.gallery_bank
    )
    of_lists = rerankit.rerank(lists, fitted, k=30)
    order = np.argsort(-fitted.transformed(problem).scores.pairs(np.arange(300)[:, None], of_lists.indices), axis=1)
    np.testing.assert_array_equal(order, np.tile(np.arange(30), (300, 1)))


def test_a_direction_that_it_would_harm_stays_as_it_came():
    random = np.random.default_rng(0)
    shared = random.normal(size=(300, 40))
    queries, gallery = (shared + random.normal(size=shared.shape) for _ in range(2))
    scores = queries @ gallery.T + 12 * random.normal(size=300)[:, None]  # bent for those who search from the right
    fitted = stage("metric").fit(Problem(scores[:150, :150]), one_to_one(150))
    assert fitted.trust.reverse.share > 0
    assert fitted.trust.reverse.gain > fitted.trust.forward.gain
    problem = Problem(
        scores[150:, 150:],
        query_bank=Bank(to_gallery=scores[:150, 150:]),
        gallery_bank=Bank(to_queries=scores[150:, :150].T),
    )
    for direction, turned in ((fitted, problem), (fitted.reversed(), problem.reversed())):
        after = rerankit.rerank(turned, direction)
        share = (fitted.trust.forward if direction is fitted else fitted.trust.reverse).share
        assert after.notes["metric"]["share"] == share
        assert np.array_equal(after.indices, turned.ranking(100).indices) == (share == 0)


def test_places_along_a_road_are_split_across():
    random = np.random.default_rng(0)
    road = np.cumsum(random.normal(size=(120, 8)), axis=0)
    queries, gallery = (road + 0.1 * random.normal(size=road.shape) for _ in range(2))
    near = Relevance.from_lists([[each for each in (at - 1, at, at + 1) if 0 <= each < 120] for at in range(120)], 120)
    fitted = stage("metric").fit(Problem.from_embeddings(queries, gallery, metric="euclidean"), near)
    assert np.isfinite(fitted.trust.forward.error)
    one_thing = Relevance.from_lists([list(range(30))] * 30, 30)
    kept_away = stage("metric").fit(Problem.from_embeddings(queries[:30], gallery[:30]), one_thing)
    assert kept_away.trust.forward.share == kept_away.trust.reverse.share == 0


def test_mistakes_with_matrices():
    fitted, problem = cases.fitted_on_matrices(), cases.matrices(6, 7)
    with pytest.raises(UnmetNeedError, match="needs query_bank:to_gallery: give Problem"):
        rerankit.rerank(Problem(problem.scores), fitted)
    bank = problem.query_bank
    turned = problem.with_banks(query_bank=bank.some(np.arange(60)[::-1]))
    with pytest.raises(InputError, match="'query_bank' must be the queries that stage 'metric' learned from, in their"):
        rerankit.rerank(turned, fitted)
    with pytest.raises(InputError, match="learned from, in their order: 60 items"):
        rerankit.rerank(problem.with_banks(query_bank=bank.some(np.arange(50))), fitted)
    scaled = Bank(to_gallery=bank.to_gallery.rows() / 100, to_queries=bank.to_queries)
    with pytest.raises(
        InputError, match=r"'query_bank.to_gallery' must be on the scale of what stage 'metric' learned"
    ):
        rerankit.rerank(problem.with_banks(query_bank=scaled), fitted)
    known = Problem(cases.KNOWN[0] @ cases.KNOWN[1].T)
    with pytest.raises(InputError, match="'validation' must be None where similarities alone"):
        stage("metric").fit(known, one_to_one(60), validation=(known, one_to_one(60)))
    vectors = Problem.from_embeddings(*cases.KNOWN)
    with pytest.raises(InputError, match="'validation' must have embeddings"):
        stage("metric").fit(vectors, one_to_one(60), validation=(known, one_to_one(60)))
    first = known.ranking(10)
    with pytest.raises(InputError, match="must have a score for every pair"):
        stage("metric").fit(Problem.from_rankings(first.indices, first.scores, 60), one_to_one(60))
    with pytest.raises(InputError, match="similarities that differ"):
        stage("metric").fit(Problem(np.ones((60, 60))), one_to_one(60))
