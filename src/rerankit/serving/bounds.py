"""What one request may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from rerankit import checks
from rerankit.values import Plain


@dataclass(frozen=True)
class Bounds(Plain):
    """Limits of a request, and how long requests wait for others that are answered with them.

    >>> Bounds(candidates=50).candidates
    50
    """

    bytes: int = 16_000_000
    """The most bytes of a body."""
    candidates: int = 1000
    """The most candidates, documents or items wanted."""
    queries: int = 256
    """The most queries of one request."""
    seconds: float = 30.0
    """How long a body may take to come, and an answer to be made."""
    gather: float = 0.002
    """Seconds for which single queries wait for others, to be answered in one block."""
    pixels: int = 40_000_000
    """The most pixels of all pictures of one request."""

    def __post_init__(self) -> None:
        for name in ("bytes", "candidates", "queries", "pixels"):
            checks.integer(name, getattr(self, name), least=1)
        checks.number("seconds", self.seconds, above=0)
        checks.number("gather", self.gather, least=0)
