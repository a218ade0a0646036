"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rerankit.errors import FormatError


def refusal(read: Callable[[Path], Any], path: Path) -> str:
    """What a reader says against a file; nothing when it takes it. Any error but ours comes through."""
    try:
        read(path)
    except FormatError as error:
        return str(error)
    return ""
