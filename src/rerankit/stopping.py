"""Signals that ask the program to end: what is being written is removed, locks are given back, one line is printed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
KEPT = (*STOPPING, signal.SIGQUIT) if hasattr(signal, "SIGQUIT") else STOPPING
"""Whose handlers are the same after a block as before it, whatever libraries have put in their place within."""


class Stopped(KeyboardInterrupt):
    """A signal that ends the program; an interruption to everything that cleans up after one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell says of a program that a signal has ended."""
        return 128 + self.number

    def __str__(self) -> str:
        what = "interrupted" if self.number == signal.SIGINT else f"stopped by {signal.Signals(self.number).name}"
        return " ".join([what, *self.args[1:]])


def leave_when_stopped() -> None:
    """From now on such a signal ends the program at once, with one line: nothing has begun that must be finished."""
    _listen(_leave)


@contextmanager
def stoppable() -> Iterator[None]:
    """A block in which such a signal raises `Stopped`, so that what has begun is cleaned up; the handlers of before
    are there again after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = {number: signal.getsignal(number) for number in KEPT}
    _listen(_stop)
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _listen(handler: object) -> None:
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(number, handler)  # type: ignore[arg-type]


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def _leave(number: int, _: FrameType | None) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(128 + number)
