"""Reading the files that datasets come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError
from rerankit.files import atomic
from rerankit.reading import read_text


def write_json(path: Path, content: Any, **options: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, **options), encoding="utf-8")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without a final empty one."""
    lines = read_text(path).splitlines()
    return lines[:-1] if lines and not lines[-1] else lines


def field(entry: Any, name: str, path: Path, row: int) -> Any:
    """A field of a JSON record that must be there."""
    try:
        return entry[name]
    except (KeyError, TypeError, IndexError):
        raise FormatError(f"{path}: entry {row} must have '{name}' (got {str(entry)[:80]})") from None
