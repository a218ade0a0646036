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
from rerankit.formats.text import first_sentence


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
            mapped = zipfile.is_zipfile(path)
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as cause:
            raise FormatError(
                f"{path}: refused: it holds something other than tensors and plain values, and loading it "
                f"could run code; save a tensor or a dictionary of tensors"
            ) from cause
        except (RuntimeError, EOFError) as cause:
            raise FormatError(f"{path}: truncated or not a torch file: {first_sentence(cause)}") from cause
        if isinstance(loaded, Mapping):
            return Tables((str(name), _array(path, str(name), value, mapped)) for name, value in loaded.items())
        return _array(path, path.stem, loaded, mapped)

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


def _array(path: Path, name: str, value: Any, mapped: bool) -> AnyArray:
    torch = require("torch", extra="torch")
    if isinstance(value, torch.Tensor):
        if value.is_sparse or value.layout is not torch.strided or value.is_complex():
            raise FormatError(f"{path}: '{name}' must be a dense real tensor (got {value.layout}, {value.dtype})")
        return _of_tensor(torch, value.detach(), mapped)
    if isinstance(value, (str, int, float)) or (isinstance(value, list) and all(type(v) is str for v in value)):
        return np.array(value)
    raise FormatError(
        f"{path}: '{name}' must be a tensor, a number, a text or a list of texts (got {type(value).__name__})"
    )


def _of_tensor(torch: Any, tensor: Any, mapped: bool) -> AnyArray:
    if tensor.dtype is torch.bfloat16:  # NumPy has none: it is raised, which reads it whole
        whole: AnyArray = tensor.float().numpy()
        return whole
    array: AnyArray = tensor.numpy()
    if not mapped:
        return array
    # The type tells everybody that the memory is a file, as that of the other formats: nothing reads it all at the
    # door. What torch maps can be written to, privately; here arrays that are read are not.
    view = array.view(np.memmap)
    view.setflags(write=False)
    return view
