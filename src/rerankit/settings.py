"""The few settings that hold for a whole process.

``memory_budget`` is the one knob for how much memory blocks of work may take; every block size is derived
from it. It changes speed and memory, never an answer but for the last bits that docs/reliability.md names.

>>> from rerankit import settings
>>> with settings.using(memory_budget="64MB"):
...     settings.memory_budget()
64000000
"""

from __future__ import annotations

import os
import re
from contextlib import AbstractContextManager
from contextvars import ContextVar

from rerankit.errors import rule
from rerankit.scoped import set_to

DEFAULT_MEMORY_BUDGET = 256_000_000
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_budget: ContextVar[int | None] = ContextVar("memory_budget", default=None)


def parse_bytes(size: int | str, argument: str = "memory_budget") -> int:
    """A size in bytes from an int or a text such as ``"256MB"``.

    >>> parse_bytes("1.5GB"), parse_bytes(1024)
    (1500000000, 1024)
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)\s*", str(size))
    if not found or found[2].upper() not in _UNITS:
        raise rule(argument, "must be a number of bytes, such as 256000000 or '256MB'", size)
    count = int(float(found[1]) * _UNITS[found[2].upper()])
    if count < 1:
        raise rule(argument, "must be positive", size)
    return count


def memory_budget() -> int:
    """Bytes that one block of work may take; `RERANKIT_MEMORY_BUDGET` sets it for a whole process."""
    chosen = _budget.get()
    if chosen is not None:
        return chosen
    given = os.environ.get("RERANKIT_MEMORY_BUDGET")
    return parse_bytes(given, "RERANKIT_MEMORY_BUDGET") if given else DEFAULT_MEMORY_BUDGET


def using(*, memory_budget: int | str) -> AbstractContextManager[None]:
    """Use another budget inside a ``with`` block."""
    return set_to(_budget, parse_bytes(memory_budget))
