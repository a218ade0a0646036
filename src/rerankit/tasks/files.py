"""Reading the files that datasets come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
