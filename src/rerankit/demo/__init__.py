"""The demo: real handwritten digits cut in half, re-ranked, measured and drawn."""

from __future__ import annotations

from rerankit.demo.contest import CONTENDERS, Outcome, contest, table
from rerankit.demo.digits import Halves, halves
from rerankit.demo.picture import draw

__all__ = ["CONTENDERS", "Halves", "Outcome", "contest", "draw", "halves", "table"]
