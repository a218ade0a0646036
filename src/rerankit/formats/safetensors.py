"""`.safetensors` in plain NumPy: named arrays, memory-mapped.

The file is eight bytes of length, a JSON header and the raw arrays, so reading it needs no package, and
unlike the package's own reader for NumPy this one maps arrays in place of copying them. Texts live in the
header.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, Tables

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LONGEST_HEADER = 100_000_000  # the format's own limit
_TEXT_KEYS = "rerankit"  # header entry that lists which texts are JSON lists or texts of ours


class SafetensorsFormat(Format):
    """Named arrays in one file."""

    name: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "named arrays, memory-mapped; texts in the header"

    def read(self, path: Path) -> Tables:
        """Every array of the file, and the texts that `write` put into its header."""
        header, start = read_header(path)
        metadata = header.pop("__metadata__", {})
        tables = Tables((name, _map(path, name, entry, start)) for name, entry in header.items())
        for name in json.loads(metadata.get(_TEXT_KEYS, "[]")):
            tables[name] = np.array(json.loads(metadata[name]))
        return tables

    def write(self, path: Path, content: Tables) -> None:
        """Write arrays of numbers as tensors and arrays of texts into the header."""
        texts = {name: array for name, array in content.items() if array.dtype.kind == "U"}
        metadata = {name: json.dumps(array.tolist()) for name, array in texts.items()}
        if texts:
            metadata[_TEXT_KEYS] = json.dumps(sorted(texts))
        write_tensors(path, {name: a for name, a in content.items() if name not in texts}, metadata)


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header and where the data begins; the error says when the file is cut short."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else -1
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise FormatError(f"{path}: truncated or not a safetensors file (header length {length}, file {size})")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise FormatError(f"{path}: not a safetensors file: its header must be a JSON object")
    return header, 8 + length


def _map(path: Path, name: str, entry: dict[str, Any], start: int) -> AnyArray:
    try:
        dtype, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        begin, end = (int(n) for n in entry["data_offsets"])
    except (KeyError, TypeError, ValueError) as cause:
        raise FormatError(f"{path}: '{name}' has a damaged header entry: {cause}") from cause
    if dtype != "BF16" and dtype not in _DTYPES:
        raise FormatError(f"{path}: '{name}' has dtype {dtype}; known: BF16, {', '.join(sorted(_DTYPES))}")
    stored = np.dtype("<u2" if dtype == "BF16" else _DTYPES[dtype])
    size = math.prod(shape) * stored.itemsize
    if min(shape, default=0) < 0 or begin < 0 or end - begin != size:
        raise FormatError(f"{path}: '{name}' is damaged: {shape} {dtype} takes {size} bytes, not {end - begin}")
    if start + end > path.stat().st_size:
        raise FormatError(f"{path}: '{name}' is truncated: it ends at byte {start + end} of {path.stat().st_size}")
    if size == 0:
        return np.empty(shape, np.float32 if dtype == "BF16" else stored)
    mapped = np.memmap(path, stored, mode="r", offset=start + begin, shape=shape)
    if dtype != "BF16":
        return mapped
    # NumPy has no bfloat16: it is the upper half of a float32.
    return (mapped.astype(np.uint32) << 16).view(np.float32)


def write_tensors(path: Path, tensors: dict[str, AnyArray], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; arrays may be memory maps, which are written block by block."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    offset = 0
    arrays = {name: _storable(path, name, array) for name, array in tensors.items()}
    for name, array in arrays.items():
        end = offset + array.nbytes
        entry = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": [offset, end]}
        header[name], offset = entry, end
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            array.tofile(file)


def _storable(path: Path, name: str, array: AnyArray) -> AnyArray:
    little = array.dtype.newbyteorder("<")
    if little.str not in _NAMES:
        raise FormatError(f"{path}: '{name}' has dtype {array.dtype}, which safetensors cannot hold")
    return np.asarray(array, dtype=little, order="C")
