"""Torch work on the CPU in a few Python threads, each with its share of torch's threads.

Operations on blocks that fit the cache are over in some ten microseconds. Splitting each of them over all threads costs
as much again; splitting the blocks between threads does not, and each core then finds its own data in its own cache.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

MOST = 8
"""More threads than this would wait for the interpreter rather than work."""


def lanes(work: int, least: int) -> int:
    """How many lanes `work` is worth, each of which should have at least `least` of it."""
    return max(1, min(torch.get_num_threads(), MOST, work // least))


def in_lanes(run: Callable[[int], None], count: int) -> None:
    """``run(0)`` … ``run(count - 1)``, side by side and without gradients.

    >>> done = []
    >>> in_lanes(done.append, 2)
    >>> sorted(done)
    [0, 1]
    """
    threads = torch.get_num_threads()
    if count < 2:
        for number in range(count):
            run(number)
        return
    # The number of threads belongs to each thread, but a new thread starts with what was said last: say it again.
    share = max(1, threads // count)
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(share,)) as pool:
            list(pool.map(torch.no_grad()(run), range(count)))
    finally:
        torch.set_num_threads(threads)
