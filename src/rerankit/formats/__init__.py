"""Reading and writing files: one door, and one file here for each format."""

from __future__ import annotations

from rerankit.formats.content import Content, Format, Tables, Triples
from rerankit.formats.door import read, write
from rerankit.formats.judged import read_judged

__all__ = ["Content", "Format", "Tables", "Triples", "read", "read_judged", "write"]
