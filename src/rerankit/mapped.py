"""Arrays that are part of a file, known to other processes by the file's path and not by their numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError


@dataclass(frozen=True)
class Region:
    """A part of a file that is an array."""

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str
    column_major: bool
    stamp: tuple[int, int]
    """Size and time of the file: another file of that name is not what was meant."""

    def opened(self) -> AnyArray:
        """The array, mapped and read-only."""
        if stamp_of(self.path) != self.stamp:
            raise FormatError(f"{self.path}: is not the file it was: its size or time has changed since")
        order = "F" if self.column_major else "C"
        mapped: AnyArray = np.memmap(self.path, np.dtype(self.dtype), "r", self.offset, self.shape, order)  # type: ignore[call-overload]
        return mapped


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, int]:
    """A file's size and the time when it was last written."""
    try:
        found = Path(path).stat()
    except OSError as cause:
        raise FormatError(f"{path}: cannot be read: {cause.strerror or cause}") from cause
    return found.st_size, found.st_mtime_ns


def region_of(array: Any) -> Region | None:
    """Where a read-only array lies in a file, if it is one piece of a memory map; None for anything else.

    >>> region_of(np.zeros(3)) is None
    True
    """
    whole = _map_of(array)
    if whole is None or not array.size or array.dtype.hasobject or array.flags.writeable:
        return None
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return None
    path = str(Path(str(whole.filename)).absolute())
    if not os.path.isfile(path):
        return None
    offset = int(whole.offset) + array.ctypes.data - whole.ctypes.data
    return Region(path, offset, array.shape, array.dtype.str, not array.flags.c_contiguous, stamp_of(path))


def packed(array: Any) -> Any:
    """What is pickled of an array: its place where it lies in a file, else the array."""
    return region_of(array) or array


def unpacked(given: Any) -> Any:
    """What `packed` was given, read-only."""
    array = given.opened() if isinstance(given, Region) else given
    if not isinstance(array, np.ndarray):  # rows in files, which pickle themselves
        return array
    view: AnyArray = array.view()
    view.setflags(write=False)
    return view


def _map_of(array: Any) -> Any:
    """The map that an array is a part of: the outermost one, which knows its place in the file."""
    found = None
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and getattr(array, "filename", None) is not None:
            found = array
        array = array.base
    return found
