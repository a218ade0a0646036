"""Zip files (npz, torch's): members where they lie, bounded, with their checksums compared."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from rerankit import limits
from rerankit.errors import FormatError
from rerankit.files import check_regular
from rerankit.reading.text import first_sentence

_LOCAL = struct.Struct("<4s22xHH")  # the header in front of a member: its mark, the lengths of its name and extras
_END = struct.Struct("<4s4xHHLLH")  # the end of the directory: mark, entries, size, place and a comment's length
_END64 = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR = 20  # bytes between that and the next, which say where it is
_LONGEST_COMMENT = 65_535
_PIECE = 1 << 20


class Span(NamedTuple):
    """Where the bytes of a member lie in the file; the bytes themselves are as they are, not compressed."""

    start: int
    size: int


class Archive:
    """A zip file that has been looked at before anything is unpacked.

    Members that lie over each other, come twice, are encrypted, or would unpack to more than the limits allow are
    refused, and so are those whose checksum does not fit.
    """

    def __init__(self, path: Path) -> None:
        self.path = check_regular(path)
        try:
            with path.open("rb") as file:
                entries = _check_directory(path, file)
                self.members = self._members(file, entries)
        except FormatError:
            raise
        except Exception as cause:  # damaged bytes make the reader fail in any way, from struct.error to OSError
            raise FormatError(f"{path}: truncated or not a zip file: {first_sentence(cause)}") from cause

    @property
    def names(self) -> list[str]:
        """The members in the order of the directory."""
        return list(self.members)

    def _members(self, file: IO[bytes], entries: int) -> dict[str, tuple[zipfile.ZipInfo, int]]:
        with zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
        if len(listed) != entries:  # a wrong length in the directory hides the members behind it
            raise FormatError(f"{self.path}: its directory is damaged: it says {entries} members and has {len(listed)}")
        members = {info.filename: (info, _start(self.path, file, info)) for info in listed}
        if len(members) < len(listed):
            names = [info.filename for info in listed]
            twice = next(name for name in names if names.count(name) > 1)
            raise FormatError(f"{self.path}: '{twice}' is in the file twice")
        self._check_places(list(members.values()))
        packed = [info for info in listed if info.compress_type != zipfile.ZIP_STORED]
        total = sum(info.file_size for info in packed)
        limits.check_ratio(self.path, sum(info.compress_size for info in packed), total, "its compressed members")
        return members

    def _check_places(self, members: list[tuple[zipfile.ZipInfo, int]]) -> None:
        """Members must not share bytes: that is how a small file unpacks to a large one."""
        size, free = self.path.stat().st_size, 0
        for info, start in sorted(members, key=lambda member: member[1]):
            if info.header_offset < free or start + info.compress_size > size:
                raise FormatError(f"{self.path}: '{info.filename}' is damaged: it lies over another, or is cut short")
            if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
                raise FormatError(f"{self.path}: '{info.filename}' is damaged: it has two sizes")
            free = start + info.compress_size

    def span(self, name: str) -> Span | None:
        """Where a member lies, after its checksum was compared; None when it is compressed."""
        info, start = self.members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        if info.file_size <= limits.current().verified and self._crc(start, info.file_size) != info.CRC:
            raise FormatError(f"{self.path}: '{name}' is damaged: it is not what its checksum says")
        return Span(start, info.file_size)

    def _crc(self, start: int, size: int) -> int:
        value = 0
        with self.path.open("rb") as file:
            file.seek(start)
            while size > 0 and (piece := file.read(min(_PIECE, size))):
                value, size = zlib.crc32(piece, value), size - len(piece)
        return value

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A member unpacked as it is read; at its end its checksum must fit, and all of it must have been read."""
        info, _ = self.members[name]
        limits.check_ratio(self.path, info.compress_size, info.file_size, f"'{name}'")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(info) as member:
                yield member
                if rest := len(member.read(1)):
                    raise FormatError(f"{self.path}: '{name}' has more bytes than it should (at least {rest})")
        except FormatError:
            raise
        except Exception as cause:  # as above
            raise FormatError(f"{self.path}: '{name}' is damaged: {first_sentence(cause)}") from cause

    def read(self, name: str) -> bytes:
        """All of a member."""
        with self.open(name) as member:
            return member.read()


def _start(path: Path, file: IO[bytes], info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: the directory knows its header, and only that knows its own length."""
    if info.flag_bits & 1:
        raise FormatError(f"{path}: '{info.filename}' is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{path}: '{info.filename}' must be stored or deflated (got method {info.compress_type})")
    if not 0 <= info.header_offset < path.stat().st_size:
        raise FormatError(f"{path}: '{info.filename}' is damaged: it lies outside of the file")
    file.seek(info.header_offset)
    mark, name, extra = _LOCAL.unpack(file.read(_LOCAL.size))
    if mark != b"PK\x03\x04" or file.read(name) != _name_bytes(info):
        raise FormatError(f"{path}: '{info.filename}' is damaged: there is no member where the directory says")
    return info.header_offset + _LOCAL.size + int(name) + int(extra)


def _name_bytes(info: zipfile.ZipInfo) -> bytes:
    """A member's name as it stands in the file; bit 11 of its flags says how it is written."""
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


def _check_directory(path: Path, file: IO[bytes]) -> int:
    """How many members the directory says it has; its size is checked before it is read, since it is read whole."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END64.size - _LOCATOR - _END.size - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise zipfile.BadZipFile("it has no directory at its end")
    _, _, entries, length, _, _ = _END.unpack_from(tail, at)
    wide = at - _LOCATOR - _END64.size
    if wide >= 0 and tail[wide : wide + 4] == b"PK\x06\x06":
        entries, length = _END64.unpack_from(tail, wide)[7:9]
    limits.check(path, "files", entries, "the number of members")
    limits.check(path, "header", length, "the size of the directory")
    return int(entries)
