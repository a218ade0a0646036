"""Nodes of LlamaIndex re-ranked: with a prepared gallery, and by the embeddings that come with them."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

import rerankit
from rerankit import Gallery, Problem
from rerankit.errors import InputError, UnmetNeedError

pytest.importorskip("llama_index")

from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rerankit.adapters.llama_index import RerankitPostprocessor

RANDOM = np.random.default_rng(0)
ITEMS, BANK, QUERY = RANDOM.normal(size=(30, 8)), RANDOM.normal(size=(40, 8)), RANDOM.normal(size=8)
IDS = [f"d{n}" for n in range(30)]
ROWS = (4, 11, 2, 25)
SCORES = (0.9, 0.5, 0.0, -0.2)


def nodes(embedded=True, scored=True):
    return [
        NodeWithScore(
            node=TextNode(id_=IDS[row], text=f"text {row}", embedding=ITEMS[row].tolist() if embedded else None),
            score=score if scored else None,
        )
        for row, score in zip(ROWS, SCORES, strict=True)
    ]


@pytest.fixture
def ready():
    return rerankit.prepare("nnn", Gallery(ITEMS, ids=IDS, bank=BANK))


def test_the_querys_own_embedding_asks_a_prepared_gallery(ready):
    bundle = QueryBundle("anything", embedding=QUERY.tolist())
    given = nodes()
    found = RerankitPostprocessor(how=ready, top_n=3).postprocess_nodes(given, bundle)
    candidates = [[IDS[row] for row in ROWS]]
    expected = ready.rerank(QUERY, candidates=candidates, scores=[SCORES], k=3).to_dict()[0]
    assert {each.node_id: each.score for each in found} == pytest.approx(expected)
    assert [each.node_id for each in found] == list(expected)
    assert [each.score for each in given] == list(SCORES)
    unscored = RerankitPostprocessor(how=ready).postprocess_nodes(nodes(scored=False), bundle)
    assert {each.node_id: each.score for each in unscored} == pytest.approx(
        ready.rerank(QUERY, candidates=candidates).to_dict()[0]
    )


def test_embeddings_of_nodes_say_how_they_are_alike():
    bundle = QueryBundle("anything", embedding=QUERY.tolist())
    found = RerankitPostprocessor(how="alpha-qe").postprocess_nodes(nodes(scored=False), bundle)
    expected = rerankit.rerank(Problem.from_embeddings(QUERY[None], ITEMS[list(ROWS)]), "alpha-qe")
    assert [each.node_id for each in found] == [IDS[ROWS[place]] for place in expected.indices[0]]
    with pytest.raises(UnmetNeedError, match="alpha-qe"):
        RerankitPostprocessor(how="alpha-qe").postprocess_nodes(nodes(embedded=False), bundle)


def test_an_embedding_model_and_the_score_before(ready):
    from llama_index.core.embeddings import MockEmbedding

    class Fixed(MockEmbedding):
        def _get_query_embedding(self, query):
            return QUERY.tolist()

    found = RerankitPostprocessor(how=ready, embed=Fixed(embed_dim=8), keep_retrieval_score=True).postprocess_nodes(
        nodes(), query_str="anything"
    )
    by_bundle = RerankitPostprocessor(how=ready).postprocess_nodes(nodes(), QueryBundle("x", embedding=QUERY.tolist()))
    assert [(each.node_id, each.score) for each in found] == [(each.node_id, each.score) for each in by_bundle]
    assert {each.node_id: each.metadata["retrieval_score"] for each in found} == {
        IDS[row]: score for row, score in zip(ROWS, SCORES, strict=True)
    }
    assert "retrieval_score" not in by_bundle[0].metadata


def test_in_an_engine_and_awaited(ready):
    from llama_index.core.llms import MockLLM
    from llama_index.core.query_engine import RetrieverQueryEngine
    from llama_index.core.response_synthesizers import get_response_synthesizer
    from llama_index.core.retrievers import BaseRetriever

    class Given(BaseRetriever):
        def _retrieve(self, query_bundle):
            return nodes()

    processor = RerankitPostprocessor(how=ready, embed=lambda text: QUERY, top_n=2)
    engine = RetrieverQueryEngine(
        Given(),
        response_synthesizer=get_response_synthesizer(response_mode="compact", llm=MockLLM()),
        node_postprocessors=[processor],
    )
    alone = processor.postprocess_nodes(nodes(), query_str="anything")
    assert [each.node_id for each in engine.query("anything").source_nodes] == [each.node_id for each in alone]
    again = asyncio.run(processor.apostprocess_nodes(nodes(), query_str="anything"))
    assert [each.node_id for each in again] == [each.node_id for each in alone]
    assert processor.to_dict()["class_name"] == "RerankitPostprocessor"
    assert "top_n" in processor.to_json()  # what is no JSON is left out


def test_what_is_wrong_is_said(ready):
    processor = RerankitPostprocessor(how=ready)
    assert processor.postprocess_nodes([]) == []
    with pytest.raises(InputError, match="'query_bundle' must be given"):
        processor.postprocess_nodes(nodes())
    with pytest.raises(InputError, match="'embed' must be given"):
        processor.postprocess_nodes(nodes(scored=False), query_str="anything")
    with pytest.raises(UnmetNeedError, match="'k-reciprocal' looks at other queries"):
        RerankitPostprocessor(how="k-reciprocal")


def test_fields_that_are_set_later_count_and_unknown_ones_are_refused(ready):
    processor = RerankitPostprocessor(how="fuse")
    processor.top_n = 2
    assert len(processor.postprocess_nodes(nodes(), query_str="anything")) == 2
    with pytest.raises(ValueError, match="top_k"):
        RerankitPostprocessor(how=ready, top_k=2)
    assert RerankitPostprocessor.from_dict(processor.to_dict(), how=ready).top_n == 2
