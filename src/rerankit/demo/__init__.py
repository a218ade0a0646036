"""The demo: handwritten digits, search with several descriptions and composed retrieval, on one page."""

from __future__ import annotations

from rerankit.demo.digits import Halves, halves
from rerankit.demo.part import Part

__all__ = ["Halves", "Part", "halves"]
