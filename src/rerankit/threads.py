"""Running numpy work in threads: numpy lets go of the interpreter lock, and no answer depends on their number."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")
_MOST = 16

first_use = threading.RLock()
"""Held while what threads share is made ready on its first use, such as networks that move to their device: a second
thread would move them while the first one computes.
"""


def in_threads(work: Callable[[A], B], pieces: Sequence[A]) -> list[B]:
    """The results of `work` on every piece, in order.

    >>> in_threads(len, ["a", "bc"])
    [1, 2]
    """
    workers = min(len(pieces), os.cpu_count() or 1, _MOST) if len(pieces) > 1 else 1
    if workers < 2:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, pieces))


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
