"""Writing files so that nothing half-written is ever seen, and nothing written is lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rerankit.errors import FormatError, InputError
from rerankit.files.scratch import PREFIX, Scratch, clear_leftovers
from rerankit.files.switching import switch


@contextmanager
def atomic(path: str | os.PathLike[str], *, overwrite: bool = True, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it when the block ends well and removed when it does not.

    The temporary name keeps the ending, since many writers choose a format or append one by it. The block may create
    a file or a folder; a folder that already exists at `path` is replaced by a folder, never by a file. A link at
    `path` stays, and what it leads to is replaced. Without `overwrite` a file or folder that has come in the meantime
    is not replaced. `durable` waits until all of it is on the disk before it takes the old one's place: after a loss
    of power there is the old or the new one. What a disk refuses, full or read-only, is an error that names `path`.
    """
    target = Path(os.path.realpath(path))
    with writing_to(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        with Scratch(target.parent) as scratch:
            temporary = scratch.path / target.name
            yield temporary
            if durable:
                _sync_tree(temporary)
            switch(temporary, target, overwrite=overwrite)
            if durable:
                _sync(target.parent)


@contextmanager
def writing_to(path: str | os.PathLike[str]) -> Iterator[None]:
    """A block in which a disk that is full, or cannot be written, is reported in one line.

    A file that the block misses, or that lies elsewhere, is not the disk's fault and goes on as it is.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as cause:
        place = Path(os.path.realpath(path)).parent
        named = Path(os.path.realpath(cause.filename)) if isinstance(cause.filename, str) else place
        if not (named.is_relative_to(place) or place.is_relative_to(named)):  # above: a folder that had to be made
            raise
        raise FormatError(f"{path}: cannot be written: {cause.strerror or _with_room(cause, place)}") from cause


def _with_room(cause: OSError, place: Path) -> str:
    """What a library made of an error, and how much room there is, which it may not say."""
    while not place.exists():
        place = place.parent
    return f"{cause} ({shutil.disk_usage(place).free:,} bytes are free)"


def _sync_tree(path: Path) -> None:
    """Wait until a file, or a folder with all its files, is on the disk."""
    if path.is_dir():
        for place, _, names in os.walk(path):
            for name in names:
                _sync(Path(place, name))
            _sync(Path(place))
    else:
        _sync(path)


def _sync(path: Path) -> None:
    if path.is_symlink():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some systems do not sync folders
            raise
    finally:
        os.close(descriptor)


def check_place(path: str | os.PathLike[str]) -> None:
    """Raise now what would keep `atomic` from writing `path` later; nothing is left behind, nor what a kill had left.

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
        # Permissions do not tell all: a disk may be read-only for everybody. Trying does, by a file
        # without a name, which no kill leaves behind.
        tempfile.TemporaryFile(prefix=PREFIX, dir=parent).close()
    except OSError as cause:
        raise InputError(f"'{path}' cannot be written: '{parent}': {cause.strerror or cause}") from cause
    clear_leftovers(parent)  # where all is done already nothing is written that would
