"""A worker process: `python -m rerankit.engines.worker`, started by `rerankit.engines.workers`."""

from __future__ import annotations

import os
import queue
import sys
import threading
from pathlib import Path
from typing import IO, Any

from rerankit.engines.engine import attempt
from rerankit.engines.sharing import loads
from rerankit.engines.workers import read, write
from rerankit.version import __version__


def main() -> None:
    """Read work and then numbers of its tasks, and write what became of each."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints here is no answer
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()
    work: Any = None
    while True:
        given = waiting.get()
        if isinstance(given, int):
            write(answers, attempt(work, given))
            continue
        work = None  # what it mapped is let go of first
        try:
            work = _work(*given)
        except Exception as cause:
            waiting.get()  # the first task, whose answer this is
            write(answers, f"a worker cannot begin: {type(cause).__name__}: {cause}")
            return


def _listen(source: IO[bytes], waiting: queue.SimpleQueue[Any]) -> None:
    """Take in what the parent writes; when it writes no more it has ended, and so does this process."""
    try:
        while True:
            waiting.put(read(source))
    except EOFError:
        os._exit(0)


def _work(version: str, plugins: list[str], data: bytes) -> Any:
    check_version(version)
    load_plugins(plugins)
    return loads(data)


def load_plugins(paths: list[str]) -> None:
    """Load the one-file plugins that the parent has loaded."""
    if paths:
        from rerankit.plugins import load_plugin

        for path in paths:
            load_plugin(Path(path))


def check_version(version: str) -> None:
    """Refuse the work of another version, whose answers may be others."""
    if version != __version__:
        raise ImportError(f"it has rerankit {__version__}, and the run is one of {version}: install that one")


if __name__ == "__main__":
    main()
