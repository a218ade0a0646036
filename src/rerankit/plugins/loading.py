"""What stands around the code of a plugin while it is imported: what it prints goes aside, and a stop names it."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_KEPT = 200
"""So many characters of what was printed are kept to be shown."""


class Printed(io.TextIOBase):
    """Stands in for stdout: passes everything on to stderr, and keeps how it begins."""

    def __init__(self) -> None:
        self.text = ""
        self.thread = threading.get_ident()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for each in _standing_in:
            if each.thread == threading.get_ident():  # an import inside another is part of it
                each.text = (each.text + text)[:_KEPT]
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_lock = threading.Lock()
_standing_in: list[Printed] = []
_stdout: list[TextIO] = []


@contextmanager
def loading(what: str) -> Iterator[Printed]:
    """Run an import: nothing of it comes on stdout, where results go, and an interruption says `what` was loading.

    Threads may load at once: stdout comes back when the last of them has ended.
    """
    printed = Printed()
    with _lock:
        if not _standing_in:
            _stdout[:] = [sys.stdout]
        _standing_in.append(printed)
        sys.stdout = printed
    try:
        yield printed
    except KeyboardInterrupt as stop:
        stop.args = (*stop.args, f"while {what} was loading")
        raise
    finally:
        with _lock:
            _standing_in.remove(printed)
            sys.stdout = _standing_in[-1] if _standing_in else _stdout[0]
