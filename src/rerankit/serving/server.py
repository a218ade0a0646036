"""The server: one process, or several that map one folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn

from rerankit.errors import InputError, rule
from rerankit.pipelines.ready import Ready
from rerankit.pipelines.storage import load
from rerankit.serving.app import Service
from rerankit.serving.bounds import Bounds
from rerankit.serving.counts import SharedCounts

_SETTINGS = "RERANKIT_SERVE"
_HUNG = 30  # seconds without a sign of life after which a worker is replaced; a busy machine takes more than a few
TOKEN = "RERANKIT_TOKEN"
"""The environment variable with the token that clients must send."""


def ready_of(folder: str | os.PathLike[str], trust: bool = False) -> Ready:
    """The prepared gallery of a folder; anything else is refused."""
    found = load(folder, trust=trust)
    if not isinstance(found, Ready):
        raise rule("folder", "must hold a prepared gallery: rerankit prepare … --out FOLDER", repr(found))
    if found.gallery.embeddings is not None:  # what is imported and read at the first query is here before it comes
        found.rerank(found.gallery.embeddings.gallery[0], k=1)
    return found


def serve(
    folder: Path,
    *,
    host: str,
    port: int,
    workers: int,
    bounds: Bounds,
    trust: bool,
    listening: Callable[[str], None],
) -> None:
    """Answer requests until a signal ends it; what is being answered then is finished first."""
    ready = ready_of(folder, trust)  # a folder that cannot be read is refused before a socket is open
    shared: dict[str, Any] = {
        "log_level": "warning",
        "timeout_graceful_shutdown": int(bounds.seconds) + 1,
        "server_header": False,
    }
    with _socket(host, port) as opened, TemporaryDirectory(prefix="rerankit-serve-") as counts:
        listening(f"http://{host}:{opened.getsockname()[1]}")
        if workers > 1:
            settings = {"folder": str(folder), "trust": trust, "bounds": bounds.to_dict(), "counts": counts}
            os.environ[_SETTINGS] = json.dumps(settings)
            app_of = "rerankit.serving.server:from_environment"
            shared["timeout_worker_healthcheck"] = _HUNG
            uvicorn.run(app_of, factory=True, fd=opened.fileno(), workers=workers, **shared)
            return
        app = Service(ready, bounds, os.environ.get(TOKEN) or None).app()
        uvicorn.Server(uvicorn.Config(app, **shared)).run(sockets=[opened])


def from_environment() -> Any:
    """The application of one worker among several."""
    settings = json.loads(os.environ[_SETTINGS])
    ready = ready_of(settings["folder"], settings["trust"])
    counts = SharedCounts(Path(settings["counts"]))
    return Service(ready, Bounds(**settings["bounds"]), os.environ.get(TOKEN) or None, counts).app()


def _socket(host: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except (OSError, OverflowError) as cause:
        opened.close()
        raise InputError(
            f"'{host}:{port}' cannot be listened on: {getattr(cause, 'strerror', None) or cause}"
        ) from cause
    opened.listen(1024)
    return opened
