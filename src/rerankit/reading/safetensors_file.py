"""Safetensors in plain NumPy: named arrays, memory-mapped.

The file is eight bytes of length, a JSON header and the raw arrays, so reading it needs no package, and unlike the
package's own reader for NumPy this one maps arrays in place of copying them. A file is refused unless its arrays fill
it from the first byte to the last without a gap, and none lies over another.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from rerankit import limits
from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.files import check_regular
from rerankit.reading.json_text import parse_json
from rerankit.reading.text import decoded

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
CHECKSUMS = "rerankit.crc32"
"""The entry of the header in which files of ours have a checksum of each array."""
HEADER_SUM = "rerankit.header"
"""The entry in which they have a checksum of the rest of the header."""
_PARTS = ("dtype", "shape", "data_offsets")
_PIECE = 1 << 20


@dataclass(frozen=True)
class TensorEntry:
    """What the header says of one array."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensors(path: Path) -> dict[str, AnyArray]:
    """Every array of a file by name, read-only; those that rerankit wrote are compared with their checksums."""
    return read_file(path)[0]


def map_tensors(path: Path) -> dict[str, AnyArray]:
    """Every array of a file by name, mapped: nothing but the header is read, and no checksum compared."""
    return read_file(path, compared=False)[0]


def read_file(path: Path, *, compared: bool = True) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """Every array of a file, and the texts of its header."""
    header, start = read_header(path)
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise FormatError(f"{path}: '__metadata__' must hold texts")
    ours = CHECKSUMS in metadata or HEADER_SUM in metadata
    if ours and metadata.get(HEADER_SUM) != header_sum(header):
        raise FormatError(f"{path}: its header is damaged: it is not what its checksum says")
    header.pop("__metadata__", None)
    entries = [_entry(path, name, given) for name, given in header.items()]
    _check_places(path, entries, start)
    if compared:
        _check_sums(path, entries, start, metadata.get(CHECKSUMS))
    return {entry.name: _map(path, entry, start) for entry in entries}, metadata


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header and where the data begins; the error says when the file is cut short."""
    size = check_regular(path).stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else -1
        if not 2 <= length <= size - 8:
            raise FormatError(f"{path}: truncated or not a safetensors file (header length {length}, file {size})")
        limits.check(path, "header", length, "the size of the header")
        text = decoded(path, file.read(length))
    header = parse_json(text.rstrip(), path)
    if not isinstance(header, dict):
        raise FormatError(f"{path}: not a safetensors file: its header must be a JSON object")
    return header, 8 + length


def _entry(path: Path, name: str, given: Any) -> TensorEntry:
    dtype, shape, places = (given.get(part) for part in _PARTS) if isinstance(given, dict) else (None, None, None)
    if not isinstance(dtype, str) or not _sizes(shape) or not _sizes(places) or len(places) != 2 or len(shape) > 32:
        raise FormatError(f"{path}: '{name}' has a damaged header entry (got {given!s:.100})")
    if dtype != "BF16" and dtype not in DTYPES:
        raise FormatError(f"{path}: '{name}' has dtype {dtype}; known: BF16, {', '.join(sorted(DTYPES))}")
    entry = TensorEntry(name, dtype, tuple(shape), places[0], places[1])
    size = math.prod(entry.shape) * _stored(entry).itemsize
    if entry.end - entry.begin != size:
        raise FormatError(
            f"{path}: '{name}' is damaged: {entry.shape} {dtype} takes {size} bytes, not {entry.end - entry.begin}"
        )
    return entry


def _sizes(given: Any) -> TypeGuard[list[int]]:
    return isinstance(given, list) and all(type(size) is int and size >= 0 for size in given)


def _stored(entry: TensorEntry) -> np.dtype[Any]:
    return np.dtype("<u2" if entry.dtype == "BF16" else DTYPES[entry.dtype])


def _check_places(path: Path, entries: list[TensorEntry], start: int) -> None:
    """Arrays must follow each other without gap or overlap to the end of the file."""
    total, at = path.stat().st_size - start, 0
    for entry in sorted(entries, key=lambda each: (each.begin, each.end)):
        if entry.end > total:
            raise FormatError(f"{path}: '{entry.name}' is truncated: it ends at byte {entry.end} of {total}")
        if entry.begin != at:
            what = "lies over another array" if entry.begin < at else "has bytes before it that belong to no array"
            raise FormatError(f"{path}: '{entry.name}' {what}")
        at = entry.end
    if at != total:
        raise FormatError(f"{path}: has {total - at} bytes behind its last array")


def _check_sums(path: Path, entries: list[TensorEntry], start: int, text: str | None) -> None:
    if text is None:
        return  # a file of others, which has none
    sums = parse_json(text, path)
    most = limits.current().verified
    for entry in entries:
        listed = sums.get(entry.name) if isinstance(sums, dict) else None
        if entry.end - entry.begin <= most and listed != _checksum(path, start + entry.begin, start + entry.end):
            raise FormatError(f"{path}: '{entry.name}' is damaged: it is not what its checksum says")


def _checksum(path: Path, begin: int, end: int) -> str:
    value = 0
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (piece := file.read(min(_PIECE, end - begin))):
            value, begin = zlib.crc32(piece, value), begin + len(piece)
    return f"{value:08x}"


def _map(path: Path, entry: TensorEntry, start: int) -> AnyArray:
    stored = _stored(entry)
    if entry.begin == entry.end:
        return np.empty(entry.shape, np.float32 if entry.dtype == "BF16" else stored)
    mapped = np.memmap(path, stored, mode="r", offset=start + entry.begin, shape=entry.shape)
    if entry.dtype != "BF16":
        return mapped
    # NumPy has no bfloat16: it is the upper half of a float32.
    return (mapped.astype(np.uint32) << 16).view(np.float32)


def header_sum(header: dict[str, Any]) -> str:
    """The checksum of a header, but for the entry that holds it."""
    texts = {name: text for name, text in header["__metadata__"].items() if name != HEADER_SUM}
    return f"{zlib.crc32(json.dumps({**header, '__metadata__': texts}).encode()):08x}"
