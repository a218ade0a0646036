"""Running numpy work in threads: numpy lets go of the interpreter lock, and no answer depends on their number."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
MOST = 16
_of_thread = threading.local()

first_use = threading.RLock()
"""Held while what threads share is made ready on its first use, such as networks that move to their device: a second
thread would move them while the first one computes.
"""


def in_threads(work: Callable[[A], B], pieces: Sequence[A]) -> list[B]:
    """The results of `work` on every piece, in order; of several errors, that of the first piece is raised.

    >>> in_threads(len, ["a", "bc"])
    [1, 2]
    """
    helpful = min(len(pieces), os.cpu_count() or 1, MOST) - 1
    if helpful < 1:
        return [work(piece) for piece in pieces]
    shared = _Pieces(work, pieces)
    helpers = _helpers().asked(shared.work_off, helpful)
    shared.work_off()  # where no helper is free, as in a piece that is itself cut, the calling thread goes on alone
    for helper in helpers:
        if not helper.cancel():
            helper.result()
    if shared.failed:
        raise shared.error()
    return [shared.found[number] for number in range(len(pieces))]


def is_helper() -> bool:
    """Whether this is one of the threads that are kept: what it works on is a piece already."""
    return getattr(_of_thread, "helps", False)


class _Pieces(Generic[A, B]):
    """Pieces that several threads take one after the other."""

    def __init__(self, work: Callable[[A], B], pieces: Sequence[A]) -> None:
        self._work, self._pieces = work, pieces
        self._left = iter(range(len(pieces)))  # every number comes to one thread only
        self.found: dict[int, B] = {}
        self.failed: dict[int, BaseException] = {}

    def work_off(self) -> None:
        """Work on pieces until none is left, or one has failed."""
        number = 0
        try:
            for number in self._left:
                self.found[number] = self._work(self._pieces[number])
                if self.failed:
                    return
        except BaseException as error:  # an interrupt comes between two pieces, too, and ends the work of all threads
            self.failed[number] = error

    def error(self) -> BaseException:
        """The error of the first piece that failed, but for one that asks the program to end."""
        return min(self.failed.items(), key=lambda each: (isinstance(each[1], Exception), each[0]))[1]


class _Helpers:
    """Threads that are kept, since starting one takes about as long as a small piece of work."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST - 1, "rerankit", lambda: setattr(_of_thread, "helps", True))
        self._free = threading.Semaphore(MOST - 1)

    def asked(self, work: Callable[[], None], most: int) -> list[Future[None]]:
        """The work of as many as are free, at most `most`. None waits for one: it would be kept, with all that it
        holds, until others have ended.
        """
        found: list[Future[None]] = []
        while len(found) < most and self._free.acquire(blocking=False):
            try:
                found.append(self._threads.submit(copy_context().run, work))
            except RuntimeError:  # the program ends, or the system has no more threads
                self._free.release()
                break
            found[-1].add_done_callback(lambda _: self._free.release())
        return found


_helpers = cache(_Helpers)
if hasattr(os, "register_at_fork"):  # a copy of the process has none of its threads
    os.register_at_fork(after_in_child=_helpers.cache_clear)


class OfThread(threading.local, Generic[A]):
    """A value that every thread has of its own, a copy of the first one to begin with. A pickle has that one, so that
    threads, and processes, that share an object write into buffers of their own.

    >>> kept = OfThread([1])
    >>> kept.value.append(2)
    >>> kept.value, OfThread.__reduce__(kept)[1]
    ([1, 2], ([1],))
    """

    def __init__(self, first: A) -> None:
        self._first = first
        self.value = copy.copy(first)

    def __reduce__(self) -> tuple[type[OfThread[A]], tuple[A]]:
        return OfThread, (self._first,)
