"""Late interaction: queries and items as several vectors each, compared token by token."""

from __future__ import annotations

from rerankit.stages.maxsim.stage import MaxSim

__all__ = ["MaxSim"]
