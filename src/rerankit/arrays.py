"""Arrays as they are taken: anything array-like becomes a numpy array here, checked, without a needless copy."""

from __future__ import annotations

import mmap
import os
import sys
import warnings
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import InputError, RerankitError, RerankitWarning, brief, rule

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]

_WHOLE = 2**24  # the largest whole number below which float32 holds all
MOST_ITEMS = 2**32 - 1
"""How many items a gallery may have: a score and an item's number are sorted as one number of 64 bits."""
_READABLE = (1, 3, 11)  # DLPack's numbers of devices: the processor's memory, and that pinned for CUDA and ROCm


def to_numpy(value: Any, argument: str) -> AnyArray:
    """`value` as a numpy array, sharing its memory where that is possible.

    Takes numpy arrays and memory maps, torch tensors of any device and float type, columns of polars and Arrow (vectors
    as rows), nested lists, and anything with ``__array__`` or DLPack, from other devices too.
    """
    if _is_masked(value) or (isinstance(value, list | tuple) and any(map(_is_masked, value))):
        raise rule(argument, "must not be masked, since a mask would be lost: fill it first", "a masked array")
    if isinstance(value, np.matrix):  # whose rows are matrices again
        return np.asarray(value)
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "toarray") or str(getattr(value, "layout", "")).startswith("torch.sparse"):
        dense = "toarray" if hasattr(value, "toarray") else "to_dense"
        raise rule(argument, f"must not be sparse: give value.{dense}()", type(value).__name__)
    try:
        array = _converted(value, argument)
    except RerankitError:
        raise
    except Exception as cause:  # whatever another library's object does when it is asked for its numbers
        what = f"{type(value).__name__}: {str(cause).splitlines()[0] if str(cause) else type(cause).__name__}"
        uneven = isinstance(value, list | tuple)
        found = f"{type(value).__name__} with uneven rows" if uneven else what
        raise rule(argument, "must be a rectangular array" if uneven else "must be an array", found) from cause
    if array.dtype == object and array.ndim == 0:
        raise rule(argument, "must be an array of numbers", type(value).__name__)
    return array


def _is_masked(value: Any) -> bool:
    masked = sys.modules.get("numpy.ma")  # which NumPy imports where it is asked for
    return masked is not None and isinstance(value, masked.MaskedArray)


def unmasked(value: Any) -> AnyArray:
    """What a stage, a rule or a metric returns as a numpy array; NaN where a mask says that there is no number."""
    if not _is_masked(value):
        return np.asarray(value)
    filled: AnyArray = np.ma.filled(value.astype(np.float64), np.nan)
    return filled


def _converted(value: Any, argument: str) -> AnyArray:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _tensor_to_numpy(value)
    if torch is not None and isinstance(value, list | tuple) and value and isinstance(value[0], torch.Tensor):
        return np.stack([to_numpy(one, argument) for one in value])
    column = _of_column(value, argument)
    if column is not None:
        return column
    if hasattr(value, "__dlpack__") and (_is_elsewhere(value) or not hasattr(value, "__array__")):
        return _from_dlpack(value)
    array = np.asarray(value)
    # What NumPy has no numbers of its own for, such as bfloat16, has a type that can be turned into float32.
    return array.astype(np.float32) if array.dtype.kind == "V" and not array.dtype.names else array


def _of_column(value: Any, argument: str) -> AnyArray | None:
    """The numbers of a table, or of a column of pandas, polars, Arrow or datasets, vectors as rows."""
    if isinstance(value, list | tuple):
        return None
    from rerankit.adapters import arrow, pandas, polars, table_of

    table = table_of(value)
    if table is not None:
        return table.matrix(table.names)
    for found in (pandas.array_of(value), polars.array_of(value)):
        if found is not None:
            return found
    return arrow.array_of(value, argument)


def _is_elsewhere(value: Any) -> bool:
    """Whether an array lies on a device whose memory the processor does not read."""
    return int(value.__dlpack_device__()[0]) not in _READABLE


def _from_dlpack(value: Any) -> AnyArray:
    if not _is_elsewhere(value):
        here: AnyArray = np.from_dlpack(value)
        return here
    if hasattr(value, "get"):  # CuPy's own way to the processor's memory
        fetched: AnyArray = np.asarray(value.get())
        return fetched
    try:
        copied: AnyArray = np.from_dlpack(value, device="cpu", copy=True)
    except TypeError as cause:  # NumPy before 2.1
        raise InputError("it lies on another device: give it in the processor's memory") from cause
    return copied


def _tensor_to_numpy(tensor: Any) -> AnyArray:
    tensor = tensor.detach()
    if tensor.is_floating_point() and str(tensor.dtype) not in {"torch.float32", "torch.float64"}:
        tensor = tensor.float()  # numpy lacks some of them, and half precision is raised before any sort
    array: AnyArray = tensor.cpu().numpy()
    return array


def real_matrix(value: Any, argument: str) -> AnyArray:
    """A non-empty two-dimensional array of real numbers; integers become float32 (those of a memory map later,
    block by block), the rest is kept as it is."""
    if isinstance(value, (str, os.PathLike)):
        raise rule(argument, "must be numbers: rerankit.read(path) reads a file", repr(str(value)))
    check_unlabelled(value, argument)
    array = _stacked(to_numpy(value, argument), argument)
    if array.dtype == np.bool_:
        raise rule(argument, "must hold numbers, not booleans", f"dtype bool, shape {array.shape}")
    if array.dtype == object or array.dtype.kind not in "fiu":
        raise rule(argument, "must hold real numbers", f"dtype {array.dtype}, shape {array.shape}")
    if array.ndim != 2:
        raise rule(argument, "must have two dimensions", f"shape {array.shape}")
    if array.size == 0:
        raise rule(argument, "must not be empty", f"shape {array.shape}")
    return array if array.dtype.kind == "f" or is_memory_map(array) else float32(array, argument)


def check_unlabelled(value: Any, argument: str) -> None:
    """Refuse a table with names that would be lost here, where rows and columns are only counted."""
    if isinstance(value, np.ndarray | list | tuple):
        return
    from rerankit.adapters import table_of

    table = table_of(value)
    if table is not None and not (table.numbered and table.labels is None):
        text = "must be numbers without names here: give them in the right order, such as frame.to_numpy()"
        raise rule(argument, text, f"a table with the columns {brief(table.names)}")


def _stacked(array: AnyArray, argument: str) -> AnyArray:
    """Vectors that stand in an array of objects as the rows of a matrix; they must be of one length."""
    if array.dtype != object or array.ndim != 1 or not len(array):
        return array
    lengths = {len(one) if isinstance(one, np.ndarray | list | tuple) else -1 for one in array}
    if lengths == {-1}:
        return array
    if len(lengths) > 1:
        found = "rows without one" if -1 in lengths else f"{min(lengths)} to {max(lengths)} numbers"
        raise rule(argument, "must have a vector of one length in every row", found)
    return np.stack([np.asarray(one) for one in array])


def int_matrix(value: Any, argument: str) -> IntArray:
    """A non-empty two-dimensional int64 array."""
    array = to_numpy(value, argument)
    if array.ndim != 2 or array.size == 0:
        raise rule(argument, "must have two dimensions and not be empty", f"shape {array.shape}")
    if array.dtype.kind not in "iu":
        raise rule(argument, "must hold integers", f"dtype {array.dtype}, shape {array.shape}")
    if array.dtype.kind == "u" and int(array.max()) > np.iinfo(np.int64).max:
        raise rule(argument, "must fit 64-bit integers with a sign", int(array.max()))
    return array.astype(np.int64, copy=False)


def numbers(value: Any, argument: str) -> AnyArray:
    """An array of numbers or truth values of any shape and type."""
    array = to_numpy(value, argument)
    if array.dtype.kind not in "fiub":
        raise rule(argument, "must hold numbers", f"dtype {array.dtype}, shape {array.shape}")
    return array


def float32(array: AnyArray, argument: str) -> FloatArray:
    """The array in float32 (the same memory when it is already); what does not fit becomes an infinity."""
    if array.dtype == np.float32:
        return np.asarray(array)
    with np.errstate(over="ignore"):
        made: FloatArray = np.asarray(array, dtype=np.float32)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2:
        _tell_ties(array, made, argument)
    return made


def _tell_ties(whole: AnyArray, single: FloatArray, argument: str) -> None:
    """Say when whole numbers become equal to others: float32 holds every one of them only up to 2²⁴."""
    if not whole.size or max(abs(int(whole.max())), abs(int(whole.min()))) <= _WHOLE:
        return
    changed = int((single.astype(np.float64) != whole).sum())
    if changed:
        text = f"'{argument}' has whole numbers beyond 2**24, which scores do not tell apart: {changed} were rounded"
        warnings.warn(f"{text}; subtract the smallest, or give ranks", RerankitWarning, stacklevel=4)


def is_memory_map(array: AnyArray) -> bool:
    """Whether the array's memory is a file, so that reading it all is to be avoided."""
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap | mmap.mmap):
            return True
        base = getattr(base, "base", None) if not isinstance(base, memoryview) else base.obj
    return False


def as_slice(rows: slice | IntArray) -> slice | IntArray:
    """Neighbouring rows as a slice, which copies nothing.

    >>> as_slice(np.array([3, 4, 5])), as_slice(np.array([3, 5]))
    (slice(3, 6, None), array([3, 5]))
    """
    if isinstance(rows, slice) or not len(rows) or np.any(np.diff(rows) != 1):
        return rows
    return slice(int(rows[0]), int(rows[-1]) + 1)


def row_numbers(rows: Any, count: int, argument: str) -> IntArray:
    """Row numbers from a slice, a boolean mask, a list or None (all rows), checked to lie inside `count`."""
    if rows is None or isinstance(rows, slice):
        return np.arange(count, dtype=np.int64)[rows if rows is not None else slice(None)]
    chosen = to_numpy(rows, argument)
    if chosen.dtype == np.bool_:
        if chosen.shape != (count,):
            raise rule(argument, f"as a mask must have {count} entries", f"shape {chosen.shape}")
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
        raise rule(argument, "must be one-dimensional and hold integers", f"{chosen.dtype}, shape {chosen.shape}")
    if chosen.size and (int(chosen.min()) < 0 or int(chosen.max()) >= count):
        raise rule(argument, f"must lie in 0…{count - 1}", f"{int(chosen.min())}…{int(chosen.max())}")
    return chosen.astype(np.int64, copy=False)


def frozen(array: AnyArray) -> AnyArray:
    """A read-only view: the caller's own array stays writeable."""
    if type(array) is np.ndarray and not array.flags.writeable:
        return array
    view: AnyArray = array.view()
    view.setflags(write=False)
    return view


def leave_on_disk(array: AnyArray) -> None:
    """Hand the pages of a read-only memory map back once they are copied; they would count as memory of the process."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and not isinstance(owner, np.memmap):
        owner = owner.base
    if getattr(owner, "mode", "") == "r" and hasattr(mmap, "MADV_DONTNEED"):
        while isinstance(owner, np.ndarray):
            owner = owner.base
        if isinstance(owner, mmap.mmap):
            owner.madvise(mmap.MADV_DONTNEED)
