"""Documents in the shapes that re-ranking services speak."""

from __future__ import annotations

import asyncio
import base64
import io
from typing import Any

import numpy as np
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
        ({"query": 3, "documents": ["a"]}, "'query' must be a text, an object with"),
        ({"documents": ["a"]}, r"'query' must be given once \(got none\)"),
        ({"query": "a"}, "'documents'"),
        ({"query": "a", "documents": []}, "'documents' must be a list of at least one document"),
        ({"query": "a", "documents": ["b", 3]}, r"'documents\[1\]' must be a text, an object with"),
        ({"query": "a", "documents": [{"text": "b", "image": "c"}]}, r"'documents\[0\]' must be a text, an object"),
        ({"query": "a", "documents": [{"content": []}]}, r"'documents\[0\]' must be a text, an object"),
        ({"query": "a", "documents": ["b", {"image": "c"}]}, "'documents' must be texts alone or pictures alone"),
        ({"query": "a", "documents": ["a"] * 5}, "'documents' must have at most 4 entries"),
        ({"query": "a", "documents": ["a"], "top_n": -1}, "'top_n' must be at least 1"),
        ({"query": "a", "document": ["a"]}, "unknown field 'document'"),
        ([], "'body' must be a JSON object"),
    ],
)
def test_bad_bodies_are_refused(body: Any, message: str):
    with pytest.raises(InputError, match=message):
        asyncio.run(service(Shared()).rerank_v1(body))


class Red(Stage):
    """How red a picture is, times how red the query is, where that is a picture, too."""

    name = "red"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_features:text", "gallery_features:picture")

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        (query,), pictures = problem.query_features["text"], problem.gallery_features["picture"]
        factor = 1 if isinstance(query, str) else int(np.asarray(query)[0, 0, 0])
        return [[factor * int(np.asarray(pictures[item])[0, 0, 0]) for item in row] for row in ranking.indices.tolist()]


PIL = pytest.importorskip("PIL.Image")


def url(red: int, size: tuple[int, int] = (2, 3), kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    PIL.new("RGB", size, (red, 0, 0)).save(buffer, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


REDS = (10, 250, 90)
SENT = {
    "jina": [{"image": url(red)} for red in REDS],
    "jina: bare": [{"image": url(red).partition(",")[2]} for red in REDS],
    "vllm": [{"content": [{"type": "image_url", "image_url": {"url": url(red)}}]} for red in REDS],
    "vllm: one object": {"content": [{"type": "image_url", "image_url": {"url": url(red)}} for red in REDS]},
}


@pytest.mark.parametrize("form", list(SENT))
def test_pictures_as_clients_send_them(form: str):
    given = {"query": "red", "documents": SENT[form], "return_documents": True}
    answer = asyncio.run(service(Red()).rerank_v1(given))
    assert [(one["index"], one["relevance_score"]) for one in answer["results"]] == [(1, 250), (2, 90), (0, 10)]
    assert answer["results"][0]["document"] == {"image": url(250)[22:] if form == "jina: bare" else url(250)}
    answer = asyncio.run(service(Red()).score({"data_1": {"image": url(2)}, "data_2": SENT[form]}))
    assert [one["score"] for one in answer["data"]] == [20, 500, 180]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("https://example.org/a.png", "must hold pictures as data URLs.*nothing is fetched"),
        ("file:///etc/passwd", "must hold pictures as data URLs"),
        ("data:text/html;base64,AAAA", "must hold pictures as data URLs"),
        ("data:image/png;base64,§", "must hold pictures in base64"),
        ("data:image/png;base64,", "must hold pictures .PNG"),
        (url(1)[:22] + base64.b64encode(b"%PDF-1.4 no picture").decode(), "must hold pictures .PNG"),
        (url(1, (40, 40))[:-40] + "AAAA", "must hold whole pictures"),
        (url(1, (60, 60)), "must hold pictures of at most 3000 pixels together .got 3606"),
        (url(1, (50, 50)), "must hold pictures of at most 3000 pixels together .got 5000"),
    ],
)
def test_bad_pictures_are_refused_by_their_place(sent: str, message: str):
    served = service(Red())
    served.bounds = Bounds(pixels=3000)
    documents = [{"image": url(1, (50, 50)) if "5000" in message else url(1)}, {"image": sent}]
    with pytest.raises(InputError, match=rf"'documents\[1\]' {message}"):
        asyncio.run(served.rerank_v1({"query": "a", "documents": documents}))


def test_a_pipeline_that_reads_nothing_of_documents_says_so():
    ready = prepare("nnn", Gallery([[1.0, 0.0], [0.0, 1.0]], bank=[[1.0, 1.0]]))
    with pytest.raises(InputError, match="reads nothing of documents: use /search"):
        asyncio.run(Service(ready, Bounds(), None).rerank_v1(BODY))
