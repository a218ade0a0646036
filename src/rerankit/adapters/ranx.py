"""ranx: runs in and out, judgements in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rerankit.errors import InputError, several
from rerankit.extras import require

Nested = dict[str, dict[str, float]]


def opened(value: Any) -> tuple[Nested, str] | None:
    """The lines of a `Run` (scores) or `Qrels` (grades), and which; None for anything else."""
    ranx = sys.modules.get("ranx")
    for name, what in (("Run", "scores"), ("Qrels", "grades")):
        kind = getattr(ranx, name, None)
        if kind is not None and isinstance(value, kind):
            found = {query: {item: float(v) for item, v in items.items()} for query, items in value.to_dict().items()}
            return found, what
    return None


def run(nested: Mapping[Any, Mapping[Any, float]], name: str | None) -> Any:
    """A `Run` of `{query: {item: score}}`, all names as texts."""
    ranx = require("ranx", extra="ranx", purpose="a run of ranx")
    empty = [query for query, items in nested.items() if not items]
    if empty:
        raise InputError(f"ranx cannot hold queries without items (got {several('without', empty, len(nested))})")
    return ranx.Run({str(q): {str(item): s for item, s in items.items()} for q, items in nested.items()}, name=name)
