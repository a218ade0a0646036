"""Engine: runs tasks that do not depend on each other, wherever that is."""

from __future__ import annotations

import errno
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

Work: TypeAlias = Callable[[int], None]
"""What is done for a task, whose outcome is a file. It can be pickled; its large arrays are shared."""


@dataclass(frozen=True)
class Done:
    """A task that is finished, or that has failed for good."""

    task: int
    seconds: float = 0.0
    error: str | None = None
    """What went wrong, in a line; None when it is finished."""
    tries: int = 1


class Engine(ABC):
    """Runs tasks in any order, each until it is finished or has failed for good.

    An engine of your own implements `run` and is registered by the hook `rerankit_register_engines`.
    """

    name: ClassVar[str] = ""

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A block of several `run`s, which may go on with what the first one started. By itself it does nothing."""
        yield

    @abstractmethod
    def run(self, work: Work, tasks: Sequence[int], *, shared: Path, retries: int) -> Iterator[Done]:
        """Call `work(task)` for every task, and hand out each when it is done.

        `shared` is a folder that all workers see and that is removed afterwards, for large arrays
        (`rerankit.engines.sharing`). A task whose worker has died, or that an accident of the system has ended, is
        tried again `retries` times; one that fails by itself is not. When the iterator is closed, nothing goes on.
        """


def attempt(work: Work, task: int) -> Done:
    """One try of a task; `passing` says of its error whether another try may help."""
    start = time.perf_counter()
    try:
        work(task)
    except Exception as cause:
        text = f"{type(cause).__name__}: {' '.join(str(cause).split())}"
        return Done(task, time.perf_counter() - start, f"{PASSING}{text}" if _is_passing(cause) else text)
    return Done(task, time.perf_counter() - start)


PASSING = "for now: "


def is_passing(done: Done) -> bool:
    """Whether another try may help."""
    return done.error is not None and done.error.startswith(PASSING)


def final(done: Done, tries: int) -> Done:
    """A task with the number of its tries, and its error in plain words."""
    error = None if done.error is None else done.error.removeprefix(PASSING)
    return Done(done.task, done.seconds, error, tries)


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def _is_passing(cause: BaseException) -> bool:
    """Whether an error is one of the system, which may be over the next time; a full disk is not over by itself."""
    full = isinstance(cause, OSError) and cause.errno in _NO_ROOM
    return isinstance(cause, OSError | MemoryError) and not full
