"""NumPy's `.npz`: named arrays. Members that are not compressed are memory-mapped."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, Tables
from rerankit.reading import Archive
from rerankit.reading.npy_arrays import map_npy, read_npy

_ENDING = ".npy"


class NpzFormat(Format):
    """Named arrays in one file."""

    name: ClassVar[str] = "npz"
    suffixes: ClassVar[tuple[str, ...]] = (".npz",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "named arrays, memory-mapped unless compressed"

    def read(self, path: Path) -> Tables:
        """Every member, its checksum compared; those that are stored as they are cost no memory until used."""
        archive = Archive(path)
        for name in archive.names:
            if not name.endswith(_ENDING):
                raise FormatError(f"{path}: '{name}' is not an array; an npz file holds only .npy members")
        return Tables((name.removesuffix(_ENDING), _member(archive, name)) for name in archive.names)

    def write(self, path: Path, content: Tables) -> None:
        """Write all arrays, uncompressed so that they can be mapped."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, array in content.items():
                # A fixed date keeps the bytes of a file the same for the same content.
                info = zipfile.ZipInfo(f"{name}{_ENDING}", date_time=(1980, 1, 1, 0, 0, 0))
                with archive.open(info, "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _member(archive: Archive, member: str) -> AnyArray:
    name, span = member.removesuffix(_ENDING), archive.span(member)
    if span is not None:
        return map_npy(archive.path, name, span.start, span.size)
    with archive.open(member) as opened:
        return read_npy(opened, archive.path, name, archive.members[member][0].file_size)
