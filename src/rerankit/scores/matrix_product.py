"""Products of matrices in rerankit's own threads.

Threads of a matrix library wait for its next product without letting go of their processor (those of OpenBLAS for 25
ms), and so take it from what comes in between: the choice among the scores of a tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.threads import MOST, in_threads, is_helper

_SMALL = 2**27  # multiplications, about a millisecond of one thread: of fewer nothing is cut
_open = Lock()


def product_into(found: AnyArray, left: AnyArray, right: AnyArray) -> None:
    """The products (rows, columns) of vectors (rows, d) and others (columns, d).

    >>> found = np.empty((1, 2))
    >>> product_into(found, np.array([[1.0, 2.0]]), np.array([[3.0, 1.0], [0.0, 1.0]]))
    >>> found
    array([[5., 2.]])
    """
    with each_alone(left.size * len(right) >= _SMALL) as threads:
        wide = max(1, -(-len(right) // threads))

        def one(at: int) -> None:
            np.matmul(left, right[at : at + wide].T, out=found[:, at : at + wide])

        in_threads(one, range(0, len(right), wide))


@contextmanager
def each_alone(wanted: bool = True) -> Iterator[int]:
    """A block in which every thread makes its products alone; how many threads the matrix library would use for one.

    That is 1, and the library is left as it is, where it is not `wanted`, where another such block is open, in a thread
    that works on a piece of something (the library would listen to no other thread then), and where the library does
    not tell, has more threads than are started here, or counts them for each thread apart (OpenMP). It is 1, too, where
    another thread of the program has told the library how many to use: then it does not listen.

    Nobody can see through another one's limit: a `threadpool_limits` that begins in another thread of the program while
    this block is open, and ends after it, takes the 1 that holds here for what was there before, and leaves it so.
    """
    if not wanted or is_helper() or not _open.acquire(blocking=False):
        yield 1
        return
    try:
        threads, libraries = _threads(), _libraries().lib_controllers
        if threads > MOST or any(getattr(each, "threading_layer", None) == "openmp" for each in libraries):
            yield 1
            return
        with _libraries().limit(limits=1):
            yield threads if _threads() == 1 else 1
    finally:
        _open.release()


def _threads() -> int:
    """How many threads the matrix library uses for a product; 1 where it does not tell."""
    return max((each.num_threads for each in _libraries().lib_controllers), default=1)


@cache
def _libraries() -> Any:
    """Those that numpy multiplies with: what comes with it in its wheel, whatever libraries other packages bring; where
    nothing does, all that are loaded.
    """
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas")
    package = Path(np.__file__).resolve().parent
    folders = package.with_name("numpy.libs"), package / ".dylibs"
    own = [each.filepath for each in found.lib_controllers if Path(each.filepath).resolve().parent in folders]
    return found.select(filepath=own) if own else found
