"""refine: the exact scores of what a compressed index has found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerankit import Problem, Ranking, Stage
from rerankit.errors import rule
from rerankit.features import Vectors
from rerankit.scores import blocks
from rerankit_faiss.indexes import check_metric


class Refine(Stage):
    """Score candidates by whole vectors, where the scores that came are those of compressed ones.

    Vectors are the feature `vectors` of both sides, arrays in memory or on disk; only those of candidates are read.
    `metric`: cosine, dot, or euclidean (minus the squared distance), as in the search.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem([[0.5, 0.5]], query_features={"vectors": [[1.0, 0.0]]},
    ...                   gallery_features={"vectors": [[0.6, 0.8], [0.8, 0.6]]})
    >>> rerank(problem, Refine()).indices
    array([[1, 0]])
    """

    name = "refine"
    citation = ""
    needs = ("query_features:vectors", "gallery_features:vectors")

    def __init__(self, metric: str = "cosine") -> None:
        self.metric = check_metric(metric)

    def rescore(self, problem: Problem, ranking: Ranking) -> NDArray[np.float32]:
        queries, gallery = _vectors(problem.query_features, "query"), _vectors(problem.gallery_features, "gallery")
        width = gallery.shape[-1]
        if queries.shape[-1] != width:
            raise rule("query_features['vectors']", f"must have the gallery's width, {width}", f"{queries.shape}")
        scores = np.empty(ranking.shape, np.float32)
        for rows in blocks(len(ranking), row_bytes=20 * ranking.shape[1] * width):
            block = np.asarray(queries[rows], np.float64)[:, None, :]  # (block, 1, d)
            items = np.asarray(gallery[np.where(ranking.mask[rows], ranking.indices[rows], 0)], np.float64)
            scores[rows] = self._compared(block, items)
        return scores

    def _compared(self, queries: Any, items: Any) -> Any:
        """Scores (block, K) of items (block, K, d)."""
        if self.metric == "euclidean":
            return -np.square(queries - items).sum(axis=2)
        products = (queries * items).sum(axis=2)
        if self.metric == "dot":
            return products
        lengths = np.linalg.norm(queries, axis=2) * np.linalg.norm(items, axis=2)
        return products / np.where(lengths > 0, lengths, 1)


def _vectors(features: Any, side: str) -> Vectors:
    found = features["vectors"]
    if not isinstance(found, Vectors) or len(found.shape) != 2:
        raise rule(f"{side}_features['vectors']", "must be vectors (items, d)", repr(found))
    return found
