"""PyTorch's `.pt`: a tensor or a dictionary of tensors; reading needs no torch and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.files import atomic
from rerankit.formats.content import AnyArray, Content, Format, Tables
from rerankit.reading import read_checkpoint
from rerankit.reading.text import first_sentence


class PtFormat(Format):
    """A tensor or a dictionary of tensors; code inside the file is refused."""

    name: ClassVar[str] = "pt"
    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth")
    holds: ClassVar[tuple[type, ...]] = (np.ndarray, Tables)
    description: ClassVar[str] = "a tensor or a dictionary of tensors, memory-mapped (writing: extra torch)"

    def read(self, path: Path) -> Content:
        """The tensors, mapped where the file allows it."""
        loaded = read_checkpoint(path)
        if isinstance(loaded, Mapping):
            return Tables((str(name), _array(path, str(name), value)) for name, value in loaded.items())
        return _array(path, path.stem, loaded)

    def write(self, path: Path, content: Content) -> None:
        """Write a tensor or a dictionary of tensors and texts."""
        torch = require("torch", extra="torch", purpose=f"writing {path.name}")
        if isinstance(content, Tables):
            _save(torch, {name: _stored(torch, array) for name, array in content.items()}, path)
        else:
            _save(torch, _stored(torch, np.asarray(content)), path)


def write_checkpoint(path: str | os.PathLike[str], content: Any) -> None:
    """Write what `rerankit.reading.read_checkpoint` reads, whole or not at all."""
    torch = require("torch", extra="torch", purpose=f"writing {path}")
    with atomic(path) as temporary:
        _save(torch, content, temporary)


def _save(torch: Any, content: Any, path: Path) -> None:
    try:
        torch.save(content, path)
    except RuntimeError as cause:  # what torch makes of a full disk
        raise OSError(f"torch could not write it: {first_sentence(cause)}") from cause


def _stored(torch: Any, array: AnyArray) -> Any:
    if array.dtype.kind == "U":
        return array.tolist()
    # A copy: torch warns about arrays that it must not write to.
    return torch.from_numpy(np.array(array))


def _array(path: Path, name: str, value: Any) -> AnyArray:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, (str, int, float)) or (isinstance(value, list) and all(type(v) is str for v in value)):
        return np.array(value)
    raise FormatError(
        f"{path}: '{name}' must be a tensor, a number, a text or a list of texts (got {type(value).__name__})"
    )
