"""Cutting work into blocks that fit the memory budget."""

from __future__ import annotations

from collections.abc import Iterator

from rerankit import settings

_PIECE = 2**16  # numbers that stay in a thread's cache while they are worked on in double precision


def blocks(count: int, row_bytes: int, *, share: float = 1.0, least: int = 1) -> Iterator[slice]:
    """Slices over `count` rows of `row_bytes` each, every one within `share` of the memory budget.

    >>> from rerankit import settings
    >>> with settings.using(memory_budget=100):
    ...     list(blocks(5, row_bytes=40))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    rows = least if count <= least else max(least, int(settings.memory_budget() * share) // max(1, row_bytes))
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def pieces(count: int, width: int) -> list[slice]:
    """Slices over `count` vectors of `width` numbers, each small enough for a thread's cache.

    >>> pieces(3, 30_000)
    [slice(0, 2, None), slice(2, 3, None)]
    """
    rows = max(1, _PIECE // max(1, width))
    return [slice(at, min(at + rows, count)) for at in range(0, count, rows)]
