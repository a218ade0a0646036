"""The packed scorer is the plain network, whatever the packs and whatever the order."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from rerankit import settings
from rerankit.errors import InputError
from rerankit.stages.triplet.budget import Budget, shares
from rerankit.stages.triplet.linear import make_linear
from rerankit.stages.triplet.network import DualEncoder
from rerankit.stages.triplet.packed import PackedScorer, token_places
from rerankit.stages.triplet.scoring import PairScorer, QueryStates, plan, score_within


class Tokens:
    """Tokens from a tensor; remembers what was asked."""

    def __init__(self, array, absent=()):
        self.array, self.absent, self.asked = array, absent, []

    def tokens(self, columns):
        self.asked.extend(columns.tolist())
        return self.array[torch.from_numpy(columns)]

    def missing(self, columns):
        return np.isin(columns, self.absent)


@pytest.fixture
def case(sizes):
    """A network with weights large enough to matter, 5 queries of unequal length, 7 candidates."""
    torch.manual_seed(0)
    network = DualEncoder(sizes).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(0.8 if weight.ndim == 2 else 1.0)
    mask = torch.zeros(5, 9, dtype=torch.long)
    for row, length in enumerate([9, 3, 5, 5, 1]):
        mask[row, :length] = 1
    ids = torch.randint(1, 70, (5, 9)) * mask
    states, tokens = torch.randn(5, 9, 32), torch.randn(7, 10, 24)
    with torch.no_grad():
        plain = network(states, ids, mask, tokens).numpy()
    return network, QueryStates.from_padded(states, ids, mask), tokens, plain


@pytest.mark.parametrize("max_tokens", [4, 11, 30, 10_000])
def test_packed_scores_are_the_plain_ones(case, max_tokens):
    network, queries, tokens, plain = case
    scorer = PairScorer(PackedScorer(network), queries, Tokens(tokens), max_tokens=max_tokens)
    rows, columns = np.nonzero(np.ones((5, 7)))
    keep = np.random.default_rng(1).permutation(35)[:24]
    scores = scorer.score(rows[keep], columns[keep])
    np.testing.assert_allclose(scores, plain[rows[keep], columns[keep]], rtol=0, atol=1e-4)


def test_a_small_memory_budget_changes_nothing(case):
    network, queries, tokens, plain = case
    with settings.using(memory_budget="100KB"):
        scorer = PairScorer(PackedScorer(network), queries, Tokens(tokens))
        scores = scorer.score(*np.nonzero(np.ones((5, 7))))
    np.testing.assert_allclose(scores.reshape(5, 7), plain, rtol=0, atol=1e-4)


def test_every_candidate_is_read_once(case):
    network, queries, tokens, _ = case
    for max_tokens in (6, 1000):
        source = Tokens(tokens)
        PairScorer(PackedScorer(network), queries, source, max_tokens=max_tokens).score(*np.nonzero(np.ones((5, 7))))
        assert sorted(source.asked) == list(range(7))


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 2e-2), ("fp16", 4e-3), ("int8", 2e-2)])
def test_low_precision_agrees_as_far_as_it_can(case, precision, tolerance):
    network, queries, tokens, plain = case
    scorer = PairScorer(PackedScorer(network, precision), queries, Tokens(tokens))
    scores = scorer.score(*np.nonzero(np.ones((5, 7)))).reshape(5, 7)
    assert np.abs(scores - plain).max() < tolerance * np.abs(plain).max() + tolerance
    assert np.corrcoef(scores.ravel(), plain.ravel())[0, 1] > 0.99


def test_unknown_precision_lists_the_choices():
    with pytest.raises(InputError, match=r"unknown precision 'fp8'.*bf16, float32, fp16, int8"):
        make_linear(torch.zeros(1, 1), torch.zeros(1), "fp8")


def test_plan_puts_every_pair_in_one_block_within_the_limits():
    rng = np.random.default_rng(0)
    columns, lengths = rng.integers(0, 20, 200), rng.integers(1, 9, 200)
    blocks = list(plan(columns, lengths, max_tokens=40, max_candidates=3))
    assert sorted(np.concatenate([block.pairs for block in blocks]).tolist()) == list(range(200))
    for block in blocks:
        assert lengths[block.pairs].sum() <= 40
        assert len(block.columns) <= 3
        assert columns[block.pairs].tolist() == np.repeat(block.columns, block.counts).tolist()
    assert list(plan(np.zeros(0, int), np.zeros(0, int), 10, 2)) == []


def test_places_of_ragged_groups():
    found = token_places(torch.tensor([1, 3]))
    assert found.padded.tolist() == [[0, 0, 0], [1, 2, 3]]
    assert found.visible[:, 0, 0].tolist() == [[True, False, False], [True, True, True]]
    assert found.flat.tolist() == [0, 3, 4, 5]
    assert token_places(torch.tensor([2, 2])).visible is None


INDICES = np.array([[0, 1, 2, 3], [4, 5, 6, -1], [6, 2, -1, -1], [1, 2, 3, 4], [0, 6, 5, 1]])


@pytest.mark.parametrize(
    ("budget", "depths"),
    [(None, [4, 3, 2, 4, 4]), (11, [3, 2, 2, 2, 2]), ("3 pairs", [1, 1, 1, 0, 0]), ("0 pairs", [0] * 5)],
)
def test_a_budget_of_pairs_is_shared(case, budget, depths):
    network, queries, tokens, plain = case
    scorer = PairScorer(PackedScorer(network), queries, Tokens(tokens))
    scores, report = score_within(scorer, INDICES, Budget.parse(budget), 0.0)
    for row, depth in enumerate(depths):
        np.testing.assert_allclose(scores[row, :depth], plain[row, INDICES[row, :depth]], rtol=0, atol=1e-4)
        assert np.isnan(scores[row, depth:]).all()
    assert report["scored_pairs"] == sum(depths)
    assert report["candidate_pairs"] == 17
    assert report["complete"] == (budget is None)


def test_a_budget_of_seconds_leaves_a_prefix(case, monkeypatch):
    network, queries, tokens, plain = case
    clock = iter(np.arange(0, 1000, 0.1))
    monkeypatch.setattr("rerankit.stages.triplet.scoring.time.monotonic", lambda: next(clock))
    scorer = PairScorer(PackedScorer(network), queries, Tokens(tokens), max_tokens=8)
    scores, report = score_within(scorer, INDICES, Budget.parse("2s"), 0.0)
    scored = np.isfinite(scores)
    assert 0 < report["scored_pairs"] < 17
    assert (np.diff(scored.astype(int), axis=1) <= 0).all()
    rows, places_ = np.nonzero(scored)
    np.testing.assert_allclose(scores[scored], plain[rows, INDICES[rows, places_]], rtol=0, atol=1e-4)


def test_enough_seconds_score_everything(case):
    network, queries, tokens, _ = case

    scorer = PairScorer(PackedScorer(network), queries, Tokens(tokens, absent=[2]))
    scores, report = score_within(scorer, INDICES, Budget.parse("60 s"), time.monotonic())
    assert report["complete"]
    assert np.isnan(scores[INDICES == 2]).all()
    assert report["scored_pairs"] == 14


def test_shares_and_budgets():
    assert shares(np.array([3, 3]), 100).tolist() == [3, 3]
    assert shares(np.array([0, 3]), 2).tolist() == [0, 2]
    for wrong in ("soon", "-1 s", "5 apples", True, 1.5, "s"):
        with pytest.raises(InputError, match="'budget' must be such as"):
            Budget.parse(wrong)
