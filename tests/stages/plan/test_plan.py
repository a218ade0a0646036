from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Gallery, Problem, stage
from rerankit.errors import InputError, RerankitError
from rerankit.stages.cells import Cells
from rerankit.stages.hubness import partners
from strategies import people

BETA, SHARPNESS, NEIGHBOURS, ROUNDS = 6.0, 5.0, 3, 4


def things(items: int = 60, copies: int = 3, noise: float = 0.5, seed: int = 0, width: int = 24):
    """Items, earlier queries for each of them, and one new query for each, of a thing that items show roughly, too."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(items, width))

    def shown(copies: int, noise: float) -> np.ndarray:
        found = np.repeat(centres, copies, axis=0)
        found += noise * np.sqrt(width) / 4 * random.normal(size=found.shape)
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    return shown(1, 1.5 * noise), shown(copies, noise), shown(1, noise)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max())
    return powers / powers.sum()


def correction(others: np.ndarray, beta: float) -> np.ndarray:
    """The items' shift by loops over rows: every query gives one vote, and items take in what their places hold."""
    rows, columns = others.shape
    places = max(1.0, columns / rows)
    shift = np.zeros(columns)
    for _ in range(ROUNDS):
        received = sum(softmax(beta * row + shift) for row in others.astype(np.float64))
        shift = -np.log1p(received * np.exp(-shift) / places)
    return shift


def naive(scores: np.ndarray, others: np.ndarray, among: np.ndarray, to_others: np.ndarray, careful: float):
    """Scores (queries, items) by loops, where votes count in full; and the agreement."""
    shift = correction(others, careful) / careful
    own = correction(others, BETA)
    shares = [softmax(BETA * row + own) for row in others.astype(np.float64)]

    def vote(likeness: np.ndarray, without: int | None = None) -> np.ndarray:
        near = [at for at in np.argsort(-likeness, kind="stable") if at != without][:NEIGHBOURS]
        weights = softmax(SHARPNESS * likeness[near].astype(np.float64))
        return sum(weight * shares[at] for weight, at in zip(weights, near, strict=True))

    agreement = np.mean([vote(among[at], at)[int(shares[at].argmax())] for at in range(len(others))])
    found = np.empty(scores.shape)
    for query, row in enumerate(scores.astype(np.float64)):
        said = vote(to_others[query]) * scores.shape[1]
        found[query] = row + shift + np.log(1 - agreement + agreement * said) / BETA
    return found, agreement


def test_equals_the_formula_by_loops():
    items, log, asked = things()
    bank = Bank(to_gallery=log @ items.T, to_queries=log @ asked.T, to_bank=log @ log.T)
    problem = Problem(asked @ items.T, query_bank=bank)
    made = stage(
        "plan", strength=1, neighbours=NEIGHBOURS, beta=BETA, sharpness=SHARPNESS, iterations=ROUNDS, cells_kept=1000
    )
    found = made.rerank(problem, problem.ranking())
    notes = found.notes["plan"]
    assert notes["votes"] == 1.0
    careful = rerankit.rerank(problem, "sinkhorn", iterations=ROUNDS).notes["sinkhorn"]["beta"]
    expected, agreement = naive(asked @ items.T, log @ items.T, log @ log.T, asked @ log.T, careful)
    assert notes["agreement"] == pytest.approx(agreement, abs=1e-4)
    np.testing.assert_allclose(found.to_dense(), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_log_of_earlier_queries_tells_where_a_new_one_belongs(seed):
    items, log, asked = things(items=150, copies=4, noise=0.6, seed=seed)
    problem = Problem.from_embeddings(asked, items, query_bank=log)
    right = np.arange(len(items))

    def first(found: rerankit.Ranking) -> float:
        return float(np.mean(found.indices[:, 0] == right))

    balanced, planned = (rerankit.rerank(problem, name, k=50) for name in ("sinkhorn", "plan"))
    assert planned.notes["plan"]["votes"] > 0.3
    assert first(planned) > max(first(problem.ranking(1)), first(balanced)) + 0.03


@pytest.mark.parametrize("size", [20, 150, 600])
def test_queries_to_something_else_have_no_vote(size):
    items, _, asked = things(items=150, noise=0.6)
    _, elsewhere, _ = things(items=size, noise=0.6, seed=9)
    problem = Problem.from_embeddings(asked, items, query_bank=elsewhere)
    found = rerankit.rerank(problem, "plan", k=50)
    assert found.notes["plan"]["votes"] < 0.35
    if not found.notes["plan"]["votes"]:
        np.testing.assert_array_equal(found.indices, rerankit.rerank(problem, "sinkhorn", k=50).indices)


def test_pairs_among_test_queries_are_answered_as_by_sinkhorn():
    items, _, asked = things()
    problem = Problem.from_embeddings(asked, items)
    found = rerankit.rerank(problem, "plan", k=50)
    assert found.notes["plan"]["votes"] == 0
    np.testing.assert_array_equal(found.indices, rerankit.rerank(problem, "sinkhorn", k=50).indices)
    assert found.notes["looks_at"].queries


def test_several_test_queries_of_an_item_vote_for_each_other():
    items, log, _ = things(items=150, copies=4, noise=0.6)
    problem = Problem.from_embeddings(log, items)
    right = np.repeat(np.arange(150), 4)
    balanced, planned = (rerankit.rerank(problem, name, k=50).indices[:, 0] == right for name in ("sinkhorn", "plan"))
    assert planned.mean() > balanced.mean() + 0.02


@pytest.mark.parametrize("bank", [False, True])
def test_who_belongs_to_whom_is_read_once(bank, monkeypatch):
    def counted(scores, *more, **named):
        read.append(scores.shape)
        return above_usual(scores, *more, **named)

    read, above_usual = [], partners._above_usual
    monkeypatch.setattr(partners, "_above_usual", counted)
    random = np.random.default_rng(0)
    things = random.normal(size=(60, 8))
    queries, items = (np.repeat(things, 2, axis=0) + 0.1 * random.normal(size=(120, 8)) for _ in range(2))
    log = {"query_bank": queries} if bank else {}
    found = rerankit.rerank(Problem.from_embeddings(queries, items[::2], **log), "plan", k=5)
    assert found.notes["plan"]["votes"] > 0
    # Of a bank, whether it asks for items evenly is read off fewer rows.
    assert read == ([(120, 60), (120, 60)] if bank else [(120, 60), (60, 120)])


def test_cells_of_a_bank_are_looked_for_once(monkeypatch):
    def counted(scores, *more):
        looked_for.append(scores.shape)
        return best(scores, *more)

    looked_for, best = [], Cells.best
    monkeypatch.setattr(Cells, "best", counted)
    monkeypatch.setattr("rerankit.stages.hubness.claims._HELD", 1000)
    items, log, asked = things(80)
    found = rerankit.rerank(Problem.from_embeddings(asked, items, query_bank=log), "plan", k=5)
    assert looked_for == [(240, 80)]
    rerankit.rerank(Problem.from_embeddings(asked, items, query_bank=np.tile(log, (2, 1))), "plan", k=5)
    assert looked_for[1:] == [(240, 80), (480, 80)]
    assert found.notes["plan"]["votes"] > 0


def test_one_query_alone_keeps_its_order():
    problem = Problem.from_embeddings(*people(queries=1, gallery=12))
    found = rerankit.rerank(problem, "plan", lone="pass")
    np.testing.assert_array_equal(found.indices, problem.ranking().indices)
    assert "order is as it came" in found.notes["plan"]["note"]


def test_a_prepared_gallery_answers_as_the_batch_does(tmp_path):
    items, log, asked = things()
    expected = rerankit.rerank(Problem.from_embeddings(asked, items, query_bank=log), "plan", k=20)
    ready = rerankit.prepare("plan", Gallery(items, bank=log))
    ready.save(tmp_path / "ready")
    for one in (ready, rerankit.load(tmp_path / "ready")):
        found = [one.rerank(query, k=20) for query in asked[:9]]
        np.testing.assert_array_equal(np.concatenate([each.indices for each in found]), expected.indices[:9])
        np.testing.assert_array_equal(np.concatenate([each.scores for each in found]), expected.scores[:9])


def test_a_bank_without_relations_is_refused():
    items, log, asked = things()
    problem = Problem(asked @ items.T, query_bank=Bank(to_gallery=log @ items.T))
    with pytest.raises(RerankitError, match="to_queries"):
        rerankit.rerank(problem, "plan")
    with pytest.raises(RerankitError, match="give Gallery"):
        rerankit.prepare("plan", Gallery(items))


def test_scale_and_shift_do_not_matter():
    items, log, asked = things()
    bank = {"to_gallery": log @ items.T, "to_queries": log @ asked.T, "to_bank": log @ log.T}
    expected = rerankit.rerank(Problem(asked @ items.T, query_bank=Bank(**bank)), "plan")
    for factor, added in ((0.25, 0), (64, 0), (1, -5)):
        moved = Bank(**{name: factor * one + added for name, one in bank.items()})
        found = rerankit.rerank(Problem(factor * (asked @ items.T) + added, query_bank=moved), "plan")
        np.testing.assert_array_equal(found.indices[:, :3], expected.indices[:, :3])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"neighbours": 0}, "'neighbours'"),
        ({"beta": -1}, "'beta'"),
        ({"bank": 3}, "'bank'"),
        ({"cells_kept": 0}, "'cells"),
        ({"strength": 2}, "'strength'"),
    ],
)
def test_bad_parameters(params, said):
    with pytest.raises(InputError, match=said):
        stage("plan", **params)
