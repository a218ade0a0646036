"""The application: paths, limits, errors. Nothing here re-ranks; it asks a `Ready`."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from rerankit.errors import FormatError, InputError, RerankitError
from rerankit.pipelines.ready import Ready
from rerankit.ranking import Ranking
from rerankit.serving.bodies import Documents, each_once, ranking_body, search_arguments
from rerankit.serving.bounds import Bounds
from rerankit.serving.counts import RequestCounts, SharedCounts, State, text_of
from rerankit.serving.drift import Drift
from rerankit.serving.gathering import Gathering
from rerankit.version import __version__

Answer = Callable[[Any], Awaitable[Any]]
_LEFT_EVERY = 1.0  # seconds


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A request that is answered with a status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Service:
    """A prepared gallery and what answers requests with it."""

    def __init__(self, ready: Ready, bounds: Bounds, token: str | None, shared: SharedCounts | None = None) -> None:
        self.ready, self.bounds, self.token, self.shared = ready, bounds, token, shared
        self.counts, self.drift = RequestCounts(), Drift(ready.gallery.size)
        self.gathering = Gathering(ready.gallery, self.reranked, bounds.gather, bounds.queries)

    def app(self) -> Starlette:
        """The application for any ASGI server."""
        posts: dict[str, Answer] = {"/search": self.search, "/rerank": self.rerank, "/score": self.score}
        posts |= dict.fromkeys(("/v1/rerank", "/v2/rerank"), self.rerank_v1)
        gets: dict[str, Callable[[], Response]] = {"/health": _health, "/info": self.info, "/metrics": self.metrics}
        routes = [Route(path, self._posted(path, answer), methods=["POST"]) for path, answer in posts.items()]
        routes += [Route(path, self._got(path, answer), methods=["GET"]) for path, answer in gets.items()]
        return Starlette(routes=routes, lifespan=self._life)

    @asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncIterator[None]:
        """While a worker lives it leaves what it has counted for the others."""
        task = None if self.shared is None else asyncio.create_task(self._leave(self.shared))
        yield
        if task is not None:
            task.cancel()
            self.shared.leave(self.state())  # type: ignore[union-attr]

    async def _leave(self, shared: SharedCounts) -> None:
        while True:
            await asyncio.sleep(_LEFT_EVERY)
            with suppress(FormatError):  # a full disk: it is tried again, and answers go on
                await run_in_threadpool(lambda: shared.leave(self.state()))

    def state(self) -> State:
        """All that this worker has counted."""
        return {**self.counts.state(), **self.drift.state(), "blocks": self.gathering.blocks}

    # -- answers -----------------------------------------------------------------------------------------

    def reranked(self, queries: Any, **given: Any) -> Ranking:
        """The ready gallery's answer, which is looked at for drift."""
        problem, first = self.ready.search(queries, **given)
        answer = self.ready.answer(problem, first)
        self.drift.add(first, answer)
        return answer

    async def search(self, body: Any) -> Any:
        """A query's vector, scores or features in, a ranking out."""
        try:
            given = search_arguments(body, self.bounds)
            top = given.pop("top_n")
            return ranking_body((await self._found(given)).top(top))
        except InputError as error:  # the library knows a query as one of `queries`
            if "query" in body and str(error).startswith("'queries'"):
                raise type(error)(str(error).replace("'queries'", "'query'", 1)) from error
            raise

    async def _found(self, given: dict[str, Any]) -> Ranking:
        query = given.get("queries")
        alone = given.keys() == {"queries", "k"} and query and not isinstance(query[0], list)
        if alone and self.bounds.gather:
            return await self.gathering.answer(query, given["k"])
        vectors = given.pop("queries", None)
        return await run_in_threadpool(self.reranked, vectors, **given)

    async def rerank_v1(self, body: Any) -> Any:
        """Documents in the shape of Jina, Cohere and vLLM."""
        given = Documents.of(body, self.bounds)
        found = given.results(await run_in_threadpool(given.ranked, self.ready))
        return {"model": body.get("model") or repr(self.ready.pipeline), "results": found}

    async def rerank(self, body: Any) -> Any:
        """Documents in Weaviate's shape (`documents`), or in TEI's (`texts`)."""
        given = Documents.of(body, self.bounds)
        results = given.results(await run_in_threadpool(given.ranked, self.ready))
        if "texts" in body:
            return [
                {"index": one["index"], "score": one["relevance_score"]} | one.get("document", {}) for one in results
            ]
        scores = [{"document": given.as_sent(one["index"]), "score": one["relevance_score"]} for one in results]
        return {"query": body.get("query"), "scores": scores}

    async def score(self, body: Any) -> Any:
        """A score for each document in the order of the request, as vLLM is asked."""
        given = Documents.of(body, self.bounds)
        results = given.results(await run_in_threadpool(given.ranked, self.ready))
        results.sort(key=lambda one: one["index"])
        data = [{"index": one["index"], "object": "score", "score": one["relevance_score"]} for one in results]
        return {"object": "list", "model": body.get("model") or repr(self.ready.pipeline), "data": data}

    def info(self) -> Response:
        """What is served, and its limits."""
        stages = self.ready.info()
        gallery = repr(self.ready.gallery)
        content = {"rerankit": __version__, "gallery": gallery, "stages": stages, "bounds": self.bounds.to_dict()}
        return JSONResponse(content)

    def metrics(self) -> Response:
        """Counts as Prometheus reads them."""
        return PlainTextResponse(text_of([self.state(), *([] if self.shared is None else self.shared.others())]))

    # -- requests ----------------------------------------------------------------------------------------

    def _posted(self, path: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            start = time.perf_counter()
            response = await self._answered(request, answer)
            self.counts.add(path, response.status_code, time.perf_counter() - start)
            return response

        return handle

    def _got(self, path: str, answer: Callable[[], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            if path != "/health" and not self._allowed(request):
                return _error(401, "a bearer token is needed: send Authorization: Bearer …")
            return answer()

        return handle

    async def _answered(self, request: Request, answer: Answer) -> Response:
        try:
            if not self._allowed(request):
                raise Refused(401, "a bearer token is needed: send Authorization: Bearer …")
            body = await self._body(request)
            return JSONResponse(await asyncio.wait_for(answer(body), self.bounds.seconds))
        except Refused as refused:
            return _error(refused.status, str(refused))
        except RerankitError as error:
            return _error(400, str(error), type(error).__name__)
        except asyncio.TimeoutError:
            return _error(503, f"no answer within {self.bounds.seconds} seconds")
        except ClientDisconnect:
            return _error(400, "the client has gone")
        except (ValueError, TypeError, OverflowError) as error:
            return _error(400, f"the body cannot be read: {error}")

    def _allowed(self, request: Request) -> bool:
        if self.token is None:
            return True
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), f"Bearer {self.token}".encode())

    async def _body(self, request: Request) -> Any:
        """The body as JSON; one that is too long, too slow or no JSON is refused."""
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self.bounds.bytes:
            raise Refused(413, f"the body must have at most {self.bounds.bytes} bytes (got {length})")
        try:
            content = await asyncio.wait_for(self._content(request), self.bounds.seconds)
        except asyncio.TimeoutError:
            raise Refused(408, f"the body did not come within {self.bounds.seconds} seconds") from None
        try:
            body = json.loads(content, object_pairs_hook=each_once)
            if b"\\u" in content:  # which may be half of a character: no answer could name it
                json.dumps(body, ensure_ascii=False).encode()
            return body
        except InputError:
            raise
        except (ValueError, RecursionError) as cause:
            raise Refused(400, f"the body must be JSON ({cause})") from None

    async def _content(self, request: Request) -> bytes:
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > self.bounds.bytes:
                raise Refused(413, f"the body must have at most {self.bounds.bytes} bytes")
            parts.append(part)
        return b"".join(parts)


def _health() -> Response:
    return JSONResponse({"status": "ok"})


def _error(status: int, message: str, kind: str = "Refused") -> Response:
    return JSONResponse({"error": {"message": message, "type": kind}}, status)
