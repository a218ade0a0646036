"""Work as bytes for other processes: large arrays go into a file that all of them map, and are not copied."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.mapped import Region, region_of, stamp_of, unpacked

_LARGE = 100_000
"""Bytes beyond which an array goes into the file."""
_ALIGNED = 64


def dumps(value: Any, folder: Path) -> bytes:
    """A value as bytes; arrays of it that lie in files are their paths, other large ones are written to `folder`."""
    written = io.BytesIO()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "arrays.bin").open("wb") as file:
        pickler = _Pickler(written, file, folder / "arrays.bin")
        pickler.dump(value)
    return pickle.dumps((written.getvalue(), str(folder / "arrays.bin")), protocol=5)


def loads(data: bytes) -> Any:
    """The value; its arrays are read-only, and mapped."""
    inner, file = pickle.loads(data)
    return _Unpickler(io.BytesIO(inner), Path(file)).load()


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO, file: Any, path: Path) -> None:
        super().__init__(target, protocol=5)
        self._file, self._path = file, path
        self._known: dict[int, tuple[Any, tuple[Any, ...]]] = {}

    def persistent_id(self, obj: Any) -> Any:
        """The place of a large array in the file; None for everything else, which is pickled as usual."""
        if not isinstance(obj, np.ndarray) or obj.dtype.hasobject or not obj.size:
            return None
        found = region_of(obj)
        if found is not None:
            return found
        if type(obj) is not np.ndarray or obj.nbytes < _LARGE:
            return None
        if id(obj) not in self._known:
            self._known[id(obj)] = obj, self._written(obj)  # kept, so that its number stays its own
        return self._known[id(obj)][1]

    def _written(self, array: Any) -> tuple[Any, ...]:
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNED))
        offset = self._file.tell()
        by_columns = array.flags.f_contiguous and not array.flags.c_contiguous
        np.ascontiguousarray(array.T if by_columns else array).tofile(self._file)
        return offset, array.shape, array.dtype.str, by_columns


class _Unpickler(pickle.Unpickler):
    def __init__(self, source: io.BytesIO, path: Path) -> None:
        super().__init__(source)
        self._path = path
        self._opened: dict[Any, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        """The array of a place; one that stands in several places is mapped once."""
        if pid not in self._opened:
            self._opened[pid] = unpacked(pid if isinstance(pid, Region) else self._region(*pid))
        return self._opened[pid]

    def _region(self, offset: int, shape: tuple[int, ...], dtype: str, by_columns: bool) -> Region:
        return Region(str(self._path), offset, shape, dtype, by_columns, stamp_of(self._path))
