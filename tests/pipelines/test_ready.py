"""Galleries that stand ready: the answer of the batch, from what was prepared."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import rerankit
from rerankit import Bank, Gallery, Looks, Pipeline, Problem, Ranking, load, prepare, stage
from rerankit.errors import InputError, UnknownNameError, UnmetNeedError

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD = (RANDOM.normal(size=(count, 8)) for count in (300, 7, 60))
NAMES = [f"item-{row}" for row in range(300)]
READY = {
    "nnn": stage("nnn"),
    "csls": stage("csls"),
    "inverted-softmax": stage("inverted-softmax"),
    "dual-softmax": stage("dual-softmax"),
    "sinkhorn": stage("sinkhorn"),
    "qb-norm": stage("qb-norm"),
    "dual-is": stage("dual-is"),
    "mutual-rank": stage("mutual-rank"),
    "mutual-neighbours": stage("mutual-neighbours"),
    "published": stage("csls", published=True),
    "fuse": stage("fuse", sources=["ranking", stage("nnn"), stage("mutual-rank")]),
    "top": stage("sinkhorn").top(5),
    "pipeline": Pipeline([stage("nnn").top(20), stage("mutual-rank").top(5)]),
    "k-reciprocal": stage("k-reciprocal"),
    "gnn": stage("gnn"),
    "alpha-qe": stage("alpha-qe"),
    "dba": stage("dba"),
    "diffusion": stage("diffusion"),
    "consensus": stage("consensus", voters="gallery"),
}


DISTANCES = ("nnn", "mutual-rank", "pipeline", "gnn", "consensus")
CASES = [(name, "cosine") for name in READY] + [(name, "euclidean") for name in DISTANCES]


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_one_query_gets_the_answer_of_the_batch_to_the_bit(name, metric):
    how = READY[name]
    batch = rerankit.rerank(Problem.from_embeddings(QUERIES, ITEMS, metric, query_bank=OLD), how, k=30)
    ready = prepare(how, Gallery(ITEMS, metric=metric, bank=OLD))
    assert Ranking.concat([ready.rerank(query, k=30) for query in QUERIES]) == batch
    assert ready.rerank(QUERIES[::-1], k=30) == batch.take(np.arange(len(QUERIES))[::-1])


@pytest.mark.parametrize("name", ["nnn", "csls", "dual-softmax", "mutual-rank", "sinkhorn"])
def test_lists_and_matrices_are_answered_as_in_a_batch(name):
    bank = Bank(to_gallery=OLD @ ITEMS.T)
    scores = np.float32(QUERIES @ ITEMS.T)
    ready = prepare(name, Gallery.from_scores(bank=bank))
    whole = Problem(scores, query_bank=bank)
    batch = rerankit.rerank(whole, name, k=20)
    assert Ranking.concat([ready.rerank(scores=row, k=20) for row in scores]) == batch
    first = whole.ranking(20)
    lists = Problem.from_rankings(first.indices, first.scores, 300, query_bank=bank)
    batch = rerankit.rerank(lists, name, k=20)
    alone = [ready.rerank(candidates=first.indices[row], scores=first.scores[row]) for row in range(len(first))]
    assert Ranking.concat(alone) == batch


def test_the_list_of_a_vector_database_is_answered_by_id():
    ready = prepare("nnn", Gallery(ITEMS, ids=NAMES, bank=OLD))
    found = ready.rerank(QUERIES[0], k=5)
    items = found.gallery_ids[found.indices[0]].tolist()
    again = ready.rerank(QUERIES[0], candidates=items[::-1], scores=[0.5, 0.4, 0.3, 0.2, 0.1])
    assert again.to_dict() == found.to_dict()


def test_what_depends_on_the_bank_is_computed_once(monkeypatch):
    ready = prepare(READY["fuse"], Gallery(ITEMS, bank=OLD))
    monkeypatch.setattr(rerankit.stages.hubness.nnn.NNN, "correction", None)
    monkeypatch.setattr("rerankit.stages.hubness.mutual.frame_of", None)
    monkeypatch.setattr("rerankit.stages.hubness.mutual.ranks_among", None)
    assert ready.rerank(QUERIES[0], k=5).shape == (1, 5)


@pytest.mark.parametrize(("how", "most"), [("nnn", 530), ("mutual-rank", 600), ("fuse", 900)])
def test_a_query_whose_candidates_are_given_reads_these_alone_and_asks_little(how, most, monkeypatch):
    ready = prepare(READY[how], Gallery(ITEMS, bank=OLD))
    candidates, scores = RANDOM.permutation(300)[:100], np.sort(RANDOM.normal(size=100))[::-1]
    ready.rerank(QUERIES[0], candidates=candidates, scores=scores)
    monkeypatch.setattr(rerankit.EmbeddingScores, "rows", lambda *_: pytest.fail("whole rows are read"))
    calls = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None)
    try:
        ready.rerank(QUERIES[1], candidates=candidates, scores=scores)
    finally:
        sys.setprofile(None)
    assert len(calls) < most  # functions of Python, which are what such a query costs


@pytest.mark.parametrize("name", ["k-reciprocal", "gnn", "diffusion", "dba", "alpha-qe"])
def test_graphs_of_neighbours_are_made_once(name, monkeypatch):
    ready = prepare(name, Gallery(ITEMS, bank=OLD))
    for made in ("joint.nearest", "diffusion.normalised_graph", "stage.say_of", "mixing.shares_of"):
        if name in ("k-reciprocal", "gnn") and made == "joint.nearest":
            continue  # a query's own neighbours
        monkeypatch.setattr(f"rerankit.stages.neighbours.{made}", None)
    assert ready.rerank(QUERIES[0], k=5).shape == (1, 5)


def test_a_stage_that_looks_at_queries_is_refused_by_name():
    bare = Gallery(ITEMS)
    with pytest.raises(UnmetNeedError, match=r"stage 'nnn' looks at the other test queries.*Gallery\(…, bank=…\)"):
        prepare(Pipeline([stage("dba"), stage("fuse", sources=["scores", stage("nnn")])]), bare)
    with pytest.raises(UnmetNeedError, match=r"stage 'consensus' looks at .*voters='query'.*: a bank must stand"):
        prepare("consensus", Gallery(ITEMS, bank=OLD), voters="query")
    with pytest.raises(UnmetNeedError, match="a bank must stand in the place of the queries"):
        prepare("nnn", Gallery(ITEMS, bank=OLD), bank="queries")
    with pytest.raises(UnmetNeedError, match="'k-reciprocal' needs query_bank:to_bank"):
        prepare("k-reciprocal", Gallery(ITEMS, bank=Bank(to_gallery=OLD @ ITEMS.T)))
    with pytest.raises(UnmetNeedError, match="stage 'dba' needs gallery_scores"):
        prepare("dba", Gallery.from_scores(size=4))


@pytest.mark.parametrize("how", ["nnn", "sinkhorn", "mutual-rank", "plan", "consensus"])
def test_with_lone_pass_every_query_keeps_its_order_until_there_is_a_bank(how, tmp_path):
    bare = Gallery(ITEMS)
    with pytest.raises(UnmetNeedError, match="with lone='pass' every query keeps its order"):
        prepare(how, bare)
    first = bare.ranking(bare.problem(QUERIES[:3]), k=7)
    ready = prepare(stage("fuse", sources=["ranking"]) >> stage(how, lone="pass"), bare)
    ready.save(tmp_path / "ready")
    for one in (ready, load(tmp_path / "ready"), ready.updated(remove=[5]).updated(add=ITEMS[5:6])):
        assert one.info()[1]["keeps"].startswith("nothing")
        assert one.rerank(QUERIES[0], k=7).notes[how]["note"].startswith("one query has no other queries")
    for found in (ready.rerank(QUERIES[:3], k=7), load(tmp_path / "ready").rerank(QUERIES[:3], k=7)):
        assert np.array_equal(found.indices, first.indices)
        assert found.notes["looks_at"] == Looks()
    banked = prepare(how, bare, lone="pass").updated(bank=OLD).rerank(QUERIES[:3], k=7)
    assert banked == prepare(how, Gallery(ITEMS, bank=OLD)).rerank(QUERIES[:3], k=7)
    assert banked.notes["looks_at"] == Looks(bank=True)


def test_needs_of_queries_are_checked_when_they_come():
    ready = prepare(stage("fuse", sources=["ranking", "other"]), Gallery(ITEMS))
    with pytest.raises(UnmetNeedError, match="needs extra_scores:other"):
        ready.rerank(QUERIES[0])
    assert ready.rerank(QUERIES[0], extra_scores={"other": np.zeros((1, 300))}, k=3).shape == (1, 3)


ASKED_FOR = [
    ("k-reciprocal", "needs query_bank:to_queries: give bank_scores=…, the query's similarities to the bank"),
    (
        stage("fuse", sources=["ranking", "captions"]),
        r"needs extra_scores:captions: give extra_scores=\{'captions': …\}",
    ),
]


@pytest.mark.parametrize(("how", "message"), ASKED_FOR)
def test_what_a_query_lacks_is_asked_for_in_the_words_of_a_gallery_that_stands(how, message):
    among = Bank(to_gallery=OLD @ ITEMS.T, to_bank=OLD @ OLD.T)
    ready = prepare(how, Gallery.from_scores(gallery_scores=ITEMS @ ITEMS.T, bank=among))
    with pytest.raises(UnmetNeedError, match=f"^stage '[a-z-]*' {message}"):
        ready.rerank(scores=QUERIES[0] @ ITEMS.T)
    with pytest.raises(UnmetNeedError, match=r"'hmrn' needs gallery_features:regions: give Gallery\(…, features=\{"):
        prepare("hmrn", Gallery(ITEMS))
    with pytest.raises(UnmetNeedError, match=r"needs gallery_scores: give Gallery\(vectors\), or Gallery.from_scores"):
        prepare("dba", Gallery.from_scores(size=3))


def test_a_saved_stage_is_prepared_from_its_folder(tmp_path):
    stage("nnn", alpha=0.3).save(tmp_path / "kept")
    gallery = Gallery(ITEMS, bank=OLD)
    found = prepare(tmp_path / "kept", gallery).rerank(QUERIES, k=9)
    assert found == prepare("nnn", gallery, alpha=0.3).rerank(QUERIES, k=9)


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match=r"'gallery' must be a rerankit.Gallery"):
        prepare("nnn", ITEMS)
    with pytest.raises(UnknownNameError, match="unknown stage 'nn'"):
        prepare("nn", Gallery(ITEMS))
    with pytest.raises(InputError, match="'k' must be at least 1"):
        prepare("dba", Gallery(ITEMS)).rerank(QUERIES[0], k=0)


@pytest.mark.parametrize("name", ["diffusion", "alpha-qe", "nnn", "fuse", "k-reciprocal", "gnn"])
def test_candidates_that_are_the_nearest_of_all_items_are_not_looked_for_again(name, monkeypatch):
    ready = prepare(READY[name], Gallery(ITEMS, ids=NAMES, bank=OLD))
    first = ready.gallery.problem(QUERIES).ranking(100)
    candidates, scores = first.gallery_ids[first.indices[:, ::-1]].tolist(), np.arange(100.0)[::-1] + np.zeros((7, 1))
    expected = ready.rerank(QUERIES, candidates=candidates, scores=scores)
    searches = []
    search = rerankit.scores.embedding.first_of_rows
    monkeypatch.setattr(
        "rerankit.scores.embedding.first_of_rows",
        lambda products, k: searches.append(len(products.of_columns)) or search(products, k),
    )
    monkeypatch.setattr("rerankit.scores.embedding.ends_of_both", lambda *_, **__: pytest.fail("items are searched"))
    found = ready.rerank(QUERIES, candidates=candidates, scores=scores, nearest=True)
    assert len(ITEMS) not in searches
    if name in ("k-reciprocal", "gnn"):  # what lies farthest is told by a sample
        np.testing.assert_array_equal(found.indices[:, :5], expected.indices[:, :5])
    else:
        assert found == expected


def test_what_cannot_be_the_nearest_items_is_refused():
    ready = prepare("diffusion", Gallery(ITEMS))
    for given in ({"queries": QUERIES}, {"candidates": [[0, 1]], "scores": [[2, 1]]}):
        with pytest.raises(InputError, match="nearest=True needs queries as vectors, and candidates="):
            ready.rerank(**given, nearest=True)
    with pytest.raises(InputError, match="'candidates' must be lists of one length where they are the nearest"):
        ready.rerank(QUERIES[:2], candidates=[[0, 1], [2]], nearest=True)
    with pytest.raises(InputError, match="'nearest' must be"):
        ready.rerank(QUERIES[:1], candidates=[[0, 1]], nearest="yes")


@pytest.mark.parametrize(
    ("takes_bank", "advice"), [(True, "give Gallery(…, bank=…)"), (False, "use rerankit.rerank(problem")]
)
def test_a_stage_that_looks_at_a_bank_is_told_to_bring_one(takes_bank, advice):
    class Looking(rerankit.Stage):
        name = "looking"

        def looks_at(self, problem=None):
            return Looks(queries=not takes_bank or problem is None or problem.query_bank is None)

        def rescore(self, problem, ranking):
            return ranking.scores

    with pytest.raises(UnmetNeedError) as error:
        prepare(Looking(), Gallery(np.eye(4)))
    assert advice in str(error.value)
