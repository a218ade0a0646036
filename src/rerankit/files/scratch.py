"""Scratch folders for what is being written, owned by a living process, and cleared after a dead one."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rerankit.files.locks import lock_folder

PREFIX = ".rerankit-"
REPLACED = ".replaced"
"""In a scratch folder: the old folder, on its way out, where a disk cannot exchange two folders in one step."""
_OLD = 86_400.0  # seconds after which a folder is taken for left over where it cannot be known if its owner lives


class Scratch:
    """A folder beside a target in which something is written before it is moved into place.

    It is locked as long as the process lives that made it. What a process that was killed leaves behind is finished or
    removed when the next one writes, or looks for a target, in the same folder.
    """

    def __init__(self, parent: Path) -> None:
        clear_leftovers(parent)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            lock = lock_folder(self.path)
            if lock is not None:  # else another process took it for a dead one's, and has removed it
                self.lock = lock
                return

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def scratch_in(parent: Path) -> Iterator[Path]:
    """Every scratch folder in a folder, of living and dead processes."""
    try:
        with os.scandir(parent) as entries:
            found = [e.name for e in entries if e.name.startswith(PREFIX) and e.is_dir(follow_symlinks=False)]
    except OSError:
        return
    yield from (parent / name for name in sorted(found))


def clear_leftovers(parent: Path) -> None:
    """Finish or remove what processes that were killed have left in a folder; nothing of a living one is touched."""
    for scratch in scratch_in(parent):
        lock = lock_folder(scratch)
        if lock is None:
            continue
        try:
            if (lock.held or _age(scratch) > _OLD) and _finish(scratch, parent):
                shutil.rmtree(scratch, ignore_errors=True)
        finally:
            lock.release()


def _finish(scratch: Path, parent: Path) -> bool:
    """Put the new folder where the old one was, when the process was killed between taking that away and this.

    False where that could not be done: on a disk that is read-only now the only copy lies here.
    """
    try:
        for new in scratch.iterdir() if (scratch / REPLACED).is_dir() else ():
            if new.name != REPLACED and not os.path.lexists(parent / new.name):
                os.rename(new, parent / new.name)
    except OSError:
        return False
    return True


def _age(scratch: Path) -> float:
    try:
        return time.time() - scratch.stat().st_mtime
    except OSError:
        return 0.0


def wait_for(path: Path, seconds: float = 1.0) -> None:
    """Give a folder that another process is replacing just now, or was when it was killed, the time to be there."""
    end = time.monotonic() + seconds
    while not os.path.lexists(path) and any(True for _ in scratch_in(path.parent)):
        clear_leftovers(path.parent)
        if os.path.lexists(path) or time.monotonic() > end:
            return
        time.sleep(0.005)
