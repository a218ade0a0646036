"""Documents in the shapes that re-ranking services speak."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("starlette")

from rerankit import Gallery, Pipeline, Problem, Ranking, Stage, prepare
from rerankit.errors import InputError
from rerankit.pipelines.ready import Ready
from rerankit.serving import Bounds
from rerankit.serving.app import Service


class Shared(Stage):
    """How many letters a text shares with the query."""

    name = "shared"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_features:text", "gallery_features:text")

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        (query,), texts = problem.query_features["text"], problem.gallery_features["text"]
        return [[len(set(query) & set(texts[item])) for item in row] for row in ranking.indices.tolist()]


def service(stage: Stage) -> Service:
    gallery = Gallery.from_scores(size=2, features={"text": ["a", "b"]})
    return Service(Ready(gallery, Pipeline([stage]), (stage.prepare(gallery),)), Bounds(candidates=4), None)


BODY = {"query": "cat", "documents": ["dog", {"text": "act"}, "at"]}


def test_jina_cohere_and_vllm():
    answer = asyncio.run(service(Shared()).rerank_v1({**BODY, "top_n": 2, "return_documents": True, "model": "m"}))
    assert answer["model"] == "m"
    assert [(one["index"], one["relevance_score"]) for one in answer["results"]] == [(1, 3), (2, 2)]
    assert answer["results"][0]["document"] == {"text": "act"}


def test_weaviate_and_tei():
    answer = asyncio.run(service(Shared()).rerank(BODY))
    assert answer["scores"][0] == {"document": "act", "score": 3}
    answer = asyncio.run(service(Shared()).rerank({"query": "cat", "texts": ["dog", "act"], "return_text": True}))
    assert answer == [{"index": 1, "score": 3.0, "text": "act"}, {"index": 0, "score": 0.0, "text": "dog"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": 3, "documents": ["a"]}, "'query' must be a text"),
        ({"query": "a"}, "'documents'"),
        ({"query": "a", "documents": []}, "'documents' must be a list of at least one text"),
        ({"query": "a", "documents": [3]}, "'documents' must hold texts"),
        ({"query": "a", "documents": ["a"] * 5}, "'documents' must have at most 4 entries"),
        ({"query": "a", "documents": ["a"], "top_n": -1}, "'top_n' must be at least 1"),
        ({"query": "a", "document": ["a"]}, "unknown field 'document'"),
        ([], "'body' must be a JSON object"),
    ],
)
def test_bad_bodies_are_refused(body: Any, message: str):
    with pytest.raises(InputError, match=message):
        asyncio.run(service(Shared()).rerank_v1(body))


def test_a_pipeline_that_reads_no_texts_says_so():
    ready = prepare("nnn", Gallery([[1.0, 0.0], [0.0, 1.0]], bank=[[1.0, 1.0]]))
    with pytest.raises(InputError, match="reads no texts of documents: use /search"):
        asyncio.run(Service(ready, Bounds(), None).rerank_v1(BODY))
