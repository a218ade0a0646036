"""`pillar-plus` beside a log of earlier queries: what a new query hears, and when the network has a say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import rerankit
from rerankit import Bank, Gallery, Problem, prepare, rerank
from rerankit.errors import InputError, UnmetNeedError
from rerankit.stages.pillar.plus.columns import MESSAGES, messages
from rerankit.stages.pillar.plus.earlier import AmongSettled, Earlier
from rerankit.stages.pillar.plus.settings import PlusSettings
from rerankit.stages.pillar.plus.stage import PillarPlus

SIZES = {"cells_seen": (16, 8), "cells_kept": (10, 6), "pillars": 4, "likely": (4, 3), "width": 8, "parts": 2}
SETTINGS = PlusSettings(cells_seen=(16, 8), cells_kept=(10, 6), pillars=4, likely=(4, 3), width=8)


def with_log(items=60, copies=3, asked=10, seed=0, left_out=0, noise=0.7, strangers=False):
    """Queries, query q of item q, beside a log of so many earlier ones for each item but the last `left_out`; or of
    as many queries to other items.
    """
    random = np.random.default_rng(seed)
    things = random.normal(size=(items, 24))
    searched = things + noise * random.normal(size=things.shape)
    log = np.repeat(random.normal(size=things.shape) if strangers else things[: items - left_out], copies, axis=0)
    log = log + noise * random.normal(size=log.shape)
    queries = things[:asked] + noise * random.normal(size=(asked, 24))
    return Problem.from_embeddings(queries, searched, query_bank=log)


def trained(**params) -> PillarPlus:
    return rerankit.stage("pillar-plus", weights="captions", direction="t2i", **params)


@pytest.fixture(scope="module")
def beside():
    """A network with random weights, what it settled of a log, and the cells of new queries."""
    problem = with_log()
    stage = rerankit.stage("pillar-plus", direction="t2i", **SIZES)
    torch.manual_seed(0)
    network = stage.build().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    earlier = Earlier.of(network, problem.query_bank, np.arange(180), problem.gallery_scores, SETTINGS)
    return problem, network, earlier, earlier.cells(problem, problem.query_bank, SETTINGS)


def test_a_new_query_hears_what_the_log_has_settled(beside):
    problem, _, earlier, cells = beside
    plan, settled = cells.first_plan, earlier.rounds[0]
    heard = messages(cells, plan, AmongSettled(cells, earlier.rounds).shares(plan)).double().numpy()
    numbers = {int(key): at for at, key in enumerate(earlier.keys)}
    log_plan = {}  # of the log's cells, up to a constant of each row: q is its share of the row
    for key, at in numbers.items():
        log_plan[divmod(key, earlier.shape[1])] = float(settled.q[at].double().log())
    own = {(int(r), int(c)): float(v) for r, c, v in zip(cells.row, cells.column, plan.double(), strict=True)}
    near = problem.query_bank.to_queries.T.rows().argsort(axis=1)[:, ::-1][:, :4]
    for at, (row, query) in enumerate(own):
        column = sum(np.exp(v) for (r, c), v in own.items() if c == query)
        p = np.exp(own[row, query]) / column
        total = float(settled.totals[row].double())
        q = np.exp(own[row, query]) / (np.exp(total) + np.exp(own[row, query]))
        votes = [float(settled.p[numbers[row * earlier.shape[1] + other]]) if (row, other) in log_plan else 0.0
                 for other in near[query]]  # fmt: skip
        claims = [float(settled.q[numbers[row * earlier.shape[1] + other]]) if (row, other) in log_plan else 0.0
                  for other in near[query]]  # fmt: skip
        weights = cells.column_weights[at].double().numpy()
        expected = {
            "p_now": p,
            "q_now": q,
            "vote_16": np.log(weights @ votes + 0.03),
            "vote_max": (weights * votes).max(),
            "claims": np.log(weights @ claims + 0.003),
        }
        for name, value in expected.items():
            assert heard[at, MESSAGES.index(name)] == pytest.approx(value, rel=2e-4, abs=2e-6), name


def test_weights_of_the_nearest_earlier_queries_sum_to_one(beside):
    _, _, _, cells = beside
    torch.testing.assert_close(cells.column_weights.sum(dim=1), torch.ones(len(cells)))


def test_the_network_has_a_say_and_finds_more():
    problem = with_log(items=400, asked=400, seed=1, noise=0.9)
    found, planned = rerank(problem, trained()), rerank(problem, "plan")
    assert found.notes["pillar-plus"]["like_training"] > 0.5
    right = np.arange(400)
    assert np.mean(found.indices[:, 0] == right) > np.mean(planned.indices[:, 0] == right) + 0.02


@pytest.mark.parametrize(
    ("problem", "direction"),
    [(with_log(), "i2t"), (with_log(left_out=30), "t2i"), (with_log(strangers=True), "t2i")],
    ids=["two pictures that ask for the same texts", "half of the items left out", "queries to something else"],
)
def test_what_the_weights_do_not_know_is_left_to_plan(problem, direction):
    found = rerank(problem, rerankit.stage("pillar-plus", weights="captions", direction=direction))
    assert found.notes["pillar-plus"]["like_training"] == 0
    assert np.array_equal(found.indices, rerank(problem, "plan").indices)


def probabilities(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-3 * (scores / scores.std() - 2)))


def test_probabilities_are_read_as_their_logits():
    random = np.random.default_rng(3)
    things = random.normal(size=(150, 24))
    sides = things + random.normal(size=things.shape), np.repeat(things, 4, axis=0) + random.normal(size=(600, 24))
    given = Problem.from_embeddings(*sides)
    bent = given.with_similarities(
        probabilities(given.scores.rows()), query_scores=given.query_scores, gallery_scores=given.gallery_scores
    )
    reasoner = rerankit.stage("pillar-plus", weights="captions")
    for problems, one, texts, copies in (
        ((given, bent), reasoner, 4, 1),
        ((given.reversed(), bent.reversed()), reasoner.reversed(), 1, 4),
    ):
        logits, chances, base = (
            np.mean(ranking.indices[:, 0] // texts == np.arange(len(ranking)) // copies)
            for ranking in (*(rerank(problem, one) for problem in problems), problems[0].ranking(1))
        )
        assert chances > logits - 0.05
        assert logits > base


def test_powers_in_a_log_are_left_to_plan():
    problem = with_log(items=200, asked=20)
    bank = problem.query_bank
    deviation = bank.to_gallery.rows().std()
    log = Bank(
        to_gallery=np.exp(2 * bank.to_gallery.rows() / deviation), to_queries=bank.to_queries, to_bank=bank.to_bank
    )
    bent = Problem(
        np.exp(2 * problem.scores.rows() / deviation),
        query_scores=problem.query_scores,
        gallery_scores=problem.gallery_scores,
        query_bank=log,
    )
    found = rerank(bent, trained())
    assert found.notes["pillar-plus"]["like_training"] == 0
    assert np.array_equal(found.indices, rerank(bent, "plan").indices)


def test_prepared_once_and_kept(tmp_path: Path):
    problem = with_log(asked=6)
    ready = prepare(trained(), Gallery.of(problem))
    ready.save(tmp_path / "ready")
    batch = rerank(problem, trained())
    loaded = rerankit.load(tmp_path / "ready")
    vectors = problem.scores.queries
    for query in range(6):
        for one in (ready, loaded):
            answer = one.rerank(vectors[query])
            assert np.array_equal(answer.indices[0], batch.indices[query])
            assert np.array_equal(answer.scores[0], batch.scores[query])


def test_what_a_bank_lacks_is_said():
    problem = with_log()
    bank = Bank(to_gallery=problem.query_bank.to_gallery)
    with pytest.raises(InputError, match=r"'bank' must have its relations to_gallery and to_queries and to_bank"):
        trained(bank=bank)
    with pytest.raises(UnmetNeedError, match="query_bank:to_queries"):
        rerank(problem.with_banks(query_bank=bank), trained())
    with pytest.raises(InputError, match="of this direction alone"):
        trained(bank=problem.query_bank).reversed()
    with pytest.raises(UnmetNeedError, match=r"give Gallery\(…, bank=…\)"):
        prepare(trained(), Gallery(problem.scores.gallery))


def test_test_queries_are_looked_at_where_they_are_named():
    problem = with_log(asked=40)
    alone = Problem(problem.scores, query_scores=problem.query_scores, gallery_scores=problem.gallery_scores)
    named = rerank(problem, trained(bank="queries"))
    assert np.array_equal(named.indices, rerank(alone, trained()).indices)
    assert trained().looks_at(problem).bank
    assert not trained().looks_at(problem).queries
    assert trained(bank="queries").looks_at(problem).queries


def test_a_query_that_the_log_holds_again_changes_nothing():
    problem = with_log()
    log = problem.query_bank.to_gallery.queries
    again = np.concatenate([log, log[:40], log[:10]])
    twice = Problem.from_embeddings(problem.scores.queries, problem.scores.gallery, query_bank=again)
    found, expected = rerank(twice, trained()), rerank(problem, trained())
    assert found.notes["pillar-plus"]["like_training"] > 0
    assert np.array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-4)
