"""What `remote` adds to the time that a service takes, and what asking several things at once saves.

    python benchmarks/remote.py [--latency 0.05]

The service runs in a thread here, takes `latency` seconds for every request, as many as come at once, and scores pairs
by the letters they share. A service of a model has its own limit: where it is busy, more requests at once wait there.
Seconds are the least of three runs.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import numpy as np

from rerankit import Problem, stage

if TYPE_CHECKING:
    from collections.abc import Iterator

QUERIES, CANDIDATES, BATCH, TURNS = 16, 64, 16, 3
AT_ONCE = (1, 2, 4, 8, 16)


class Handler(BaseHTTPRequestHandler):
    """Answers in the shape of Jina, late."""

    protocol_version = "HTTP/1.1"
    latency = 0.0

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(self.latency)
        rows = [
            {"index": place, "relevance_score": len(set(request["query"]) & set(text))}
            for place, text in enumerate(request["documents"])
        ]
        content = json.dumps({"results": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing is said of requests."""


class Service(ThreadingHTTPServer):
    """One that lets many connect at once."""

    daemon_threads = True
    request_queue_size = 64


@contextmanager
def service(latency: float) -> Iterator[str]:
    """The address of one that answers while this lasts."""
    server = Service(("127.0.0.1", 0), type("Late", (Handler,), {"latency": latency}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/rerank"
    finally:
        server.shutdown()


def seconds(made: Any, problem: Problem) -> float:
    start = time.perf_counter()
    made.rerank(problem, problem.ranking(CANDIDATES))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.05)
    given = parser.parse_args()
    texts = [f"text {number}" for number in range(QUERIES + CANDIDATES)]
    problem = Problem(
        np.random.default_rng(0).random((QUERIES, CANDIDATES)),
        query_features={"text": texts[:QUERIES]},
        gallery_features={"text": texts[QUERIES:]},
    )
    requests = QUERIES * CANDIDATES // BATCH
    print("| requests at once | seconds | the service's part |\n| --- | --: | --: |")
    with service(given.latency) as url:
        for number in AT_ONCE:
            made = [stage("remote", url=url, batch_size=BATCH, concurrency=number) for _ in range(TURNS)]
            took = min(seconds(each, problem) for each in made)
            print(f"| {number} | {took:.2f} | {requests * given.latency / number:.2f} |")
        print(f"| all pairs asked before | {min(seconds(made[0], problem) for _ in range(TURNS)):.4f} | 0 |")


if __name__ == "__main__":
    main()
