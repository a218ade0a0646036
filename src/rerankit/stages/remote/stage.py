"""remote: pairs scored by a model behind HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.errors import InputError, StageError, rule
from rerankit.events import track
from rerankit.stages.pairs import Key, Pair, PairStage
from rerankit.stages.remote.client import Endpoint
from rerankit.stages.remote.shapes import PICTURES, SHAPES, data_url


class Remote(PairStage):
    """Scores every (query, candidate) pair by a service that is asked over HTTP.

    `url` is the whole address, path included; `shape` what is spoken there: ``"rerank"`` (Jina, Cohere, vLLM, SGLang,
    `rerankit serve`), ``"score"`` (vLLM) or ``"tei"`` (text-embeddings-inference); `model` is the name that the service
    knows. The features `query` and `candidate` say what is read of each: texts, or pictures, which are sent as data
    URLs in vLLM's form (`pictures` "content") or Jina's ("image"). A request has one query and up to `batch_size`
    candidates; `concurrency` of them are under way at once. `options` are further fields of every request.

    A token is read from the environment variable `token_variable` when it is needed, and is never kept. A request has
    `timeout` seconds; where the service is busy, fails or breaks off it is tried `retries` times more, after pauses
    that double from `pause` seconds, or as long as the service says. What it refuses is an error at once. `budget` is
    the most pairs of one run, which is refused before it begins where it would ask for more. `cache_size` scores are
    kept, those of a run that failed too, so that the next one asks for what is missing. `on_error` "skip" leaves
    candidates without a score where they were, and says why in the ranking's notes.

    A service must score a pair by the pair alone: candidates of one query come in several requests. The scores that
    come in only choose the candidates. It loses where the model knows these queries less well than the first stage
    does: `fuse` joins both.

    >>> Remote("https://api.example.org/v1/rerank", model="reranker", budget=10_000)
    stage('remote', url='https://api.example.org/v1/rerank', model='reranker', budget=10000)
    """

    name: ClassVar[str] = "remote"
    outside: ClassVar[tuple[str, ...]] = ("url",)
    bitwise: ClassVar[bool] = False

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        shape: str = "rerank",
        query: str = "text",
        candidate: str = "text",
        pictures: str = "content",
        options: Mapping[str, Any] | None = None,
        token_variable: str = "RERANKIT_REMOTE_TOKEN",
        batch_size: int = 32,
        concurrency: int = 4,
        timeout: float = 60.0,
        retries: int = 4,
        pause: float = 0.5,
        budget: int | None = None,
        cache_size: int = 1_000_000,
        on_error: str = "raise",
    ) -> None:
        super().__init__(cache_size, on_error)
        self.url = _check_url(url)
        self.model = model if model is None else _text("model", model)
        self.shape = checks.choice("shape", shape, SHAPES)
        self.query, self.candidate = query, candidate
        self.pictures = checks.choice("pictures", pictures, PICTURES)
        self.options = _check_options(options, {"model", *SHAPES[shape].body("", [])})
        self.token_variable = _text("token_variable", token_variable)
        self.batch_size = checks.integer("batch_size", batch_size, least=1)
        self.concurrency = checks.integer("concurrency", concurrency, least=1)
        self.timeout = checks.number("timeout", timeout, above=0)
        self.retries = checks.integer("retries", retries, least=0)
        self.pause = checks.number("pause", pause, least=0)
        self.budget = budget if budget is None else checks.integer("budget", budget, least=0)

    def score_pairs(self, pairs: list[Pair], keys: list[Key]) -> tuple[FloatArray, list[str]]:
        if self.budget is not None and len(pairs) > self.budget:
            raise InputError(
                f"stage 'remote' must ask for at most 'budget' pairs in a run (got {len(pairs)} that are new, and a "
                f"budget of {self.budget}): .top(n) asks for the first n candidates of each query"
            )
        found, failed = np.full(len(pairs), np.nan, np.float32), []
        stop, pool = threading.Event(), ThreadPoolExecutor(self.concurrency)
        batches = self._batches(keys)
        requests = {pool.submit(self._ask, [pairs[place] for place in batch], stop): batch for batch in batches}
        try:
            for one in track(as_completed(requests), "asking for scores", total=len(requests)):
                error, batch = one.exception(), requests[one]
                if error is None:
                    found[batch] = one.result()
                    self.keep([keys[place] for place in batch], found[batch])
                elif isinstance(error, StageError) and self.on_error == "skip":
                    failed.append(str(error))
                else:
                    raise error
        finally:  # what has not begun does not begin, and nothing is tried again
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        return found, failed

    def _batches(self, keys: list[Key]) -> list[list[int]]:
        """Places of pairs that are asked for together: some of one query's."""
        of_query: dict[str, list[int]] = {}
        for place, (query, _) in enumerate(keys):
            of_query.setdefault(query, []).append(place)
        size = self.batch_size
        return [places[at : at + size] for places in of_query.values() for at in range(0, len(places), size)]

    def _ask(self, pairs: list[Pair], stop: threading.Event) -> FloatArray:
        """The scores (len(pairs),) of one query's pairs."""
        shape = SHAPES[self.shape]
        body = shape.body(self._content(pairs[0][0], "query"), [self._content(pair[1], "candidate") for pair in pairs])
        named = {} if self.model is None else {"model": self.model}
        endpoint = Endpoint(self.url, self.token_variable, self.timeout, self.retries, self.pause)
        try:
            return shape.scores(endpoint.ask({**named, **body, **(self.options or {})}, stop), len(pairs))
        except StageError as error:
            raise StageError(f"stage 'remote': {self.url} {error}") from None

    def _content(self, item: Any, side: str) -> Any:
        if isinstance(item, str):
            return item
        if SHAPES[self.shape].texts_alone:
            raise rule(f"{side}_features", f"must be texts where 'shape' is '{self.shape}'", type(item).__name__)
        return PICTURES[self.pictures](data_url(item, side))


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise rule(argument, "must be a text", value)
    return value


def _check_url(url: Any) -> str:
    text = _text("url", url)
    try:
        parts = urlsplit(text)
        plain = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        plain = False
    if not plain or " " in text:
        raise rule("url", "must be an address such as http://localhost:8000/v1/rerank", text)
    if parts.username is not None or parts.password is not None:
        raise InputError("'url' must hold no password: 'token_variable' names the environment variable of a token")
    return text


def _check_options(options: Any, taken: set[str]) -> dict[str, Any] | None:
    if options is None:
        return None
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise rule("options", "must be a mapping of names to values of JSON", options)
    try:
        json.dumps(options, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as cause:
        raise rule("options", "must be a mapping of names to values of JSON", str(cause)) from None
    if taken & options.keys():
        raise rule("options", "must not name fields that the stage fills", ", ".join(sorted(taken & options.keys())))
    return dict(options)
