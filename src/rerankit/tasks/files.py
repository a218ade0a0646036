"""Reading the files that datasets come in."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.errors import FormatError
from rerankit.files import atomic


def read_json(path: Path, kind: type[Any] | tuple[type[Any], ...] = (dict, list)) -> Any:
    """The content of a JSON file, which must be of a kind."""
    try:
        with path.open(encoding="utf-8") as file:
            content = json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as cause:
        raise FormatError(f"{path}: not a JSON file ({cause})") from cause
    if not isinstance(content, kind):
        names = " or a ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise FormatError(f"{path}: must hold a {names} (got a {type(content).__name__})")
    return content


class _Data(pickle.Unpickler):
    """Reads numpy arrays and plain containers; a pickle runs what it names, and nothing else may be named."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")):
            return super().find_class(module, name)
        if name in ("_reconstruct", "scalar") and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            # The module has another name in files of another numpy.
            return super().find_class("numpy._core.multiarray" if hasattr(np, "_core") else module, name)
        raise pickle.UnpicklingError(f"it names '{module}.{name}', which is not data")


def read_pickle(path: Path) -> Any:
    """Lists, dictionaries, texts, numbers and arrays in a pickle; anything else is refused and not run."""
    try:
        with path.open("rb") as file:
            return _Data(file, encoding="latin1").load()
    except OSError:
        raise
    except Exception as cause:  # damaged bytes make the reader fail in any way, from KeyError to UnicodeDecodeError
        raise FormatError(f"{path}: not a pickle of plain data ({cause})") from cause


def write_json(path: Path, content: Any, **options: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, **options), encoding="utf-8")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without a final empty one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[:-1] if lines and not lines[-1] else lines


def field(entry: Any, name: str, path: Path, row: int) -> Any:
    """A field of a JSON record that must be there."""
    try:
        return entry[name]
    except (KeyError, TypeError, IndexError):
        raise FormatError(f"{path}: entry {row} must have '{name}' (got {str(entry)[:80]})") from None
