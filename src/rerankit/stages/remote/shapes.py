"""How services are asked for scores, and what they answer."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerankit.arrays import FloatArray
from rerankit.errors import StageError, brief
from rerankit.pictures import open_image

_HIGHEST = float(np.finfo(np.float32).max)
_AS_THEY_ARE = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


@dataclass(frozen=True)
class Shape:
    """The names of a service's fields."""

    query: str
    documents: str
    list_of: str | None
    """The field of the answer that holds the list of scores; None where the answer is the list."""
    score: str
    texts_alone: bool = False
    counted: bool = False
    """Whether the request says how many scores are wanted."""

    def body(self, query: Any, documents: Sequence[Any]) -> dict[str, Any]:
        """What is asked for one query and its documents.

        >>> SHAPES["rerank"].body("cat", ["a", "b"])
        {'query': 'cat', 'documents': ['a', 'b'], 'top_n': 2}
        """
        fields = {self.query: query, self.documents: list(documents)}
        return fields | ({"top_n": len(documents)} if self.counted else {})

    def scores(self, answer: Any, count: int) -> FloatArray:
        """The scores (count,) in the order of the documents; anything that is not one score for each is refused.

        >>> SHAPES["tei"].scores([{"index": 1, "score": 0.5}, {"index": 0, "score": 2}], 2)
        array([2. , 0.5], dtype=float32)
        """
        rows = answer.get(self.list_of) if self.list_of and isinstance(answer, Mapping) else answer
        if not isinstance(rows, list):
            raise StageError(
                f"must answer with a list{f' {self.list_of!r}' if self.list_of else ''} (got {brief(answer)})"
            )
        found = np.full(count, np.nan)
        for row in rows:
            place, score = self._of_row(row)
            if not 0 <= place < count or np.isfinite(found[place]):
                raise StageError(f"must answer with each 'index' below {count} once (got {place})")
            found[place] = score
        if len(rows) != count:
            raise StageError(f"must answer with a score for each of {count} documents (got {len(rows)})")
        return found.astype(np.float32)

    def _of_row(self, row: Any) -> tuple[int, float]:
        place = row.get("index") if isinstance(row, Mapping) else None
        score = row.get(self.score) if isinstance(row, Mapping) else None
        plain = type(place) is int and type(score) in (int, float)
        if not plain or not abs(score) <= _HIGHEST:  # type: ignore[arg-type]
            raise StageError(
                f"must answer with whole 'index' and finite '{self.score}' in every entry (got {brief(row)})"
            )
        return place, float(score)  # type: ignore[return-value,arg-type]


SHAPES = {
    "rerank": Shape("query", "documents", "results", "relevance_score", counted=True),
    "score": Shape("queries", "documents", "data", "score"),
    "tei": Shape("query", "texts", None, "score", texts_alone=True),
}
"""`rerank`: Jina, Cohere, vLLM, SGLang, `rerankit serve`; `score`: vLLM; `tei`: text-embeddings-inference."""

PICTURES: dict[str, Callable[[str], Any]] = {
    "content": lambda url: {"content": [{"type": "image_url", "image_url": {"url": url}}]},
    "image": lambda url: {"image": url},
}
"""How a picture stands in a request: as vLLM reads it, or as Jina does."""


def data_url(picture: Any, where: str) -> str:
    """A picture as a data URL: a file of a usual kind as it is, anything else as PNG."""
    kind = _AS_THEY_ARE.get(Path(picture).suffix.lower()) if isinstance(picture, os.PathLike) else None
    if kind is not None:
        content = Path(picture).read_bytes()
    else:
        buffer, kind = io.BytesIO(), "png"
        open_image(picture, where).save(buffer, "PNG")
        content = buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
