"""Opening one file of vectors."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rerankit import limits
from rerankit.arrays import AnyArray, IntArray
from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import check_regular
from rerankit.reading.arrow_files import ParquetColumns, arrow_columns, open_arrow
from rerankit.reading.npy_arrays import map_npy
from rerankit.reading.safetensors_file import map_tensors
from rerankit.reading.text import first_sentence


class ArrayPart:
    """A file whose array is mapped, or reads what is asked for."""

    def __init__(self, path: Path, array: Any) -> None:
        self.path, self._array = path, array
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows: slice | IntArray) -> AnyArray:
        found: AnyArray = self._array[rows]
        return found


class HdfRows:
    """Vectors in a dataset of HDF5, whose chunks are read when their rows are asked for."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self._path, self._dataset = path, dataset
        self.shape, self.dtype = dataset.shape, dataset.dtype

    def __getitem__(self, rows: slice | IntArray) -> AnyArray:
        if isinstance(rows, slice):
            return self._read(rows)
        rising, back = np.unique(np.arange(self.shape[0])[rows], return_inverse=True)  # HDF5 takes no others
        return self._read(rising)[back]

    def _read(self, rows: slice | IntArray) -> AnyArray:
        try:
            return np.asarray(self._dataset[rows])
        except OSError as cause:
            text = f"{self._path}: rows of '{self._dataset.name}' cannot be read: {first_sentence(cause)}"
            raise FormatError(text) from cause


class LanceRows:
    """Vectors in a column of a dataset of Lance, of which the rows are read that are asked for."""

    def __init__(self, path: Path, dataset: Any, name: str) -> None:
        kind = dataset.schema.field(name).type
        self._path, self._dataset, self._name = path, dataset, name
        self.shape = dataset.count_rows(), kind.list_size
        self.dtype = np.dtype(kind.value_type.to_pandas_dtype())

    def __getitem__(self, rows: slice | IntArray) -> AnyArray:
        chosen = np.arange(self.shape[0])[rows]
        if not len(chosen):
            return np.empty((0, self.shape[1]), self.dtype)
        if isinstance(rows, slice):
            return self._read("to_table", offset=int(chosen[0]), limit=len(chosen))
        rising, back = np.unique(chosen, return_inverse=True)
        return self._read("take", rising)[back]

    def _read(self, how: str, *where: Any, **named: Any) -> AnyArray:
        try:
            table = getattr(self._dataset, how)(*where, columns=[self._name], **named)
        except (OSError, ValueError) as cause:
            raise FormatError(f"{self._path}: rows cannot be read: {first_sentence(cause)}") from cause
        return _numbers(self._path, table.column(self._name).combine_chunks())


def is_dataset(path: Path) -> bool:
    """Whether a path is that of a folder which is one file of vectors to us."""
    return path.suffix.lower() == ".lance" and path.is_dir()


def open_part(path: Path) -> list[ArrayPart]:
    """The vectors of a file, in one piece or several."""
    try:
        place = path if is_dataset(path) else check_regular(path)
        return [ArrayPart(path, array) for array in OPENERS[path.suffix.lower()](place)]
    except FormatError:
        raise
    except OSError as cause:
        raise FormatError(f"{path}: cannot be read: {cause.strerror or first_sentence(cause)}") from cause
    except Exception as cause:  # what pyarrow raises on damaged bytes
        if isinstance(cause, ImportError):
            raise
        raise FormatError(f"{path}: truncated, damaged or of another kind: {first_sentence(cause)}") from cause


def _safetensors(path: Path) -> list[AnyArray]:
    arrays = map_tensors(path)
    matrices = {name: array for name, array in arrays.items() if array.ndim == 2}
    if len(matrices) != 1:
        raise FormatError(f"{path}: must hold one array of vectors (got {', '.join(sorted(arrays)) or 'none'})")
    return list(matrices.values())


def _parquet(path: Path) -> list[AnyArray]:
    """The column of vectors, unpacked once into a file without a name, which goes when its last reader is gone."""
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
    name = vector_column(path, parquet.read_schema(path))
    columns = ParquetColumns(path, [name])
    if columns.file.metadata.num_rows == 0:
        return [np.empty((0, 1), np.float32)]
    return [_unpacked(path, (batch.column(0) for batch in columns.batches()))]


def _arrow(path: Path) -> list[AnyArray]:
    """The column of vectors of a file of record batches, mapped batch by batch."""
    file = open_arrow(path)
    name = vector_column(path, file.schema)
    return [_numbers(path, column) for column in arrow_columns(file, name)]


def _hdf5(path: Path) -> list[HdfRows]:
    """The one dataset of vectors of a file, which stays open; what it says lies in other files is not followed."""
    h5py = require("h5py", extra="hdf5", purpose=f"reading {path.name}")
    found: list[Any] = []

    def look(name: str, each: Any) -> None:
        if isinstance(each, h5py.Dataset) and len(each.shape or ()) == 2:
            found.append(each)

    h5py.File(path, "r").visititems(look)
    if len(found) != 1:
        names = ", ".join(each.name for each in found) or "none"
        raise FormatError(f"{path}: must hold one dataset of vectors (rows, d) (got {names})")
    if found[0].external or found[0].is_virtual:
        raise FormatError(f"{path}: '{found[0].name}' says that its rows lie in other files, which are not followed")
    _check_size(path, found[0])
    return [HdfRows(path, found[0])]


def _check_size(path: Path, dataset: Any) -> None:
    """Refuse a dataset that says it holds far more than its file, or whose chunks, read at once, unpack to too much."""
    held, rows = path.stat().st_size, f"'{dataset.name}'"
    if dataset.nbytes > limits.current().free:
        limits.check(path, "ratio", dataset.nbytes // max(held, 1), f"the size of {rows}, in multiples of its file's,")
    if dataset.chunks is not None:
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
        limits.check_ratio(path, held, chunk, f"a chunk of {rows}")


def _lance(path: Path) -> list[LanceRows]:
    """The column of vectors of a dataset; what it says lies in other places is not followed."""
    dataset = require("lance", extra="lance", purpose=f"reading {path.name}").dataset(str(path))
    name = vector_column(path, dataset.schema)
    if not hasattr(dataset.schema.field(name).type, "list_size"):
        raise FormatError(f"{path}: '{name}' must be a list of a fixed size (got {dataset.schema.field(name).type})")
    files = [file for fragment in dataset.get_fragments() for file in fragment.data_files()]
    if any(getattr(file, "base_id", None) is not None for file in files):
        raise FormatError(f"{path}: says that its rows lie in another dataset, which is not followed")
    return [LanceRows(path, dataset, name)]


def vector_column(path: Path, schema: Any) -> str:
    """The one column of vectors of a table."""
    found = _vector_columns(schema)
    if len(found) != 1:
        names = ", ".join(found or schema.names)
        raise FormatError(f"{path}: must have one column of vectors, a list of numbers of one length (got {names})")
    return str(found[0])


def has_vectors(schema: Any) -> bool:
    """Whether a table has a column of vectors."""
    return bool(_vector_columns(schema))


def _vector_columns(schema: Any) -> list[str]:
    types = require("pyarrow.types", extra="parquet")
    return [field.name for field in schema if _holds_vectors(types, field.type)]


def _holds_vectors(types: Any, kind: Any) -> bool:
    if not (types.is_fixed_size_list(kind) or types.is_list(kind) or types.is_large_list(kind)):
        return False
    return bool(types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def _numbers(path: Path, column: Any) -> AnyArray:
    """A column of vectors as an array (rows, d) over the same memory."""
    values = column.flatten()
    if column.null_count or values.null_count:
        raise FormatError(f"{path}: must have a whole vector in every row (got empty cells)")
    width, uneven = divmod(len(values), max(len(column), 1))
    lengths = getattr(column, "value_lengths", None)
    if hasattr(column.type, "list_size"):  # they are of one length
        lengths = None
    if uneven or (lengths is not None and np.any(np.asarray(lengths()) != width)):
        raise FormatError(f"{path}: must have vectors of one length")
    found: AnyArray = values.to_numpy(zero_copy_only=False)
    return found.reshape(len(column), width)


def _unpacked(path: Path, columns: Iterator[Any]) -> AnyArray:
    with tempfile.TemporaryFile(prefix="rerankit-") as file:
        rows, width, dtype = 0, 0, np.dtype(np.float32)
        for column in columns:
            numbers = np.ascontiguousarray(_numbers(path, column))
            if rows and numbers.shape[1] != width:
                raise FormatError(f"{path}: must have vectors of one length (got {width} and {numbers.shape[1]})")
            rows, width, dtype = rows + len(numbers), numbers.shape[1], numbers.dtype
            file.write(numbers.data)
        file.flush()
        return np.memmap(file, dtype, mode="r", shape=(rows, width))


OPENERS: dict[str, Callable[[Path], list[Any]]] = {
    ".npy": lambda path: [map_npy(path, path.stem)],
    ".safetensors": _safetensors,
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".feather": _arrow,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".lance": _lance,
}
"""How a file of each ending is opened."""
