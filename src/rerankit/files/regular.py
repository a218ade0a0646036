"""Only regular files are opened: a pipe would wait for ever, and a link could lead anywhere."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rerankit.errors import FormatError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_regular(path: str | os.PathLike[str], what: str = "file") -> Path:
    """The path, refused before it is opened when it is not a regular file (or a link to one).

    >>> check_regular("/dev/null")
    Traceback (most recent call last):
    rerankit.errors.FormatError: /dev/null: must be a regular file (got a device)
    """
    file = Path(path)
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as cause:
        raise FormatError(f"{file}: no such {what}") from cause
    except (OSError, ValueError) as cause:  # ValueError: a zero byte in the path
        raise FormatError(f"{file}: cannot be read: {getattr(cause, 'strerror', None) or cause}") from cause
    if not stat.S_ISREG(mode):
        raise FormatError(f"{file}: must be a regular file (got {_KINDS.get(stat.S_IFMT(mode), 'something else')})")
    if not os.access(file, os.R_OK):
        raise FormatError(f"{file}: cannot be read: {os.strerror(errno.EACCES)}")
    return file


def check_inside(path: Path, folder: Path) -> Path:
    """The path of something in a folder, refused when it is a link that leads out of it."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise FormatError(f"{path}: must lie in its folder: it is a link that leads out of it, which is not followed")
    return path


def files_in(folder: Path, most: int | None = None) -> Iterator[Path]:
    """Everything in a folder and below that is no folder, in a fixed order; linked folders are not entered."""
    count = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        for name in sorted([*names, *links]):
            count += 1
            if most is not None and count > most:
                raise FormatError(f"{folder}: must have at most {most} files (got more)")
            yield Path(place, name)
