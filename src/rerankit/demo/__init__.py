"""The demo: handwritten digits, search with several descriptions and composed retrieval, on one page."""

from __future__ import annotations

from rerankit.demo.digits import DigitHalves, halves
from rerankit.demo.section import Section

__all__ = ["DigitHalves", "Section", "halves"]
