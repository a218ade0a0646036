"""A folder as named arrays: one `.npy` each, texts and ids as `.txt` with one a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit import limits
from rerankit.errors import FormatError, InputError
from rerankit.files import MANIFEST, check_inside, check_manifest, check_regular, files_in, write_manifest
from rerankit.formats.content import Content, Format, Tables
from rerankit.formats.run_shards import is_run, read_given, read_run
from rerankit.formats.sharded import sharded_in
from rerankit.formats.text import write_text
from rerankit.reading import read_text
from rerankit.reading.npy_arrays import map_npy
from rerankit.reading.text import BYTE_ORDER_MARK
from rerankit.shards import is_dataset, is_shards, open_one, open_shards


class FolderFormat(Format):
    """Named arrays, a file each; `features/NAME.npy` is the array `features/NAME`."""

    name: ClassVar[str] = "folder"
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    description: ClassVar[str] = "a folder with one .npy for each array, ids as .npy or .txt"

    def read(self, path: Path) -> Content:
        """The vectors of shards or of a dataset of Lance, the ranking of a run in shards, or named arrays: every
        `.npy`, and `.txt` of ids, labels and texts, in the folder and below.

        Other files are left alone.
        What the folder's list says of its files is checked; a folder made by hand has none.
        """
        if is_dataset(path):
            return open_one(path)
        check_manifest(path)
        if is_run(path):
            return Tables(read_run(path) | read_given(path, self.read))
        by_hand = not (path / MANIFEST).exists()
        if by_hand and is_shards(path):
            return open_shards(path)
        tables, sharded = sharded_in(path) if by_hand else (Tables(), [])
        for file in files_in(path, limits.current().files):
            relative = file.relative_to(path)
            name = relative.with_suffix("").as_posix()
            wanted = file.suffix == ".npy" or (file.suffix == ".txt" and _is_text(name))
            if not wanted or _is_left(file, relative, sharded):
                continue
            check_inside(check_regular(file), path)
            if name in tables:
                raise FormatError(f"{path}: '{name}' is there twice, as .npy and as .txt")
            tables[name] = map_npy(file, name) if file.suffix == ".npy" else np.array(read_text(file).splitlines())
        if not tables:
            raise FormatError(f"{path}: the folder has no .npy file")
        return tables

    def write(self, path: Path, content: Tables) -> None:
        """Write a file for each array, and the list of them."""
        path.mkdir()
        _refuse_alike(content)
        for name, array in content.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if array.dtype.kind == "U" and array.ndim <= 1 and not any(map(_breaks, array.ravel().tolist())):
                write_text(file.with_name(f"{file.name}.txt"), (f"{text}\n" for text in array.ravel().tolist()))
            else:
                np.save(file.with_name(f"{file.name}.npy"), array, allow_pickle=False)
        write_manifest(path, "arrays")


def _is_left(file: Path, relative: Path, sharded: list[Path]) -> bool:
    """Whether a file is hidden, or was read as a shard."""
    return any(part.startswith(".") for part in relative.parts) or any(file.is_relative_to(one) for one in sharded)


def _refuse_alike(names: Iterable[str]) -> None:
    """Refuse names that are one file where systems do not tell capitals apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise InputError(f"'{other}' and '{name}' would be one file on some systems: rename one of them")


def _is_text(name: str) -> bool:
    # Only these can be texts; a folder may well have a README.txt too.
    return name in ("kind", "metric", "notes") or name.endswith(("_ids", "_labels")) or "_features/" in name


def _breaks(text: str) -> bool:
    """Whether a text is no single line, in the eyes of the reader: "\\r" and "\\x1c" end lines too."""
    return bool(text) and (text.splitlines() != [text] or text.startswith(BYTE_ORDER_MARK))
