"""LangChain's own retrievers and chains with a compressor that re-ranks."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import rerankit
from rerankit import Gallery
from rerankit.errors import InputError, UnmetNeedError

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.runnables import RunnableLambda, RunnablePassthrough

from rerankit.adapters.langchain import RerankitCompressor

RANDOM = np.random.default_rng(0)
ITEMS, BANK, QUERY = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8)), RANDOM.normal(size=8)
IDS = [f"d{n}" for n in range(30)]


class Fixed(Embeddings):
    def embed_documents(self, texts):
        return [QUERY.tolist() for _ in texts]

    def embed_query(self, text):
        return QUERY.tolist()


@pytest.fixture
def documents():
    return [
        Document(id=IDS[row], page_content=f"text {row}", metadata={"key": row, "score": 1 - row / 100})
        for row in (4, 11, 2, 25)
    ]


@pytest.fixture
def ready():
    return rerankit.prepare("nnn", Gallery(ITEMS, ids=IDS, bank=BANK))


def test_documents_come_in_the_order_of_a_prepared_gallery(ready, documents):
    before = [each.model_copy(deep=True) for each in documents]
    compressor = RerankitCompressor(how=ready, embed=Fixed(), top_n=3)
    found = compressor.compress_documents(documents, "anything")
    expected = ready.rerank(QUERY, candidates=[[each.id for each in documents]], k=3).to_dict()[0]
    assert {each.id: each.metadata["relevance_score"] for each in found} == pytest.approx(expected)
    assert [each.id for each in found] == list(expected)
    assert all("key" in each.metadata for each in found)
    assert documents == before
    assert asyncio.run(compressor.acompress_documents(documents, "anything")) == found
    assert compressor.compress_documents([], "anything") == []


def test_ids_and_scores_out_of_the_metadata(documents):
    ready = rerankit.prepare("nnn", Gallery(ITEMS, bank=BANK))
    compressor = RerankitCompressor(how=ready, id_key="key", score_key="score")
    found = compressor.compress_documents(documents, "anything")
    rows, scores = [each.metadata["key"] for each in documents], [each.metadata["score"] for each in documents]
    expected = ready.rerank(candidates=[rows], scores=[scores]).to_dict()[0]
    assert [each.metadata["key"] for each in found] == list(expected)
    documents[1].metadata.pop("score")
    with pytest.raises(
        InputError, match=r"'score_key' must be an entry of every .*\(got 'score', 1 of \d+ without, such as \[1\]"
    ):
        compressor.compress_documents(documents, "anything")


def test_in_a_chain(ready, documents):
    retriever = RunnableLambda(lambda query: documents)
    compressor = RerankitCompressor(how=ready, embed=lambda text: QUERY)
    chain = {"query": RunnablePassthrough(), "documents": retriever} | compressor.runnable()
    found = chain.invoke("anything")
    assert found == compressor.compress_documents(documents, "anything")
    assert asyncio.run(chain.ainvoke("anything")) == found
    assert chain.batch(["one", "two"]) == [found, found]


def test_in_a_retriever_of_langchain(ready, documents):
    retrievers = pytest.importorskip("langchain_classic.retrievers")
    compressor = RerankitCompressor(how=ready, embed=Fixed())
    whole = retrievers.ContextualCompressionRetriever(
        base_compressor=compressor, base_retriever=RunnableLambda(lambda query: documents)
    )
    assert whole.invoke("anything") == compressor.compress_documents(documents, "anything")


def test_what_is_wrong_is_said(ready):
    with pytest.raises(UnmetNeedError, match="'sinkhorn' looks at other queries"):
        RerankitCompressor(how="sinkhorn")
    with pytest.raises(ValueError, match="'top_n' must be at least 1"):
        RerankitCompressor(how=ready, top_n=0)
    with pytest.raises(InputError, match="documents must have the ids"):
        RerankitCompressor(how=ready, embed=Fixed()).compress_documents([Document(page_content="a")], "q")
    with pytest.raises(ValueError, match="Extra inputs"):
        RerankitCompressor(how=ready, topn=3)


def test_a_copy_with_other_fields_goes_by_these(ready, documents):
    compressor = RerankitCompressor(how=ready, embed=Fixed())
    assert len(compressor.model_copy(update={"top_n": 1}).compress_documents(documents, "a text")) == 1
    assert len(compressor.compress_documents(documents, "a text")) == len(documents)
