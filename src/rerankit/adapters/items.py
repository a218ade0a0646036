"""Items as libraries that encode take them: a list, or by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rerankit.errors import rule


def named(given: Any, argument: str) -> tuple[list[Any] | None, list[Any]]:
    """Ids, where they are known, and items.

    >>> named({"a": "castle"}, "texts"), named(["castle"], "texts")
    ((['a'], ['castle']), (None, ['castle']))
    """
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence) or not given:
        raise rule(argument, "must be a list, or {id: item}, with at least one entry", type(given).__name__)
    return (list(given), list(given.values())) if isinstance(given, Mapping) else (None, list(given))
