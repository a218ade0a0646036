"""Stages among PyTerrier's transformers, and its transformers among stages."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Gallery, Problem
from rerankit.errors import InputError
from rerankit.testing import check_stage, make_problem

pt = pytest.importorskip("pyterrier")
pd = pytest.importorskip("pandas")

from rerankit.adapters.pyterrier import PyTerrierStage, RerankitTransformer  # noqa: E402


@pytest.fixture(autouse=True)
def _no_page_of_documentation(monkeypatch):
    """Schematics ask a server where a class is documented."""
    monkeypatch.setattr(pt.documentation, "url_for_class", lambda *given, **options: None)


pytestmark = pytest.mark.filterwarnings("default")  # PyTerrier's own

RANDOM = np.random.default_rng(0)
QUERIES, ITEMS, BANK = RANDOM.normal(size=(4, 8)), RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(20, 8))
QIDS, DOCNOS = [f"q{n}" for n in range(4)], [f"d{n}" for n in range(30)]
WHOLE = Problem.from_embeddings(QUERIES, ITEMS, query_ids=QIDS, gallery_ids=DOCNOS)


def frame(vectors=False, k=12):
    """The first k documents of every query, as a retriever gives them."""
    lines = WHOLE.ranking(k).to_pandas().rename(columns={"query": "qid", "item": "docno"})
    lines["rank"] -= 1
    lines["query"] = "text of " + lines["qid"]
    lines["text"] = "text of " + lines["docno"]
    if vectors:
        lines["query_vec"] = [QUERIES[QIDS.index(name)] for name in lines["qid"]]
        lines["doc_vec"] = [ITEMS[DOCNOS.index(name)] for name in lines["docno"]]
    return lines


def run(lines):
    return {qid: dict(zip(rows["docno"], rows["score"], strict=True)) for qid, rows in lines.groupby("qid", sort=False)}


def same(found, ranking):
    expected = ranking.to_dict()
    assert {qid: list(items) for qid, items in run(found).items()} == {q: list(items) for q, items in expected.items()}
    for qid, items in run(found).items():
        assert items == pytest.approx(expected[qid])
    assert found.groupby("qid")["rank"].apply(list).tolist() == [list(range(len(items))) for items in expected.values()]


def test_a_frame_of_lists():
    given = frame()
    before = given.copy()
    found = RerankitTransformer("csls")(given)
    same(found, rerankit.rerank(Problem(given[["qid", "docno", "score"]]), "csls"))
    pd.testing.assert_frame_equal(given, before)
    assert (found["text"] == "text of " + found["docno"]).all()
    assert (found["query"] == "text of " + found["qid"]).all()
    assert set(found.columns) == set(given.columns)
    shuffled = given.sample(frac=1, random_state=0)
    assert run(RerankitTransformer("csls")(shuffled)).keys() == run(found).keys()


def test_vectors_relate_queries_and_documents():
    given = frame(vectors=True)
    docnos = given["docno"].drop_duplicates().tolist()
    rows = [DOCNOS.index(name) for name in docnos]
    problem = Problem.from_embeddings(QUERIES, ITEMS[rows], query_ids=QIDS, gallery_ids=docnos)
    for how in ("k-reciprocal", rerankit.stage("alpha-qe") >> "fuse"):
        expected = rerankit.Pipeline([how]).rerank(problem, problem.ranking(12))
        same(RerankitTransformer(how)(given), expected)
    banked = Problem.from_embeddings(QUERIES, ITEMS[rows], query_ids=QIDS, gallery_ids=docnos, query_bank=BANK)
    same(RerankitTransformer("nnn", bank=BANK)(given), rerankit.rerank(banked, "nnn", k=12))
    given.at[given.index[0], "doc_vec"] = None
    with pytest.raises(InputError, match=r"'doc_vec' must have a vector of one length in every row \(got rows without"):
        RerankitTransformer("k-reciprocal")(given)


@pytest.mark.parametrize("how", ["vectors", "embed", "scores"])
def test_a_gallery_that_stands_ready(how):
    ready = rerankit.prepare("nnn", Gallery(ITEMS, ids=DOCNOS, bank=BANK))
    given = frame(vectors=how == "vectors")
    vectors = {"text of " + name: QUERIES[row] for row, name in enumerate(QIDS)}
    embed = vectors.get if how == "embed" else None
    found = RerankitTransformer(ready, embed=embed)(given)
    first = WHOLE.ranking(12).to_dict()
    expected = ready.rerank(
        None if how == "scores" else QUERIES,
        candidates=[list(items) for items in first.values()],
        scores=[list(items.values()) for items in first.values()],
        ids=QIDS,
    )
    same(found, expected)
    one = RerankitTransformer(ready, embed=embed)(given[given["qid"] == "q2"])
    assert run(one)["q2"] == run(found)["q2"]


def test_operators_and_inspection():
    given = frame()
    retriever = pt.Transformer.from_df(given)
    queries = pd.DataFrame({"qid": QIDS, "query": ["text of " + name for name in QIDS]})
    reranked = RerankitTransformer("csls")
    cut = (retriever % 5 >> reranked)(queries)
    same(cut, rerankit.rerank(Problem(given[given["rank"] < 5][["qid", "docno", "score"]]), "csls"))
    assert len((retriever >> reranked % 3)(queries)) == 12
    fused = (retriever >> (reranked + RerankitTransformer("mutual-rank")))(queries)
    assert len(fused) == len(given)
    assert pt.inspect.transformer_inputs(reranked)[0] == ["qid", "docno", "score"]
    assert pt.inspect.transformer_outputs(reranked, ["qid", "docno", "score"]) == ["qid", "docno", "score", "rank"]
    assert "query_vec" in pt.inspect.transformer_inputs(RerankitTransformer("alpha-qe"))[0]
    assert pt.inspect.transformer_inputs(PyReads())[0][3:] == ["query", "text"]
    parts = pt.schematic.transformer_schematic(retriever >> reranked % 3)
    assert [part["label"] for part in parts["transformers"]][1] == "Rerankit"


class Words(rerankit.Stage):
    """Documents in the alphabet's order."""

    name = "words"
    needs = ("query_features:text", "gallery_features:text")

    def rescore(self, problem, ranking):
        order = sorted(problem.gallery_features["text"])
        return [[-order.index(problem.gallery_features["text"][d]) for d in row] for row in ranking.indices]


def PyReads():  # noqa: N802
    return RerankitTransformer(Words())


def test_texts_are_read():
    found = PyReads()(frame())
    assert all(rows["text"].tolist() == sorted(rows["text"]) for _, rows in found.groupby("qid"))
    with pytest.raises(pt.validate.InputValidationError, match="text"):
        PyReads()(frame().drop(columns="text"))


@pytest.mark.parametrize("how", ["csls", "alpha-qe"])
def test_empty_frames(how):
    transformer = RerankitTransformer(how)
    for columns in pt.inspect.transformer_inputs(transformer):
        found = transformer(pd.DataFrame(columns=columns))
        assert len(found) == 0
        assert list(found.columns) == [*columns, "rank"]


class TestByPyTerriersOwnChecks(
    pt.testing.transformer_test_class(lambda: RerankitTransformer("csls"))  # the class that PyTerrier offers for this
):
    pass


def test_an_experiment():
    given = frame()
    queries = pd.DataFrame({"qid": QIDS, "query": ["text of " + name for name in QIDS]})
    qrels = pd.DataFrame({"qid": QIDS, "docno": [f"d{n}" for n in range(4)], "label": 1})
    retriever = pt.Transformer.from_df(given)
    found = pt.Experiment([retriever, retriever >> RerankitTransformer("csls")], queries, qrels, ["recip_rank"])
    expected = [
        rerankit.evaluate(ranking, qrels, ["mrr"])["mrr"]
        for ranking in (WHOLE.ranking(12), rerankit.rerank(Problem(given[["qid", "docno", "score"]]), "csls"))
    ]
    np.testing.assert_allclose(found["recip_rank"], expected, atol=1e-4)


def by_length(lines):
    return lines.assign(score=-lines["docno"].str.len() - lines["docno"].str[-1].astype(int) / 100)


def test_a_transformer_is_a_stage():
    transformer = pt.apply.generic(lambda lines: pt.model.add_ranks(by_length(lines)))
    found = rerankit.rerank(WHOLE, PyTerrierStage(transformer), k=12)
    lines = by_length(frame()).sort_values(["qid", "score"], ascending=[True, False], kind="stable")
    assert {q: list(items) for q, items in found.to_dict().items()} == {
        q: rows["docno"].tolist() for q, rows in lines.groupby("qid")
    }
    cut = rerankit.rerank(WHOLE, PyTerrierStage(transformer % 3), k=12)
    first = {q: list(items)[:3] for q, items in found.to_dict().items()}
    for query, items in cut.to_dict().items():
        assert list(items)[:3] == first[query]
        rest = [name for name in WHOLE.ranking(12).to_dict()[query] if name not in first[query]]
        assert list(items)[3:] == rest
    with pytest.raises(InputError, match="'transformer' must be a Transformer of PyTerrier"):
        PyTerrierStage(len)


def test_a_transformer_reads_texts_of_a_problem():
    texts = {
        "query_features": {"text": QIDS},
        "gallery_features": {"text": [f"{len(DOCNOS) - n:02}" for n in range(30)]},
    }
    problem = WHOLE.with_features(**texts)
    transformer = pt.apply.doc_score(lambda line: int(line["text"]))
    found = rerankit.rerank(problem, PyTerrierStage(transformer), k=12)
    assert (np.diff(found.indices, axis=1) > 0).all()


def test_the_stage_passes_the_kit():
    skip = {name: "a transformer is an object of its own" for name in ("check_save", "check_pickle")}
    transformer = pt.apply.doc_score(lambda line: -line["score"])
    check_stage(lambda: PyTerrierStage(transformer), make_problem, skip=skip)
