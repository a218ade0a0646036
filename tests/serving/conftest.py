"""A service, in a thread or in a process of its own, and a client that asks it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rerankit import Gallery, Ready, prepare

RANDOM = np.random.default_rng(0)
ITEMS, QUERIES, OLD = (RANDOM.normal(size=(count, 8)) for count in (60, 40, 20))
NAMES = [f"item-{row}" for row in range(60)]


class Served:
    """Where a service listens, and what it is asked."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, path: str, body: Any = None, *, raw: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and content of an answer; a body makes it a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = raw if raw is not None else None if body is None else json.dumps(body).encode()
            connection.request("GET" if content is None else "POST", path, content, headers or {})
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else text
        finally:
            connection.close()


def serving(folder: Path, token: str | None = None, **bounds: Any) -> AbstractContextManager[Served]:
    """A service of a folder in a thread of this process."""
    from rerankit.serving.server import ready_of

    return serving_ready(ready_of(folder), token, **bounds)


@contextmanager
def serving_ready(ready: Ready, token: str | None = None, **bounds: Any) -> Iterator[Served]:
    """The same of a gallery that stands ready."""
    import uvicorn

    from rerankit.serving import Bounds
    from rerankit.serving.app import Service

    app = Service(ready, Bounds(**bounds), token).app()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0), backlog=256) as opened:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            yield Served(opened.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(timeout=60)


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Served]]:
    """A service in a process of its own, as the command starts it."""
    command = [sys.executable, "-m", "rerankit", "serve", str(folder), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"on http://127\.0\.0\.1:(\d+)", line)
        assert found, line
        yield process, Served(int(found[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "ready"
    prepare("nnn", Gallery(ITEMS, ids=NAMES, bank=OLD)).save(place)
    return place


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with serving(folder, candidates=50, queries=8, bytes=100_000, gather=0.01) as found:
        yield found
