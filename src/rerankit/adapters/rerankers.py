"""The library rerankers: any of its models as a stage."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from rerankit.adapters.by_query import ByQuery
from rerankit.arrays import FloatArray, IntArray
from rerankit.errors import rule
from rerankit.problem import Problem


class RerankersStage(ByQuery):
    """A model of rerankers, ``Reranker("cross-encoder")``, over the features `query` and `candidate`, which are texts.

    Models that give an order and no scores are taken by their ranks.
    """

    name: ClassVar[str] = "rerankers"

    def __init__(self, model: Any, *, query: str = "text", candidate: str = "text") -> None:
        if not callable(getattr(model, "rank", None)):
            raise rule("model", "must be a model of rerankers, such as Reranker('cross-encoder')", type(model).__name__)
        self.model, self.query, self.candidate = model, query, candidate

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"query_features:{self.query}", f"gallery_features:{self.candidate}")

    def answer(self, problem: Problem, query: int, items: IntArray, scores: FloatArray) -> FloatArray:
        texts = [problem.gallery_features[self.candidate][item] for item in items]
        found = self.model.rank(problem.query_features[self.query][query], texts, doc_ids=list(range(len(texts))))
        out = np.full(len(items), np.nan, np.float32)
        for result in found.results:
            out[result.document.doc_id] = result.score if found.has_scores else -result.rank
        return out
