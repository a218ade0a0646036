"""Engines by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rerankit.engines.engine import Engine
from rerankit.errors import rule
from rerankit.plugins import manager


def engine_of(given: Any, settings: Mapping[str, Any] | None = None) -> Engine:
    """An engine from itself or from its name and what it is set to; None is the local one.

    >>> engine_of("local", {"workers": 2})
    Local(workers=2)
    """
    if isinstance(given, Engine):
        if settings:
            raise rule("engine", "must be a name where settings are given with it", given)
        return given
    if given is not None and not isinstance(given, str):
        raise rule("engine", "must be a name or a rerankit.engines.Engine", given)
    entry = manager().engines.entry(given or "local")
    entry.check_parameters(settings or {})
    made: Engine = entry.make(**(settings or {}))
    return made
