"""NumPy's own array files: headers looked at before anything of their size is made."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.files import check_regular
from rerankit.reading.text import first_sentence
from rerankit.rows import StoredRows

_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


def holds_values(array: AnyArray | StoredRows) -> bool:
    """Whether the elements are numbers, truth values or texts, which files can hold without code."""
    return array.dtype.kind in "biufUS"


def plain(array: AnyArray | StoredRows, path: Path, name: str) -> None:
    """The array itself, refused when its elements are not numbers or texts."""
    if not holds_values(array):
        reason = "object arrays are pickles and never read" if array.dtype.hasobject else "it must be real numbers"
        raise FormatError(f"{path}: '{name}' has dtype {array.dtype}: {reason}")
    if isinstance(array, np.ndarray) and array.dtype.kind == "U" and array.size:
        check_texts(array, path, name)


def check_texts(array: AnyArray, path: Path, name: str) -> None:
    """Refuse texts with numbers that are no characters, which Python cannot make."""
    numbers = np.ascontiguousarray(array).reshape(-1).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
    if int(numbers.max()) > sys.maxunicode:
        raise FormatError(f"{path}: '{name}' must hold texts (got the character number {int(numbers.max()):#x})")


def map_npy(path: Path, name: str, start: int = 0, size: int | None = None) -> AnyArray:
    """A read-only memory map of the `.npy` that begins at byte `start` of a file and has `size` bytes."""
    end = start + size if size is not None else check_regular(path).stat().st_size
    with path.open("rb") as file:
        file.seek(start)
        shape, fortran, dtype = _header(file, path, name)
        offset = file.tell()
    _check_size(path, name, shape, dtype, end - offset)
    if offset == end:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")


def read_npy(file: IO[bytes], path: Path, name: str, size: int) -> AnyArray:
    """The `.npy` of `size` bytes that a stream has."""
    shape, fortran, dtype = _header(file, path, name)
    _check_size(path, name, shape, dtype, size - file.tell())
    data = file.read(size - file.tell())
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_size(path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], room: int) -> None:
    cells = math.prod(shape)
    size = cells * dtype.itemsize
    if min(shape, default=0) < 0 or (cells and not dtype.itemsize):
        raise FormatError(f"{path}: '{name}' claims {shape} elements of {dtype}, which cannot be")
    if size > room:
        raise FormatError(f"{path}: '{name}' is truncated: {shape} {dtype} takes {size} bytes, {room} remain")
    if size < room:
        raise FormatError(f"{path}: '{name}' has {room - size} bytes behind its array of {shape} {dtype}")


def _header(file: IO[bytes], path: Path, name: str) -> Header:
    start = file.read(len(npy_format.MAGIC_PREFIX) + 2)
    if start[:1] == b"\x80":
        raise FormatError(f"{path}: this is a pickle, which can run code and is never read; save it with numpy.save")
    if not start.startswith(npy_format.MAGIC_PREFIX):
        raise FormatError(f"{path}: truncated or not an npy file ('{name}' begins with {start!r})")
    version = (start[-2], start[-1])
    if version not in _HEADERS:
        raise FormatError(f"{path}: '{name}' has npy version {version}; known: (1, 0), (2, 0)")
    try:
        shape, fortran, dtype = _HEADERS[version](file)
    except Exception as cause:  # its text is Python's, and fails in as many ways
        raise FormatError(f"{path}: truncated, damaged or not an npy file: {first_sentence(cause)}") from cause
    plain(np.empty(0, dtype), path, name)
    return shape, fortran, dtype
