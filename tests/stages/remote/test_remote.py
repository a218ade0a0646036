"""Pairs scored by a service: what is asked, what is made of answers, and of services that fail."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import rerankit
from fake_service import Service, letters, service
from rerankit import Problem
from rerankit.errors import FormatError, InputError, RerankitError, StageError
from rerankit.features import Pictures
from rerankit.stages.remote.stage import Remote

QUERIES, TEXTS = ["red cat", "blue"], ["a red cat", "blue dog", "small", "tree", "cart"]


@pytest.fixture
def served() -> Iterator[Service]:
    with service() as made:
        yield made


@pytest.fixture
def problem() -> Problem:
    features = {"query_features": {"text": QUERIES}, "gallery_features": {"text": TEXTS}}
    return Problem(np.random.default_rng(0).random((2, 5)), **features)


def expected(problem: Problem, k: int | None = None) -> np.ndarray:
    ranking = problem.ranking(k)
    return np.float32([[letters(QUERIES[q], TEXTS[c]) for c in row] for q, row in enumerate(ranking.indices)])


@pytest.mark.parametrize("shape", ["rerank", "score", "tei"])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_scores_are_the_services_in_every_shape_and_batch(served, problem, shape, size):
    path = {"rerank": "/v1/rerank", "score": "/score", "tei": "/rerank"}[shape]
    stage = Remote(served.url.replace("/v1/rerank", path), shape=shape, batch_size=size, model="m", options={"x": [1]})
    np.testing.assert_array_equal(stage.rescore(problem, problem.ranking(4)), expected(problem, 4))
    assert len(served.asked) == 2 * -(-4 // min(size, 4))
    assert all(body["model"] == "m" and body["x"] == [1] for body in served.asked)
    assert ({"top_n"} & served.asked[0].keys() != set()) == (shape == "rerank")


def test_a_pair_is_asked_for_once(served, problem):
    stage = Remote(served.url)
    first = stage.rerank(problem, problem.ranking(3))
    count = len(served.asked)
    assert stage.rerank(problem, problem.ranking(3)) == first
    assert len(served.asked) == count
    stage.rerank(problem, problem.ranking(5))
    assert sorted(len(body["documents"]) for body in served.asked[count:]) == [2, 2]
    doubles = problem.with_features(query_features={"text": ["cat", "cat"]})
    count = sum(len(body["documents"]) for body in served.asked)
    stage.rerank(doubles, doubles.ranking(5))
    assert sum(len(body["documents"]) for body in served.asked) == count + 5


def test_requests_are_under_way_together_and_no_more_than_wanted(served, problem):
    served.faults = ["slow"] * 10
    began = time.monotonic()
    Remote(served.url, batch_size=1, concurrency=10).rescore(problem, problem.ranking())
    assert time.monotonic() - began < 10
    assert 2 <= served.busiest <= 10
    served.busiest = 0
    Remote(served.url, batch_size=1, concurrency=1).rescore(problem, problem.ranking())
    assert served.busiest == 1


@pytest.mark.parametrize("fault", [500, 503, 429, (503, {"Retry-After": "0"}), "cut", b"", b"{", b"[" * 100_000])
def test_what_may_be_mended_is_tried_again(served, problem, fault):
    served.faults = [fault, fault]
    stage = Remote(served.url, retries=2, pause=0.01, concurrency=1)
    np.testing.assert_array_equal(stage.rescore(problem, problem.ranking()), expected(problem))
    served.faults = [fault] * 3
    with pytest.raises(StageError, match=r"stage 'remote': http://.*/v1/rerank gave no answer in 3 tries: "):
        stage.clone().rescore(problem, problem.ranking())


def test_a_slow_service_is_not_waited_for(served, problem):
    served.faults = ["slow", "slow"]
    stage = Remote(served.url, retries=1, pause=0.01, timeout=0.2, concurrency=1)
    began = time.monotonic()
    with pytest.raises(StageError, match=r"no answer in 2 tries: (TimeoutError|timeout)"):
        stage.rescore(problem, problem.ranking())
    assert time.monotonic() - began < 5


def test_pauses_are_as_long_as_the_service_says(served, problem):
    served.faults = [(429, {"Retry-After": "1"})]
    began = time.monotonic()
    Remote(served.url, retries=1, pause=0.0, concurrency=1).rescore(problem, problem.ranking())
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422])
def test_what_is_refused_is_not_tried_again(served, problem, status):
    served.faults = [(status, {"Location": "http://127.0.0.1:9/"})] * 9
    with pytest.raises(StageError, match=f"refuses: status {status}"):
        Remote(served.url, concurrency=1).rescore(problem, problem.ranking())
    assert len(served.asked) <= 2  # each of two requests at most once


ANSWERS: list[tuple[bytes, str]] = [
    (b"3", "must answer with a list 'results'"),
    (b'{"results": 3}', "must answer with a list 'results'"),
    (b'{"data": []}', "must answer with a list 'results'"),
    (b'{"results": [{"index": 0, "relevance_score": 1}]}', "a score for each of 5 documents"),
    (b'{"results": [{"index": 9, "relevance_score": 1}]}', "each 'index' below 5 once"),
    (b'{"results": [{"index": -1, "relevance_score": 1}]}', "each 'index' below 5 once"),
    (b'{"results": [' + b'{"index": 0, "relevance_score": 1},' * 4 + b"3]}", "each 'index' below 5 once"),
    (b'{"results": [3]}', "finite 'relevance_score' in every entry"),
    (b'{"results": [{"index": 0, "relevance_score": NaN}]}', "finite 'relevance_score' in every entry"),
    (b'{"results": [{"index": 0, "relevance_score": 1e300}]}', "finite 'relevance_score' in every entry"),
    (b'{"results": [{"index": true, "relevance_score": 1}]}', "finite 'relevance_score' in every entry"),
    (b'{"results": [{"index": 0, "relevance_score": "1"}]}', "finite 'relevance_score' in every entry"),
]


@pytest.mark.parametrize(("body", "message"), ANSWERS)
def test_answers_that_are_none_are_refused(served, problem, body, message):
    served.faults = [body] * 2
    with pytest.raises(
        StageError, match=f"stage 'remote': http.* must answer with .*{message.removeprefix('must answer with ')}"
    ):
        Remote(served.url).rescore(problem, problem.ranking())


def test_what_was_answered_before_a_fault_is_kept(served, problem):
    served.faults = [None, 400]
    stage = Remote(served.url, concurrency=1)
    with pytest.raises(StageError, match="refuses"):
        stage.rescore(problem, problem.ranking())
    np.testing.assert_array_equal(stage.rescore(problem, problem.ranking()), expected(problem))
    assert len(served.asked) == 3


def test_with_skip_candidates_without_a_score_stay_where_they_were(served, problem):
    served.faults = [None, 400, 400]
    first = problem.ranking()
    found = Remote(served.url, concurrency=1, on_error="skip").rerank(problem, first)
    best = np.argsort(-expected(problem)[0], kind="stable")
    assert found.indices[0].tolist() == first.indices[0][best].tolist()
    assert found.indices[1].tolist() == first.indices[1].tolist()
    assert "status 400" in found.notes["remote"]["failed"][0]


def test_the_token_is_sent_and_kept_nowhere(served, problem, monkeypatch, tmp_path):
    monkeypatch.setenv("OF_MINE", "very-secret")
    stage = Remote(served.url, token_variable="OF_MINE", concurrency=1)
    stage.rerank(problem, problem.ranking())
    assert served.headers[0]["Authorization"] == "Bearer very-secret"
    stage.save(tmp_path / "stage")
    assert all(b"very-secret" not in file.read_bytes() for file in (tmp_path / "stage").iterdir())
    served.faults = [400]
    with pytest.raises(StageError, match="no: Bearer …") as caught:
        stage.clone().rescore(problem, problem.ranking())
    assert "very-secret" not in str(caught.value)
    monkeypatch.setenv("OF_MINE", "two\nlines")
    with pytest.raises(InputError, match="environment variable OF_MINE must be printable"):
        stage.clone().rescore(problem, problem.ranking())
    with pytest.raises(FormatError, match="names a model outside of its folder, url='http"):
        rerankit.load(tmp_path / "stage")
    assert rerankit.load(tmp_path / "stage", trust=True) == stage


def test_a_budget_is_kept_before_anything_is_asked(served, problem):
    stage = Remote(served.url, budget=6)
    with pytest.raises(InputError, match=r"at most 'budget' pairs in a run \(got 10 that are new, and a budget of 6\)"):
        stage.rerank(problem, problem.ranking())
    assert not served.asked
    stage.rerank(problem, problem.ranking(3))
    stage.rerank(problem, problem.ranking(5))  # only four are new


def test_pictures_are_sent_as_data_urls(served, tmp_path):
    pil = pytest.importorskip("PIL.Image")
    jpeg = tmp_path / "a.jpg"
    pil.new("RGB", (3, 2), (250, 10, 10)).save(jpeg)
    pictures = [jpeg, tmp_path / "b.bmp"]
    pil.new("RGB", (2, 2), (1, 2, 3)).save(pictures[1])
    given = {"query_features": {"text": ["red"]}, "gallery_features": {"picture": Pictures(pictures)}}
    problem = Problem([[2.0, 1.0]], **given)
    for form in ("content", "image"):
        Remote(served.url, candidate="picture", pictures=form).rerank(problem, problem.ranking())
    (first, second), (same, _) = (body["documents"] for body in served.asked)
    (part,) = first["content"]
    head, _, content = part["image_url"]["url"].partition(",")
    assert (part["type"], head) == ("image_url", "data:image/jpeg;base64")
    assert base64.b64decode(content) == jpeg.read_bytes()
    assert second["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert same == {"image": part["image_url"]["url"]}
    with pytest.raises(InputError, match="'candidate_features' must be texts where 'shape' is 'tei'"):
        Remote(served.url, candidate="picture", shape="tei").rerank(problem, problem.ranking())


def test_nobody_there_is_said(problem):
    with service() as gone:
        url = gone.url
    with pytest.raises(StageError, match="no answer in 2 tries: ConnectionRefusedError"):
        Remote(url, retries=1, pause=0.01).rescore(problem, problem.ranking())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"url": 3}, "'url' must be a text"),
        ({"url": "localhost:8000"}, "'url' must be an address such as"),
        ({"url": "file:///etc/passwd"}, "'url' must be an address such as"),
        ({"url": "http://[::1"}, "'url' must be an address such as"),
        ({"url": "http://a:99999/x"}, "'url' must be an address such as"),
        ({"url": "http://a b/x"}, "'url' must be an address such as"),
        ({"url": "http://me:secret@host/x"}, "'url' must hold no password"),
        ({"shape": "soap"}, "unknown shape 'soap'"),
        ({"pictures": "x"}, "unknown pictures 'x'"),
        ({"model": ""}, "'model' must be a text"),
        ({"options": [1]}, "'options' must be a mapping"),
        ({"options": {"x": float("nan")}}, "'options' must be a mapping"),
        ({"options": {"query": 1}}, "'options' must not name fields that the stage fills"),
        ({"timeout": 0}, "'timeout' must be above 0"),
        ({"retries": -1}, "'retries' must be at least 0"),
        ({"budget": -1}, "'budget' must be at least 0"),
        ({"on_error": "no"}, "unknown on_error 'no'"),
    ],
)
def test_wrong_parameters_are_refused(given: dict[str, Any], message: str):
    with pytest.raises(RerankitError, match=message):
        Remote(**{"url": "http://localhost/v1/rerank", **given})
