"""Reading and writing files: `read` and `write`, one file here for each format, and what all of them share.

A format derives from `Format` (`content`); `registry` finds it by its endings, `tables` and `lists` say what its
content means.
"""

from __future__ import annotations

from rerankit.formats.content import Content, Format, Tables, Triples
from rerankit.formats.files import read
from rerankit.formats.judged import read_judged
from rerankit.formats.sources import Source
from rerankit.formats.writing import write

__all__ = ["Content", "Format", "Source", "Tables", "Triples", "read", "read_judged", "write"]
