"""`.safetensors`: named arrays, memory-mapped; texts live in the header. Needs no package."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, Tables
from rerankit.reading import parse_json
from rerankit.reading.safetensors_file import CHECKSUMS, DTYPES, HEADER_SUM, header_sum, read_file

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_TEXT_KEYS = "rerankit"  # header entry that lists which texts are JSON lists or texts of ours
_UNKNOWN = "0" * 8


class SafetensorsFormat(Format):
    """Named arrays in one file."""

    name: ClassVar[str] = "safetensors"
    suffixes: ClassVar[tuple[str, ...]] = (".safetensors",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "named arrays, memory-mapped; texts in the header"

    def read(self, path: Path) -> Tables:
        """Every array of the file, and the texts that `write` put into its header."""
        arrays, metadata = read_file(path)
        tables = Tables(arrays)
        for name in _texts(path, metadata.get(_TEXT_KEYS, "[]"), list):
            if not isinstance(name, str) or name in tables or name not in metadata:
                raise FormatError(f"{path}: its header must have each text once (got {name!r})")
            tables[name] = np.array(_texts(path, metadata[name], (list, str)))
        return tables

    def write(self, path: Path, content: Tables) -> None:
        """Write arrays of numbers as tensors and arrays of texts into the header."""
        texts = {name: array for name, array in content.items() if array.dtype.kind == "U"}
        metadata = {name: json.dumps(array.tolist()) for name, array in texts.items()}
        if texts:
            metadata[_TEXT_KEYS] = json.dumps(sorted(texts))
        write_tensors(path, {name: a for name, a in content.items() if name not in texts}, metadata)


def _texts(path: Path, text: str, kind: type | tuple[type, ...]) -> Any:
    found = parse_json(text, path)
    if not isinstance(found, kind):
        raise FormatError(f"{path}: its header must hold texts as JSON (got {text[:80]!r})")
    return found


def write_tensors(path: Path, tensors: dict[str, AnyArray], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file with checksums of each array and of the header; maps are written block by block."""
    arrays = {name: _storable(path, name, array) for name, array in tensors.items()}
    sums = dict.fromkeys(arrays, _UNKNOWN)
    with path.open("wb") as file:
        file.write(_header(arrays, metadata or {}, sums))
        for name, array in arrays.items():
            for piece in _pieces(array):
                file.write(piece)  # not array.tofile, whose error does not say that the disk is full
            sums[name] = f"{_crc32(array):08x}"
        file.seek(0)
        file.write(_header(arrays, metadata or {}, sums))  # of the same length: all checksums have one


def _header(arrays: dict[str, AnyArray], metadata: dict[str, str], sums: dict[str, str]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {**metadata, CHECKSUMS: json.dumps(sums)}}
    offset = 0
    for name, array in arrays.items():
        end = offset + array.nbytes
        entry = {"dtype": _NAMES[array.dtype.str], "shape": list(array.shape), "data_offsets": [offset, end]}
        header[name], offset = entry, end
    header["__metadata__"][HEADER_SUM] = header_sum(header)
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _crc32(array: AnyArray) -> int:
    value = 0
    for piece in _pieces(array):
        value = zlib.crc32(piece, value)
    return value


def _pieces(array: AnyArray) -> Iterator[memoryview]:
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), 1 << 20):
        yield flat[start : start + (1 << 20)].data


def _storable(path: Path, name: str, array: AnyArray) -> AnyArray:
    if not isinstance(name, str) or name == "__metadata__":
        raise FormatError(f"{path}: arrays must be named by texts, and by none that safetensors keeps (got {name!r})")
    little = array.dtype.newbyteorder("<")
    if little.str not in _NAMES:
        raise FormatError(f"{path}: '{name}' has dtype {array.dtype}, which safetensors cannot hold")
    return np.asarray(array, dtype=little, order="C")
