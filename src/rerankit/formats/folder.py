"""A folder as named arrays: one `.npy` each, texts and ids as `.txt` with one a line."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.formats.content import AnyArray, Format, Tables
from rerankit.formats.npy import map_array
from rerankit.formats.text import BYTE_ORDER_MARK, read_text, write_text


class FolderFormat(Format):
    """Named arrays, a file each; `features/NAME.npy` is the array `features/NAME`."""

    name: ClassVar[str] = "folder"
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    holds: ClassVar[tuple[type, ...]] = (Tables,)
    mark: ClassVar[str] = "kind.txt"  # the file that says a folder is one of ours
    description: ClassVar[str] = "a folder with one .npy for each array, ids as .npy or .txt"

    def read(self, path: Path) -> Tables:
        """Every `.npy`, and `.txt` of ids, labels and texts, in the folder and below; other files are left alone."""
        tables = Tables()
        for file in sorted(path.rglob("*")):
            relative = file.relative_to(path)
            name = relative.with_suffix("").as_posix()
            wanted = file.suffix == ".npy" or (file.suffix == ".txt" and _is_text(name))
            if not wanted or any(part.startswith(".") for part in relative.parts):
                continue
            if name in tables:
                raise FormatError(f"{path}: '{name}' is there twice, as .npy and as .txt")
            tables[name] = map_array(file, name) if file.suffix == ".npy" else _read_lines(file)
        if not tables:
            raise FormatError(f"{path}: the folder has no .npy file")
        return tables

    def write(self, path: Path, content: Tables) -> None:
        """Write a file for each array."""
        path.mkdir()
        for name, array in content.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if array.dtype.kind == "U" and array.ndim <= 1 and not any(map(_breaks, array.ravel().tolist())):
                write_text(file.with_name(f"{file.name}.txt"), (f"{text}\n" for text in array.ravel().tolist()))
            else:
                np.save(file.with_name(f"{file.name}.npy"), array, allow_pickle=False)


def _is_text(name: str) -> bool:
    # Only these can be texts; a folder may well have a README.txt too.
    return name in ("kind", "metric") or name.endswith(("_ids", "_labels")) or "_features/" in name


def _breaks(text: str) -> bool:
    """Whether a text is no single line, in the eyes of the reader: "\\r" and "\\x1c" end lines too."""
    return bool(text) and (text.splitlines() != [text] or text.startswith(BYTE_ORDER_MARK))


def _read_lines(file: Path) -> AnyArray:
    return np.array(read_text(file).splitlines())
