"""Writing files so that nothing half-written is ever seen."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rerankit.errors import InputError


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it does not.

    The temporary name keeps the ending, since many writers choose a format or append one by it. The block
    may create a file or a folder; a folder that already exists at `path` is replaced by a folder, never by a file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix=".rerankit-", dir=target.parent))
    try:
        temporary = room / target.name
        yield temporary
        _replace(temporary, target, room)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def check_place(path: str | os.PathLike[str]) -> None:
    """Raise now what would keep `atomic` from writing `path` later; nothing is left behind.

    >>> check_place("/dev/null/run.npz")
    Traceback (most recent call last):
    rerankit.errors.InputError: '/dev/null/run.npz' cannot be written: '/dev/null' is not a folder
    """
    parent = Path(path).absolute().parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent  # folders that are absent are made when the file is written
    if not parent.is_dir():
        raise InputError(f"'{path}' cannot be written: '{parent}' is not a folder")
    try:
        # Permissions do not tell all: a disk may be read-only for everybody. Trying does.
        tempfile.TemporaryDirectory(prefix=".rerankit-", dir=parent).cleanup()
    except OSError as cause:
        raise InputError(f"'{path}' cannot be written: '{parent}': {cause.strerror or cause}") from cause


def _replace(temporary: Path, target: Path, room: Path) -> None:
    if not target.is_dir() or target.is_symlink():
        os.replace(temporary, target)
        return
    if not temporary.is_dir():  # a file in the place of a folder would be the end of all that the folder holds
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    # os.replace cannot put a folder over a folder that has something in it: move the old one aside first.
    old = room / ".replaced"
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except BaseException:
        os.replace(old, target)
        raise
