"""A service that scores pairs over HTTP as others do, in a thread of this process, and is as faulty as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def letters(query: Any, document: Any) -> float:
    """A score that depends on the pair alone: how many letters two texts share, or of what they are made."""
    one, other = (each if isinstance(each, str) else json.dumps(each) for each in (query, document))
    return len(set(one) & set(other)) + len(other) / 100


def answered(path: str, body: dict[str, Any]) -> Any:
    """The answer of a service that does as it should, best first where services sort."""
    if path == "/score":
        rows = [letters(body["queries"], each) for each in body["documents"]]
        return {"data": [{"index": place, "object": "score", "score": score} for place, score in enumerate(rows)]}
    name, score = ("texts", "score") if path == "/rerank" else ("documents", "relevance_score")
    rows = [{"index": place, score: letters(body["query"], each)} for place, each in enumerate(body[name])]
    rows.sort(key=lambda row: -row[score])
    return rows if name == "texts" else {"results": rows}


class Service(ThreadingHTTPServer):
    """Where it listens, what it was asked, and its next faults: a status, "cut", "slow", or another body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Any] = []
        self.busiest = self.busy = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address in the shape of Jina and others."""
        return f"http://127.0.0.1:{self.server_port}/v1/rerank"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no fault of the service."""


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.headers.append(dict(self.headers))
            fault = self.server.faults.pop(0) if self.server.faults else None
            self.server.busy += 1
            self.server.busiest = max(self.server.busiest, self.server.busy)
        time.sleep(0.6 if fault == "slow" else 0)
        with self.server.lock:  # before the answer, upon which the client asks again
            self.server.busy -= 1
        self._answer(fault, body)

    def _answer(self, fault: Any, body: dict[str, Any]) -> None:
        status, headers = 200, {}
        if isinstance(fault, tuple):
            fault, headers = fault
        if isinstance(fault, int):
            status, content = fault, f"no: {self.headers.get('Authorization')}".encode()
        elif isinstance(fault, bytes):
            content = fault
        else:
            content = json.dumps(answered(self.path, body)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@contextmanager
def service() -> Iterator[Service]:
    """A service that listens while the block lasts."""
    with Service() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
