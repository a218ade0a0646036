"""What Parquet and Arrow files say that they unpack to, read from their own records before anything is unpacked.

The libraries that read them take the memory at once that a page or a buffer says it needs. How much that is stands in
Parquet in the header of every page (Thrift, compact), in Arrow in front of every buffer (FlatBuffers say where). Only
so much of both is read here. What is no such record ends in `IndexError` or `struct.error`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rerankit import limits
from rerankit.errors import FormatError

_PAGES = {5: 2, 7: 2, 8: 4}
"""Fields of a page's header, one for each kind of page, which begins with the number of values; and, in it, the field
of the encoding."""
_WIDTHS = {0: 1, 1: 4, 4: 4}  # bytes of a truth value, a whole and a real number of 32 bits
_TEXTS, _BY_PREFIX = (6, 7), 7  # types of columns; an encoding in which a text repeats the beginning of the last one
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 11, 12
_CONTINUES = b"\xff\xff\xff\xff"


class Column(NamedTuple):
    """What the pages of a column unpack to, in bytes; how long a text may be that they repeat; and whether texts
    repeat the beginning of the last one."""

    size: int = 0
    longest: int = 0
    by_prefix: bool = False


def of_parquet(path: Path, names: Collection[str]) -> dict[str, Column]:
    """Some columns of a Parquet file. Values that take more than their pages count in their place."""
    found = dict.fromkeys(names, Column())
    with _opened(path) as data:
        footer = _Thrift(path, data, _footer(path, data, b"PAR1")).struct()
        pages = _Thrift(path, data, 0)
        for part in (chunk[3] for group in footer[4] for chunk in group[1]):
            name, width, texts = part[3][0].decode(), _WIDTHS.get(part[1], 8), part[1] in _TEXTS
            if name in found:
                for size, values, encoding in _pages(pages, part):
                    before = found[name]
                    found[name] = Column(
                        before.size + max(size, values * width),
                        max(before.longest, size if texts else 0),
                        before.by_prefix or encoding == _BY_PREFIX,
                    )
    return found


def _pages(thrift: _Thrift, column: dict[int, Any]) -> Iterator[tuple[int, int, int]]:
    """Bytes, values and encoding of the pages of a part of a column, which lie one behind the other."""
    thrift.at = min(start for start in (column[9], column.get(11, 0)) if start > 0)
    end = min(thrift.at + column[7], len(thrift.data))
    while thrift.at < end:
        page = thrift.struct()
        about = next(({**page[kind], 0: at} for kind, at in _PAGES.items() if kind in page), {})
        values, encoding = about.get(1, 0), about.get(about.get(0), 0)
        if min(page[2], page[3], values) < 0:
            raise FormatError(
                f"{thrift.path}: must have pages (got {page[2]} bytes, {page[3]} packed, {values} values)"
            )
        thrift.at += page[3]
        yield page[2], values, encoding


def of_arrow(path: Path) -> int:
    """What the batches and dictionaries of an Arrow file unpack to, all columns of them."""
    with _opened(path) as data:
        footer = _Flat(data, _footer(path, data, b"ARROW1")).root()
        blocks = [block for field in (2, 3) for block in footer.structs(field, "<qi4xq")]
        return sum(size for start, ahead, _ in blocks for size in _buffers(data, start, start + ahead))


def _buffers(data: mmap.mmap, start: int, body: int) -> Iterator[int]:
    """Bytes that each buffer of a batch or a dictionary has when it is unpacked."""
    head = 8 if data[start : start + 4] == _CONTINUES else 4
    message = _Flat(data, start + head).root()
    (kind,) = _numbers(data, "<B", message.place(1))
    batch = message.table(2) if kind == 3 else message.table(2).table(1)
    packed = bool(batch.place(3))
    for at, length in batch.structs(2, "<qq"):
        (claimed,) = _numbers(data, "<q", body + at) if packed and length > 0 else (-1,)
        yield max(claimed, length, 0)


@contextmanager
def _opened(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def _footer(path: Path, data: mmap.mmap, magic: bytes) -> int:
    """Where the footer starts, whose length stands before the last bytes of a file."""
    end = len(data) - len(magic) - 4
    if end < 0 or data[end + 4 :] != magic:
        raise FormatError(f"{path}: must end with {magic.decode()} (got {data[-len(magic) :]!r})")
    (length,) = _numbers(data, "<I", end)
    if length > end:
        raise FormatError(f"{path}: must hold its footer (got {length} bytes of it in a file of {len(data)})")
    limits.check(path, "header", length, "the size of its footer")
    return end - int(length)


def _numbers(data: mmap.mmap, form: str, at: int) -> tuple[Any, ...]:
    if at < 0:
        raise IndexError("it points before its beginning")
    return struct.unpack_from(form, data, at)


class _Flat:
    """A table of FlatBuffers; `root` is the one that a place refers to."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data, self._at = data, at

    def root(self) -> _Flat:
        return _Flat(self._data, self._at + _numbers(self._data, "<I", self._at)[0])

    def place(self, number: int) -> int:
        """Where a field stands, or 0."""
        fields = self._at - _numbers(self._data, "<i", self._at)[0]
        at = 4 + 2 * number
        inside = at < _numbers(self._data, "<H", fields)[0]
        found = _numbers(self._data, "<H", fields + at)[0] if inside else 0
        return self._at + int(found) if found else 0

    def table(self, number: int) -> _Flat:
        return _Flat(self._data, self.place(number)).root()

    def structs(self, number: int, form: str) -> Iterator[tuple[Any, ...]]:
        """The members of a list of records of one form."""
        if at := self.place(number):
            at += _numbers(self._data, "<I", at)[0]
            count, size = _numbers(self._data, "<I", at)[0], struct.calcsize(form)
            for member in range(count):
                yield _numbers(self._data, form, at + 4 + member * size)


class _Thrift:
    """Records of Thrift's compact form: `struct` reads the one at `at` as a dictionary by field, and moves on."""

    def __init__(self, path: Path, data: mmap.mmap, at: int) -> None:
        self.path, self.data, self.at = path, data, at
        self._steps = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        limits.check(self.path, "depth", depth, "the depth of its records")
        found: dict[int, Any] = {}
        field = 0
        while (head := self._byte()) & 15 != _STOP:
            field = field + (head >> 4) if head >> 4 else self._whole()
            found[field] = self._value(head & 15, depth + 1)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        self._steps += 1
        limits.check(self.path, "values", self._steps, "the number of its records")
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BYTE:
            return self._byte()
        if kind in (_DOUBLE, _BINARY):
            return self._some(8 if kind == _DOUBLE else self._varint())
        if kind in (_LIST, _SET):
            return self._list(depth)
        if kind == _MAP:
            return self._map(depth)
        return self.struct(depth) if kind == _STRUCT else self._whole()

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        kind = _BYTE if head & 15 in (_TRUE, _FALSE) else head & 15
        return [self._value(kind, depth) for _ in range(count)]

    def _map(self, depth: int) -> list[Any]:
        count = self._varint()
        kinds = self._byte() if count else 0
        return [(self._value(kinds >> 4, depth), self._value(kinds & 15, depth)) for _ in range(count)]

    def _whole(self) -> int:
        """A number with its sign, which stands in its last bit."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise FormatError(f"{self.path}: must have numbers of ten bytes at most")

    def _byte(self) -> int:
        self.at += 1
        byte: int = self.data[self.at - 1]
        return byte

    def _some(self, count: int) -> bytes:
        self.at += count
        if self.at > len(self.data):
            raise IndexError("it ends too early")
        return self.data[self.at - count : self.at]
