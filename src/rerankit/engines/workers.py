"""Worker processes: each gets work and then the numbers of its tasks, and ends when its parent does."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import IO, Any

from rerankit.engines.engine import PASSING, Done
from rerankit.errors import InputError
from rerankit.plugins import manager
from rerankit.plugins.manager import FILE
from rerankit.version import __version__

_LENGTH = struct.Struct("<Q")
_PATIENCE = 5.0  # seconds that a process has to end by itself


class Worker:
    """A process that works on one task at a time, of the work that it was given last."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.task: int | None = None
        self.dead = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rerankit.engines.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            start_new_session=True,  # an interruption is this process's to handle, which then ends the workers
        )

    def prepare(self, data: bytes) -> None:
        """Give it the work whose tasks come next."""
        self._send((__version__, plugin_files(), data))

    def begin(self, task: int) -> None:
        """Give it a task."""
        self.task = task
        self._send(task)

    @property
    def answers(self) -> IO[bytes]:
        """What it writes."""
        assert self._process.stdout is not None, "it was made with a pipe"
        return self._process.stdout

    def answer(self) -> Done:
        """What became of its task; a worker that has died leaves it to another."""
        assert self.task is not None, "it has one"
        task, self.task = self.task, None
        try:
            found: Any = read(self.answers)
        except (EOFError, pickle.UnpicklingError):
            self.dead = True
            code = self._process.wait()
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            return Done(task, error=f"{PASSING}its worker {how}")
        if isinstance(found, str):
            raise InputError(found)
        assert isinstance(found, Done), "workers answer so"
        return found

    def end(self) -> None:
        """End the process, whatever it does just now."""
        self._process.kill() if self.task is not None else self._close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _close(self) -> None:
        with suppress(OSError):
            assert self._process.stdin is not None, "it was made with a pipe"
            self._process.stdin.close()

    def _send(self, value: Any) -> None:
        assert self._process.stdin is not None, "it was made with a pipe"
        with suppress(BrokenPipeError):  # it has died, which its answer will tell
            write(self._process.stdin, value)


def plugin_files() -> list[str]:
    """The one-file plugins that are loaded, which workers need, too."""
    return [name for name, info in manager().plugins.items() if info.distribution == FILE and info.status == "loaded"]


def first_of(workers: Sequence[Worker]) -> Done:
    """The answer of the first worker that has one."""
    ready = wait([worker.answers.fileno() for worker in workers])
    return next(worker for worker in workers if worker.answers.fileno() == ready[0]).answer()


def write(file: IO[bytes], value: Any) -> None:
    """Write a value into a pipe."""
    data = pickle.dumps(value, protocol=5)
    file.write(_LENGTH.pack(len(data)) + data)
    file.flush()


def read(file: IO[bytes]) -> Any:
    """The next value of a pipe."""
    (length,) = _LENGTH.unpack(_exactly(file, _LENGTH.size))
    return pickle.loads(_exactly(file, length))


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data
