"""NumPy's `.npz`: named arrays. Members that are not compressed are memory-mapped."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import Format, Tables, plain
from rerankit.formats.npy import map_array

_LOCAL_HEADER = 30  # bytes before the name in a zip member's own header


class NpzFormat(Format):
    """Named arrays in one file."""

    name: ClassVar[str] = "npz"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "named arrays, memory-mapped unless compressed"

    def read(self, path: Path) -> Tables:
        """Every member; those that are stored as they are cost no memory until used."""
        try:
            with zipfile.ZipFile(path) as archive:
                return Tables((_name(info), self._member(path, archive, info)) for info in archive.infolist())
        except zipfile.BadZipFile as cause:
            raise FormatError(f"{path}: truncated or not an npz file: {cause}") from cause

    def _member(self, path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray[tuple[int, ...]]:
        if not info.filename.endswith(".npy"):
            raise FormatError(f"{path}: '{info.filename}' is not an array; an npz file holds only .npy members")
        if info.compress_type == zipfile.ZIP_STORED:
            return map_array(path, _name(info), _data_start(path, info), info.file_size)
        with archive.open(info) as member:
            try:
                return plain(np.lib.format.read_array(member, allow_pickle=False), path, _name(info))
            except ValueError as cause:
                raise FormatError(f"{path}: '{_name(info)}': {cause}") from cause

    def write(self, path: Path, content: Tables) -> None:
        """Write all arrays, uncompressed so that they can be mapped."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in content.items():
                # A fixed date keeps the bytes of a file the same for the same content.
                info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    # The directory at the end of a zip gives the local header; only that header knows its own length.
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        name_length, extra_length = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:30])
    return info.header_offset + _LOCAL_HEADER + int(name_length) + int(extra_length)
