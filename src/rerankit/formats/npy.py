"""NumPy's `.npy`: one array, mapped from the disk and never read whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
from numpy.lib import format as npy_format

from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, plain

_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


def map_array(path: Path, name: str, start: int = 0, room: int | None = None) -> AnyArray:
    """A read-only memory map of the `.npy` that begins at byte `start` of a file and has `room` bytes."""
    with open(path, "rb") as file:
        file.seek(start)
        shape, fortran, dtype = _header(file, path, name)
        offset = file.tell()
    plain(np.empty(0, dtype), path, name)
    end = start + room if room is not None else path.stat().st_size
    size = math.prod(shape) * dtype.itemsize
    if offset + size > end:
        raise FormatError(f"{path}: '{name}' is truncated: {shape} {dtype} takes {size} bytes, {end - offset} remain")
    if size == 0:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def _header(file: BinaryIO, path: Path, name: str) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    start = file.read(len(npy_format.MAGIC_PREFIX) + 2)
    if start[:1] == b"\x80":
        raise FormatError(f"{path}: this is a pickle, which can run code and is never read; save it with numpy.save")
    if not start.startswith(npy_format.MAGIC_PREFIX):
        raise FormatError(f"{path}: truncated or not an npy file ('{name}' begins with {start!r})")
    version = (start[-2], start[-1])
    if version not in _HEADERS:
        raise FormatError(f"{path}: '{name}' has npy version {version}; known: (1, 0), (2, 0)")
    return _HEADERS[version](file)


class NpyFormat(Format):
    """One array; memory-mapped."""

    name: ClassVar[str] = "npy"
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    holds: ClassVar[tuple[type, ...]] = (np.ndarray,)
    description: ClassVar[str] = "one array, memory-mapped"

    def read(self, path: Path) -> AnyArray:
        """A read-only memory map."""
        return map_array(path, path.stem)

    def write(self, path: Path, content: AnyArray) -> None:
        """Write one array."""
        np.save(path, content, allow_pickle=False)
