"""MATLAB's files of version 5 to 7, read here, since SciPy's reader can be driven beyond its memory.

A file is a header and elements one behind the other: a kind, a length, and so many bytes. A variable is an element of
elements (flags, shape, name, numbers), which may be compressed.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rerankit import limits
from rerankit.arrays import AnyArray
from rerankit.errors import FormatError
from rerankit.reading.text import read_bytes

_HEADER, _MATRIX, _COMPRESSED = 128, 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_CELL, _CHAR, _SPARSE = 1, 4, 5
_OTHERS = {2: "struct", 3: "object", 16: "function", 17: "opaque"}
_COMPLEX, _LOGICAL = 0x800, 0x200


class _Element(NamedTuple):
    kind: int
    data: memoryview


class TextCells(NamedTuple):
    """A cell array of texts, in MATLAB's order."""

    texts: list[str]


class MatFile:
    """The variables of a file: arrays, sparse matrices of SciPy, arrays of texts, and `TextCells`."""

    def __init__(self, path: Path) -> None:
        self.path, self.unpacked = path, 0
        self.content = memoryview(read_bytes(path))
        self.order = {b"IM": "<", b"MI": ">"}.get(bytes(self.content[126:128]), "")
        if not self.order:
            raise FormatError(f"{path}: is no file of MATLAB 5 to 7, or is cut short: save it with -v7")

    def variables(self) -> dict[str, Any]:
        """Every variable that has a name."""
        found: dict[str, Any] = {}
        for element in self._elements(self.content[_HEADER:], pad=False):
            inner = self._unpacked(element.data) if element.kind == _COMPRESSED else element
            if inner.kind != _MATRIX:
                raise self._fault("it has something that is no variable")
            name, value = self._variable(inner.data)
            if name in found:
                raise self._fault(f"it has '{name}' twice")
            found |= {name: value} if name else {}
        return found

    def _fault(self, what: str) -> FormatError:
        return FormatError(f"{self.path}: truncated or damaged: {what}")

    def _grown(self, size: int) -> None:
        self.unpacked += size
        limits.check_ratio(self.path, len(self.content), self.unpacked, "the arrays")

    # -- elements ------------------------------------------------------------------------------------------------

    def _elements(self, data: memoryview, *, pad: bool = True) -> Iterator[_Element]:
        """The elements that lie one behind the other; `pad`: each begins at a multiple of 8."""
        at = 0
        while at < len(data):
            if len(data) - at < 8:
                raise self._fault("it ends within an element")
            kind, size = np.frombuffer(data[at : at + 8], f"{self.order}u4").tolist()
            small = kind >> 16
            start, size, kind = (at + 4, small, kind & 0xFFFF) if small else (at + 8, size, kind)
            if size > (4 if small else len(data) - start):
                raise self._fault("an element is longer than what holds it")
            yield _Element(kind, data[start : start + size])
            at = at + 8 if small else start + (size + 7) // 8 * 8 if pad else start + size

    def _unpacked(self, data: memoryview) -> _Element:
        try:
            unpacker = zlib.decompressobj()
            kind, size = np.frombuffer(unpacker.decompress(data, 8), f"{self.order}u4").tolist()
            self._grown(size)
            content = unpacker.decompress(unpacker.unconsumed_tail, size) if size else b""
            rest = unpacker.decompress(unpacker.unconsumed_tail, 1)  # nothing, and the checksum
        except (zlib.error, ValueError) as cause:
            raise self._fault(str(cause)) from cause
        if len(content) != size or rest or not unpacker.eof:
            raise self._fault("something compressed is not as long as it says")
        return _Element(kind, memoryview(content))

    def _numbers(self, element: _Element) -> AnyArray:
        dtype = _NUMBERS.get(element.kind)
        if dtype is None or len(element.data) % int(dtype[1]):
            raise self._fault("it has something else where numbers belong")
        return np.frombuffer(element.data, f"{self.order}{dtype}")

    # -- variables -----------------------------------------------------------------------------------------------

    def _variable(self, data: memoryview) -> tuple[str, Any]:
        elements = list(self._elements(data))
        if len(elements) < 3:
            raise self._fault("it has a variable without a name")
        flags, dimensions, name, *parts = elements
        shape = tuple(self._numbers(dimensions).tolist())
        kind, label = self._numbers(flags), bytes(name.data).decode("latin-1")
        if not 2 <= len(shape) <= 32 or not all(isinstance(size, int) and size >= 0 for size in shape) or not len(kind):
            raise self._fault(f"'{label}' has no shape")
        return label, self._value(label, int(kind[0]), shape, parts)

    def _value(self, label: str, flags: int, shape: tuple[int, ...], parts: list[_Element]) -> Any:
        kind = flags & 0xFF
        if kind in _OTHERS:
            raise FormatError(f"{self.path}: '{label}' must be a matrix of numbers or texts (got a {_OTHERS[kind]})")
        if flags & _COMPLEX:
            raise FormatError(f"{self.path}: '{label}' must be real numbers (got complex ones)")
        if kind == _CELL:
            return self._cells(label, shape, parts)
        if kind == _CHAR and parts:
            return self._texts(label, shape, parts[0])
        if kind == _SPARSE and len(parts) == 3 and len(shape) == 2:
            return self._sparse(label, shape, parts)
        if kind not in _CLASSES or len(parts) != 1:
            raise self._fault(f"'{label}' has no numbers")
        dtype = "?" if flags & _LOGICAL else _CLASSES[kind]
        stored = self._numbers(parts[0])
        self._grown(stored.size * max(0, np.dtype(dtype).itemsize - stored.itemsize))  # a number may take one byte
        return self._shaped(label, stored.astype(dtype), shape)

    def _shaped(self, label: str, values: AnyArray, shape: tuple[int, ...]) -> AnyArray:
        if len(values) != math.prod(shape):
            raise self._fault(f"'{label}' has {len(values)} values and the shape {shape}")
        return values.reshape(shape, order="F")

    def _texts(self, label: str, shape: tuple[int, ...], part: _Element) -> AnyArray:
        """A text for each row of characters."""
        name = _TEXTS.get(part.kind, "")
        ending = {"<": "-le", ">": "-be"}[self.order] if name in ("utf-16", "utf-32") else ""
        try:
            text = bytes(part.data).decode(name + ending)
        except (UnicodeDecodeError, LookupError) as cause:
            raise self._fault(f"'{label}' has no characters") from cause
        if math.prod(shape[:-1]) == 1:
            return np.array([text])
        signs = self._shaped(label, np.array(list(text), "<U1"), shape)
        return np.array(["".join(row) for row in signs.reshape(math.prod(shape[:-1]), shape[-1]).tolist()])

    def _cells(self, label: str, shape: tuple[int, ...], parts: list[_Element]) -> TextCells:
        rule = f"{self.path}: '{label}' must have cells with one text each"
        texts: list[str] = []
        for part in parts:
            inner = list(self._elements(part.data)) if part.kind == _MATRIX else []
            if not inner or (self._numbers(inner[0])[:1] & 0xFF).tolist() != [_CHAR]:
                raise FormatError(rule)
            text = self._variable(part.data)[1].tolist()
            if len(text) > 1:
                raise FormatError(rule)
            texts += text or [""]
        if len(texts) != math.prod(shape):
            raise self._fault(f"'{label}' has {len(texts)} cells and the shape {shape}")
        return TextCells(texts)

    def _sparse(self, label: str, shape: tuple[int, ...], parts: list[_Element]) -> Any:
        from scipy.sparse import csc_matrix  # slow to import, and seldom needed

        rows, starts, values = map(self._numbers, parts)
        self._grown(8 * sum(shape))  # what lists of each row and column take, which a file need not hold
        try:
            cells = csc_matrix((values.astype("f8"), rows.astype("i8"), starts.astype("i8")), (shape[0], shape[1]))
            cells.check_format(full_check=True)
        except (ValueError, IndexError) as cause:
            raise self._fault(f"'{label}' is no sparse matrix: {cause}") from cause
        return cells
