"""Reading what another process may be replacing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rerankit.files.scratch import wait_for

T = TypeVar("T")
_TRIES = 50


def unchanged(path: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a file or folder, read again when it has been replaced in the meantime.

    A reader opens a path more than once: a header and then what it describes, a config and then weights. Between two
    of these another process may have put a new file or folder there, of which half would be read.
    """
    for _ in range(_TRIES):
        wait_for(path)
        before = _identity(path)
        try:
            found = read()
        except Exception:
            wait_for(path)  # a folder that stepped aside after the look above is there again after it
            if _identity(path) == before:
                raise
            continue
        if _identity(path) == before:
            return found
    return read()


def _identity(path: Path) -> tuple[int, ...] | None:
    """What a path leads to just now."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns
