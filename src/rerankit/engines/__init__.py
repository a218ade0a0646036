"""Engines: where the shards of a long run are worked on."""

from __future__ import annotations

from rerankit.engines.engine import Done, Engine, Work
from rerankit.engines.local import Local
from rerankit.engines.registry import engine_of

__all__ = ["Done", "Engine", "Local", "Work", "engine_of"]
