"""The stage `remote` asks a service of this package, in each of the shapes that both speak."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from rerankit import Gallery, Pipeline, Problem, Ranking, Ready, Stage
from rerankit.errors import StageError
from rerankit.features import Pictures
from rerankit.pictures import open_image
from rerankit.stages.remote.stage import Remote

sys.path.insert(0, str(Path(__file__).parent))
from conftest import serving_ready
from fake_service import letters


class Letters(Stage):
    """How many letters a text shares with the query."""

    name = "letters"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_features:text", "gallery_features:text")

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        queries, texts = problem.query_features["text"], problem.gallery_features["text"]
        return [[letters(queries[q], texts[item]) for item in row] for q, row in enumerate(ranking.indices.tolist())]


def ready() -> Ready:
    gallery = Gallery.from_scores(size=1, features={"text": ["-"]})
    return Ready(gallery, Pipeline([Letters()]), Pipeline([Letters()]).prepare(gallery))


def problem(queries: int = 12, items: int = 30) -> Problem:
    random = np.random.default_rng(0)
    # No two texts are as long, so that no scores tie: a service tells ties apart by the order of its own request.
    words = ["".join(random.choice([*"abcdefgh"], size=9)) + "z" * n for n in range(queries + items)]
    features = {"query_features": {"text": words[:queries]}, "gallery_features": {"text": words[queries:]}}
    return Problem(random.random((queries, items)), **features)


@pytest.mark.parametrize(
    ("path", "shape"), [("/v1/rerank", "rerank"), ("/v2/rerank", "rerank"), ("/score", "score"), ("/rerank", "tei")]
)
def test_every_shape_gives_the_stages_answer(path: str, shape: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RERANKIT_REMOTE_TOKEN", "abc")
    given = problem()
    with serving_ready(ready(), "abc") as served:
        stage = Remote(f"http://127.0.0.1:{served.port}{path}", shape=shape, model="any", batch_size=7)
        found = stage.rerank(given, given.ranking(20))
    assert found == Letters().rerank(given, given.ranking(20))


class Brightness(Stage):
    """The mean of a picture's bytes, and the query's length."""

    name = "brightness"

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_features:text", "gallery_features:picture")

    def rescore(self, problem: Problem, ranking: Ranking) -> Any:
        texts, pictures = problem.query_features["text"], problem.gallery_features["picture"]
        means = [float(np.asarray(open_image(picture, "a picture")).mean()) for picture in pictures]
        return [[means[item] + len(texts[q]) for item in row] for q, row in enumerate(ranking.indices.tolist())]


@pytest.mark.parametrize("form", ["content", "image"])
def test_pictures_go_there_and_scores_come_back(form: str, tmp_path: Path):
    pil = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{item}.{['png', 'jpg', 'bmp'][item % 3]}" for item in range(7)]
    for path in paths:
        pil.fromarray(random.integers(0, 255, (9, 8, 3), np.uint8)).save(path)
    features = {"query_features": {"text": ["a", "bcd"]}, "gallery_features": {"picture": Pictures(paths)}}
    given = Problem(random.random((2, 7)), **features)
    gallery = Gallery.from_scores(size=7)
    pipeline = Pipeline([Brightness()])
    with serving_ready(Ready(gallery, pipeline, pipeline.prepare(gallery)), pixels=3 * 72) as served:
        url = f"http://127.0.0.1:{served.port}/v1/rerank"
        found = Remote(url, candidate="picture", pictures=form, batch_size=3).rerank(given, given.ranking())
        with pytest.raises(StageError, match=r"status 400: .*'documents\[3\]' must .* at most 216 pixels"):
            Remote(url, candidate="picture", pictures=form, batch_size=4).rerank(given, given.ranking())
    assert found == Brightness().rerank(given, given.ranking())


def test_refusals_of_the_service_are_told(monkeypatch: pytest.MonkeyPatch):
    given = problem(2, 9)
    with serving_ready(ready(), "abc", candidates=4) as served:
        url = f"http://127.0.0.1:{served.port}/v1/rerank"
        monkeypatch.setenv("RERANKIT_REMOTE_TOKEN", "wrong")
        with pytest.raises(StageError, match=r"refuses: status 401: .*a bearer token is needed"):
            Remote(url).rerank(given, given.ranking())
        monkeypatch.setenv("RERANKIT_REMOTE_TOKEN", "abc")
        with pytest.raises(StageError, match=r"status 400: .*'documents' must have at most 4 entries"):
            Remote(url).rerank(given, given.ranking())
        Remote(url, batch_size=4).rerank(given, given.ranking())
