"""A ranker in real pipelines of Haystack: run, written, read, loaded from a folder."""

from __future__ import annotations

import numpy as np
import pytest

import rerankit
from rerankit import Gallery, Problem
from rerankit.errors import InputError, UnmetNeedError

haystack = pytest.importorskip("haystack")

from haystack import Document  # noqa: E402

from rerankit.adapters.haystack import RerankitRanker  # noqa: E402

RANDOM = np.random.default_rng(0)
ITEMS, BANK, QUERY = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8)), RANDOM.normal(size=8)
IDS = [f"d{n}" for n in range(30)]
ROWS = (4, 11, 2, 25)
ASKED = {"query": "anything", "query_embedding": QUERY.tolist()}


def documents():
    return [Document(id=IDS[row], content=f"text {row}", embedding=ITEMS[row].tolist()) for row in ROWS]


@pytest.fixture
def folder(tmp_path):
    rerankit.prepare("nnn", Gallery(ITEMS, ids=IDS, bank=BANK)).save(tmp_path / "ready")
    return str(tmp_path / "ready")


def test_a_saved_gallery_answers(folder):
    ranker = RerankitRanker(folder=folder, top_k=3)
    ranker.warm_up()
    given = documents()
    found = ranker.run(documents=given, **ASKED)["documents"]
    expected = rerankit.load(folder).rerank(QUERY, candidates=[[IDS[row] for row in ROWS]], k=3).to_dict()[0]
    assert {each.id: each.score for each in found} == pytest.approx(expected)
    assert [each.id for each in found] == list(expected)
    assert all(each.score is None for each in given)
    assert len(ranker.run(documents=given, top_k=1, **ASKED)["documents"]) == 1
    assert ranker.run(documents=[], **ASKED) == {"documents": []}
    twice = ranker.run(documents=[*given, *documents()[:2]], top_k=10, **ASKED)["documents"]
    assert sorted(each.id for each in twice) == sorted(each.id for each in given)


@pytest.mark.parametrize("stage", ["alpha-qe", rerankit.Pipeline(["alpha-qe"]).to_yaml()])
def test_a_stage_by_name_or_as_yaml(stage):
    found = RerankitRanker(stage).run(documents=[*documents(), *documents()[:2]], **ASKED)["documents"]
    expected = rerankit.rerank(Problem.from_embeddings(QUERY[None], ITEMS[list(ROWS)]), "alpha-qe")
    assert [each.id for each in found] == [IDS[ROWS[place]] for place in expected.indices[0]]


def test_in_a_pipeline_that_is_written_and_read(folder):
    from haystack.components.retrievers import InMemoryEmbeddingRetriever
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    store = InMemoryDocumentStore(embedding_similarity_function="cosine", return_embedding=True)
    store.write_documents(documents())
    pipeline = haystack.Pipeline()
    pipeline.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=4))
    pipeline.add_component("ranker", RerankitRanker(folder=folder))
    pipeline.connect("retriever.documents", "ranker.documents")
    asked = {"retriever": {"query_embedding": QUERY.tolist()}, "ranker": ASKED}
    found = [each.id for each in pipeline.run(asked)["ranker"]["documents"]]
    assert found == [each.id for each in RerankitRanker(folder=folder).run(documents=documents(), **ASKED)["documents"]]
    alone = haystack.Pipeline()
    alone.add_component("ranker", RerankitRanker(folder=folder, top_k=2))
    again = haystack.Pipeline.loads(alone.dumps(), allowed_modules=["rerankit.adapters.haystack"])
    assert again.run({"ranker": {**ASKED, "documents": documents()}})["ranker"]["documents"][0].id == found[0]
    assert again.get_component("ranker").to_dict() == alone.get_component("ranker").to_dict()


def test_what_is_wrong_is_said(folder):
    for given in ({}, {"stage": "fuse", "folder": folder}):
        with pytest.raises(InputError, match="'stage' must be given, or 'folder'"):
            RerankitRanker(**given)
    with pytest.raises(InputError, match=r"'stage' must be a stage's name or the YAML of a pipeline.* \(got Fuse\)"):
        RerankitRanker(rerankit.stage("fuse"))
    with pytest.raises(UnmetNeedError, match="'sinkhorn' looks at other queries"):
        RerankitRanker("sinkhorn")
    with pytest.raises(InputError, match="'top_k' must be at least 1"):
        RerankitRanker(folder=folder).run(documents=documents(), top_k=0, **ASKED)
    with pytest.raises(InputError, match="'embed' must be given"):
        RerankitRanker(folder=folder).run(query="anything", documents=documents())
