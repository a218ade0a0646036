"""Killing a process at a chosen step: just before it touches a file."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

STEPS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "ctypes.dlsym", "os.utime")
"""What Python tells before it does it, of all that concerns files."""


class Killer:
    """An audit hook that kills this process before the step of a number."""

    def __init__(self, number: int) -> None:
        self.number, self.seen = number, 0

    def __call__(self, event: str, _: Any) -> None:
        if event in STEPS:
            self.seen += 1
            if self.seen == self.number:
                os.kill(os.getpid(), signal.SIGKILL)


def killed_before(number: int, work: Callable[[], None]) -> bool:
    """Do the work in a copy of this process, and say whether it was killed before its step of this number."""
    child = os.fork()
    if child == 0:  # pragma: no cover - the copy
        try:
            sys.addaudithook(Killer(number))
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, "the work failed, and was not killed"
        return False
    assert os.WTERMSIG(status) == signal.SIGKILL
    return True
