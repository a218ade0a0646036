"""Locks that end with the process that holds them, however it ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Lock:
    """A folder that no other process can lock until this is released; `held` is False where the disk has no locks."""

    descriptor: int | None
    held: bool

    def release(self) -> None:
        """Let others have it."""
        if self.descriptor is not None:
            with suppress(OSError):
                os.close(self.descriptor)
            self.descriptor = None


def lock_folder(folder: Path) -> Lock | None:
    """A lock on a folder, or None when another process (or another part of this one) has it, or it is gone."""
    if sys.platform == "win32":
        return Lock(None, False)
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    lock = Lock(descriptor, True)
    try:
        _take(descriptor)
    except BlockingIOError:
        lock.release()
        return None
    except OSError:  # a disk that has no locks
        lock.held = False
    if not _still(folder, descriptor):
        lock.release()
        return None
    return lock


if sys.platform != "win32":
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _still(folder: Path, descriptor: int) -> bool:
    """Whether the folder is the one that was opened: it may have been removed, and another made."""
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except OSError:
        return False
