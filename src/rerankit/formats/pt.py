"""PyTorch's `.pt`: a tensor or a dictionary of tensors, loaded weights-only."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rerankit.errors import FormatError
from rerankit.extras import require
from rerankit.formats.content import AnyArray, Content, Format, Tables


class PtFormat(Format):
    """A tensor or a dictionary of tensors; code inside the file is refused."""

    name: ClassVar[str] = "pt"
    suffixes: ClassVar[tuple[str, ...]] = (".pt", ".pth")
    holds: ClassVar[tuple[type, ...]] = (np.ndarray, Tables)
    description: ClassVar[str] = "a tensor or a dictionary of tensors, weights only (extra: torch)"

    def read(self, path: Path) -> Content:
        """The tensors, mapped where the file allows it."""
        torch = require("torch", extra="torch", purpose=f"reading {path.name}")
        try:
            # Only the zip layout can be mapped; older files are read whole.
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as cause:
            raise FormatError(
                f"{path}: refused: it holds something other than tensors and plain values, and loading it "
                f"could run code; save a tensor or a dictionary of tensors"
            ) from cause
        except (RuntimeError, EOFError) as cause:
            raise FormatError(f"{path}: truncated or not a torch file: {_first_line(cause)}") from cause
        if isinstance(loaded, Mapping):
            return Tables((str(name), _array(path, str(name), value)) for name, value in loaded.items())
        return _array(path, path.stem, loaded)

    def write(self, path: Path, content: Content) -> None:
        """Write a tensor or a dictionary of tensors and texts."""
        torch = require("torch", extra="torch", purpose=f"writing {path.name}")
        if isinstance(content, Tables):
            torch.save({name: _stored(torch, array) for name, array in content.items()}, path)
        else:
            torch.save(_stored(torch, np.asarray(content)), path)


def _stored(torch: Any, array: AnyArray) -> Any:
    if array.dtype.kind == "U":
        return array.tolist()
    # A copy: torch warns about arrays that it must not write to.
    return torch.from_numpy(np.array(array))


def _array(path: Path, name: str, value: Any) -> AnyArray:
    torch = require("torch", extra="torch")
    if isinstance(value, torch.Tensor):
        if value.is_sparse or value.layout is not torch.strided or value.is_complex():
            raise FormatError(f"{path}: '{name}' must be a dense real tensor (got {value.layout}, {value.dtype})")
        value = value.detach()
        array: AnyArray = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
        return array
    if isinstance(value, (str, int, float)) or (isinstance(value, list) and all(type(v) is str for v in value)):
        return np.array(value)
    raise FormatError(
        f"{path}: '{name}' must be a tensor, a number, a text or a list of texts (got {type(value).__name__})"
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
