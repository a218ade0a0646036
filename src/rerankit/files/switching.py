"""Putting a new file or folder in the place of an old one in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from rerankit.files.scratch import REPLACED

_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS


def switch(new: Path, target: Path, *, overwrite: bool) -> None:
    """Move `new`, which lies in a scratch folder, to `target`; what was there is in that folder afterwards, or gone.

    Whoever looks at the target sees the old or the new one, never neither: two folders are exchanged in one step where
    the system can, else the old one steps aside for a moment, and a reader of rerankit waits for it. Without
    `overwrite` nothing is replaced that has come meanwhile.
    """
    if new.is_dir():
        _switch_folder(new, target, overwrite)
    elif target.is_dir():  # a file in the place of a folder would be the end of all that the folder holds
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    elif overwrite:
        os.replace(new, target)
    else:
        _move_file(new, target)


def _move_file(new: Path, target: Path) -> None:
    """A rename that replaces nothing; a link is the one way to have it in one step everywhere."""
    try:
        os.link(new, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a disk without links
        if os.path.lexists(target):
            raise _taken(target) from None
        os.replace(new, target)


def _switch_folder(new: Path, target: Path, overwrite: bool) -> None:
    try:
        os.rename(new, target)  # which takes the place of nothing, or of an empty folder
    except OSError as cause:
        if cause.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EACCES) or not target.is_dir():
            raise
        if not overwrite:
            raise _taken(target) from None
        if not exchange(new, target):
            _step_aside(new, target)


def _taken(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "another program has written it in the meantime, and it stays", str(target))


def _step_aside(new: Path, target: Path) -> None:
    old = new.with_name(REPLACED)
    os.rename(target, old)
    try:
        os.rename(new, target)
    except BaseException:
        os.rename(old, target)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Whether two paths have been exchanged in one step; False where the system or the disk cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform.startswith("linux") and hasattr(library, "renameat2"):
        return bool(library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _EXCHANGE) == 0)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return bool(library.renamex_np(first, second, _EXCHANGE) == 0)
    return False
