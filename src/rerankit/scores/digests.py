"""Rows told apart by digests of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from rerankit.arrays import AnyArray, IntArray


def firsts(rows: Iterable[AnyArray], numbers: IntArray) -> IntArray:
    """The numbers of rows that equal none before them.

    >>> firsts(np.array([[1, 2], [3, 4], [1, 2]]), np.array([5, 6, 7]))
    array([5, 6])
    """
    found: dict[bytes, int] = {}
    for number, row in zip(numbers.tolist(), rows, strict=True):
        found.setdefault(digest_of(row), number)
    return np.fromiter(found.values(), np.int64, len(found))


def digest_of(row: AnyArray) -> bytes:
    """A digest of a row's numbers."""
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
