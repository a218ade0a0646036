from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Looks, Problem, settings, stage
from rerankit.errors import InputError, RerankitWarning, UnmetNeedError
from strategies import people

BETA, SHARPNESS, FLOOR, ROUNDS = 5.0, 4.0, 0.05, 6


def with_places(logits: np.ndarray, rounds: int, equal: bool) -> np.ndarray:
    """Logits (queries, items) plus what the items add, by whole matrices."""
    queries, items = logits.shape
    places = max(1.0, items / queries)
    first = 1 / (1 - min(queries / items / places, 0.995))
    shift = np.zeros(items)
    full, share = logits, 1.0 if equal else 0.5  # places that may stay empty are given out at half of the sharpness
    logits = share * full
    for turn in range(rounds):
        powers = np.exp(logits + shift)
        received = (powers / powers.sum(axis=1, keepdims=True)).sum(axis=0) * np.exp(-shift)
        if equal:
            shift = -np.log(received * items / queries)
        else:
            shift = -np.log(1 + received * (first if turn == 0 else 1) / places)
    return full + shift / share


def naive(scores: np.ndarray, voters: np.ndarray, by_query: bool, neighbours: int, equal: bool) -> np.ndarray:
    """The formula with whole matrices (queries, items) and a loop over voters for the vote."""
    plan = with_places(BETA * scores.astype(np.float64), ROUNDS, equal)
    shares = np.exp(plan) / np.exp(plan).sum(axis=1, keepdims=True)
    load = min(1.0, scores.shape[0] / scores.shape[1])
    of_voters = shares if by_query else (shares / np.maximum(shares.sum(axis=0), load)).T
    vote = np.empty(of_voters.shape)
    for voter in range(len(voters)):
        near = [other for other in np.argsort(-voters[voter]) if other != voter][:neighbours]
        weights = np.exp(SHARPNESS * voters[voter, near].astype(np.float64))
        vote[voter] = weights / weights.sum() @ of_voters[near]
    weight = 1.0 if by_query or equal else load
    vote = vote if by_query else vote.T
    return with_places(np.log(shares) + weight * np.log(FLOOR + vote), ROUNDS // 2, equal)


def make(voters: str, neighbours: int = 3, equal: bool = False) -> rerankit.Stage:
    given = {"beta": BETA, "sharpness": SHARPNESS, "floor": FLOOR, "iterations": ROUNDS, "equal_shares": equal}
    return stage("consensus", voters=voters, neighbours=neighbours, cells_kept=1000, **given)


def test_repr():
    assert repr(stage("consensus", floor=0.2)) == "stage('consensus', floor=0.2)"


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("neighbours", [1, 3, 100])
@pytest.mark.parametrize("form", ["embeddings", "matrices"])
@pytest.mark.parametrize("sizes", [(7, 15), (15, 7)])
def test_equals_the_formula_with_either_side_as_voters(sizes, form, neighbours, equal):
    queries, items = people(queries=sizes[0], gallery=sizes[1])
    relations = {"query_scores": queries @ queries.T, "gallery_scores": items @ items.T}
    problem = (
        Problem.from_embeddings(queries, items) if form == "embeddings" else Problem(queries @ items.T, **relations)
    )
    for voters in ("query", "gallery"):
        by_query = voters == "query"
        expected = naive(queries @ items.T, relations[f"{voters}_scores"], by_query, neighbours, equal)
        found = make(voters, neighbours, equal).rerank(problem, problem.ranking())
        np.testing.assert_allclose(found.to_dense(), expected, atol=1e-4)


def test_beside_a_bank_each_query_is_answered_by_the_formula_of_its_items():
    queries, items = people(queries=5, gallery=30)
    old = people(queries=20, gallery=30)[0]
    problem = Problem.from_embeddings(queries, items, query_bank=old)
    made = make("gallery").clone(iterations=1)
    ranking = problem.ranking(8)
    found = made.rerank(problem, ranking)
    assert made.looks_at(problem) == Looks(bank=True)
    shift = stage("sinkhorn", iterations=1).correction(problem.gallery, problem.query_bank.to_gallery, False).of_items
    of_bank = np.exp(BETA * problem.query_bank.to_gallery.rows().astype(np.float64))
    given = of_bank / of_bank.sum(axis=1, keepdims=True)
    given = given / (1 + given.sum(axis=0) / 1.5)  # one round of places: 1.5 of them for each item
    received = np.maximum((given / given.sum(axis=1, keepdims=True)).sum(axis=0), 20 / 30)
    among = problem.gallery_scores.rows()
    own = problem.scores.rows().astype(np.float64) + shift
    for row, candidates in enumerate(ranking.indices):
        near = {item: [other for other in np.argsort(-among[item]) if other != item][:3] for item in candidates}
        seen = sorted({*candidates, *(other for some in near.values() for other in some)})
        shares = dict(zip(seen, np.exp(BETA * own[row, seen]) / np.exp(BETA * own[row, seen]).sum(), strict=True))
        expected = {}
        for item, others in near.items():
            weights = np.exp(SHARPNESS * among[item, others])
            vote = sum(w * shares[t] / received[t] for w, t in zip(weights / weights.sum(), others, strict=True))
            expected[item] = own[row, item] + np.log(FLOOR + vote) / BETA
        assert found.to_dict()[row] == pytest.approx(expected, abs=1e-5)


def test_beside_a_bank_that_shows_no_several_items_for_a_query_the_answer_is_that_of_sinkhorn():
    problem = one_to_one()
    beside = Problem.from_embeddings(
        problem.scores.queries, problem.scores.gallery, query_bank=one_to_one(seed=1).scores.queries
    )
    found, plain = (rerankit.rerank(beside, name, k=20) for name in ("consensus", "sinkhorn"))
    assert found == plain
    assert found.notes["consensus"]["votes"] == 0
    assert rerankit.rerank(beside, "consensus", k=20, bank="queries").notes["looks_at"] == Looks(queries=True)
    assert rerankit.rerank(beside, "consensus", k=20, voters="query").notes["looks_at"] == Looks(queries=True)


@pytest.mark.parametrize("form", ["embeddings", "lists"])
def test_items_of_which_a_log_shows_several_for_a_query_vote(form):
    random = np.random.default_rng(3)
    things = random.normal(size=(300, 24))
    items = np.repeat(things, 4, axis=0) + 0.8 * random.normal(size=(1200, 24))
    log, asked = (things + 0.9 * random.normal(size=things.shape) for _ in range(2))
    problem = Problem.from_embeddings(asked, items, query_bank=log)
    if form == "lists":
        ranking = problem.ranking(50)
        lists = rerankit.ListScores(ranking.indices, ranking.scores, 1200)
        problem = problem.with_similarities(
            lists, query_scores=problem.query_scores, gallery_scores=problem.gallery_scores
        )
    right = np.arange(300)[:, None]
    found, plain = (rerankit.rerank(problem, name, k=50) for name in ("consensus", "sinkhorn"))
    assert found.notes["consensus"]["votes"] > 0.9
    first = {name: np.mean(one.indices[:, :1] // 4 == right) for name, one in (("votes", found), ("plain", plain))}
    assert first["votes"] > first["plain"] + 0.03, first


def one_to_one(pairs: int = 120, seed: int = 0) -> Problem:
    """Pictures and texts in pairs, two of each near to each other."""
    random = np.random.default_rng(seed)
    base = np.repeat(random.normal(size=(pairs // 2, 16)), 2, axis=0) + 0.4 * random.normal(size=(pairs, 16))
    return Problem.from_embeddings(*(base + 0.6 * random.normal(size=base.shape) for _ in range(2)))


@pytest.mark.parametrize("queries", [2, 5, 30, 120])
def test_pairs_lose_nothing_however_few_ask(queries):
    before = after = 0
    for seed in range(12):
        problem = one_to_one(seed=seed).subset(queries=np.arange(queries))
        right = np.arange(queries)
        before += (problem.ranking(10).indices[:, 0] == right).mean()
        after += (rerankit.rerank(problem, "consensus", k=10).indices[:, 0] == right).mean()
    assert after >= before - 0.1


def test_scale_and_shift_do_not_matter():
    queries, items = people(queries=20, gallery=30)
    scores, relations = queries @ items.T, {"query_scores": queries @ queries.T, "gallery_scores": items @ items.T}
    expected = rerankit.rerank(Problem(scores, **relations), "consensus")
    for factor, added in ((0.25, 0), (64, 0), (1, -5), (2, 3)):
        moved = {name: factor * one + added for name, one in relations.items()}
        found = rerankit.rerank(Problem(factor * scores + added, **moved), "consensus")
        np.testing.assert_array_equal(found.indices[:, :3], expected.indices[:, :3])


def test_one_query_keeps_the_order_that_came_and_says_so():
    problem = Problem.from_embeddings(*people(queries=1, gallery=12))
    came = problem.ranking()
    came = came.with_scores(came.scores[:, ::-1].copy())
    found = stage("consensus", lone="pass").rerank(problem, came)
    np.testing.assert_array_equal(found.indices, came.indices)
    assert "order is as it came" in found.notes["consensus"]["note"]


def test_notes_say_how_far_neighbours_agree():
    found = []
    for views in (1, 4):
        random = np.random.default_rng(0)
        things = random.normal(size=(16, 8))
        items = np.repeat(things, views, axis=0) + 0.1 * random.normal(size=(16 * views, 8))
        problem = Problem.from_embeddings(things, items)
        found.append(rerankit.rerank(problem, "consensus", neighbours=3).notes["consensus"]["agreement"])
    assert found[1] > 3 * found[0]


@pytest.mark.parametrize(("queries", "gallery", "side"), [(7, 15, "gallery"), (15, 7, "query"), (9, 9, "gallery")])
def test_the_larger_side_votes(queries, gallery, side):
    problem = Problem.from_embeddings(*people(queries=queries, gallery=gallery))
    found = rerankit.rerank(problem, "consensus")
    np.testing.assert_array_equal(found.indices, rerankit.rerank(problem, "consensus", voters=side).indices)


def test_few_cells_change_little():
    problem = Problem.from_embeddings(*people(queries=20, gallery=60))
    whole = rerankit.rerank(problem, "consensus", k=5, cells_kept=1000)
    few = rerankit.rerank(problem, "consensus", k=5, cells_kept=15)
    assert np.mean(whole.indices[:, 0] == few.indices[:, 0]) > 0.8


def test_memory_budget_changes_nothing():
    problem = Problem.from_embeddings(*people())
    expected = rerankit.rerank(problem, "consensus")
    with settings.using(memory_budget=1000):
        np.testing.assert_allclose(rerankit.rerank(problem, "consensus").scores, expected.scores, atol=1e-4)


def test_needs_and_parameters():
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "consensus", voters="query")
    with pytest.raises(UnmetNeedError, match="gallery_scores"):
        rerankit.rerank([[1, 2]], "consensus", voters="gallery")
    with pytest.raises(UnmetNeedError, match="query_scores"):
        rerankit.rerank([[1, 2]], "consensus")
    with pytest.raises(InputError, match="'floor' must be above 0"):
        stage("consensus", floor=0)


def several_captions(pictures: int = 60, captions: int = 4) -> Problem:
    random = np.random.default_rng(0)
    base = random.normal(size=(pictures, 24))
    texts = np.repeat(base, captions, axis=0)
    return Problem.from_embeddings(
        base + 0.4 * random.normal(size=base.shape), texts + 0.4 * random.normal(size=texts.shape)
    )


def test_voters_of_the_wrong_side_are_noticed():
    problem = several_captions()
    rerankit.rerank(problem, "consensus", voters="gallery", k=10)
    with pytest.warns(RerankitWarning, match="voters='gallery', or 'larger'"):
        rerankit.rerank(problem, "consensus", voters="query", k=10)
    with pytest.warns(RerankitWarning, match="voters='query', or 'larger'"):
        rerankit.rerank(problem.reversed(), "consensus", voters="gallery", k=10)


def test_shares_are_equal_as_far_as_each_item_has_a_query():
    problem = several_captions()
    found = {equal: rerankit.rerank(problem, "consensus", equal_shares=equal, k=240) for equal in (False, True, "auto")}
    sure = found["auto"].notes["consensus"]["each_item"]
    assert sure > 0.9
    few = rerankit.rerank(problem.subset(queries=np.arange(12)), "consensus", k=10)
    assert few.notes["consensus"]["each_item"] < 0.4
    apart = [np.abs(found[equal].to_dense() - found["auto"].to_dense()).mean() for equal in (False, True)]
    assert apart[1] < 0.3 * apart[0]
    with pytest.raises(InputError, match="unknown equal_shares 'yes'"):
        stage("consensus", equal_shares="yes")
