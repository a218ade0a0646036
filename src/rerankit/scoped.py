"""Values that hold inside a ``with`` block, in whatever runs there, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def set_to(variable: ContextVar[T], value: T) -> Iterator[None]:
    """A block in which a variable has this value.

    >>> depth = ContextVar("depth", default=0)
    >>> with set_to(depth, 3):
    ...     depth.get()
    3
    >>> depth.get()
    0
    """
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
