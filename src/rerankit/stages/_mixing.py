"""Scores of mixtures of items: what query expansion and database augmentation share."""

from __future__ import annotations

import numpy as np

from rerankit import checks
from rerankit.arrays import BoolArray, FloatArray, IntArray, float32
from rerankit.problem import Problem
from rerankit.scores import EmbeddingScores, blocks, normalised
from rerankit.stages.base import Stage


class Mixing(Stage):
    """A stage that averages items with their `neighbours` nearest gallery items, by similarity to the power `alpha`."""

    def __init__(self, neighbours: int = 10, alpha: float = 3.0) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",)


def vectors_of(problem: Problem) -> tuple[FloatArray, FloatArray] | None:
    """Queries (queries, d) and gallery (gallery, d) whose inner products are all of the problem's scores, or None.

    A mixture's score is then the score of the mixed vector, which costs one product instead of one for each part.
    """
    found: EmbeddingScores | None = problem.embeddings
    if found is None or found.metric == "euclidean":
        return None
    queries, gallery = float32(found.queries, "queries"), float32(found.gallery, "gallery")
    return (normalised(queries), normalised(gallery)) if found.metric == "cosine" else (queries, gallery)


def neighbour_weights(scores: FloatArray, alpha: float, known: BoolArray) -> FloatArray:
    """max(s, 0)^α where a neighbour is known, 0 elsewhere; `alpha` 0 weighs all known ones alike.

    >>> neighbour_weights(np.float32([0.5, -1, 0.9]), 2.0, np.array([True, True, False]))
    array([0.25, 0.  , 0.  ], dtype=float32)
    """
    base = np.maximum(np.where(known, scores, np.float32(0)), np.float32(0))
    weights: FloatArray = np.where(known, np.power(base, np.float32(alpha)), np.float32(0))
    return weights


def mixed_vectors(vectors: FloatArray, others: FloatArray, neighbours: IntArray, weights: FloatArray) -> FloatArray:
    """Weighted means of each vector (n, d), at weight 1, with its `neighbours` (n, k) among the rows of `others`."""
    result = np.empty(vectors.shape, np.float32)
    for block in blocks(len(vectors), vectors.shape[1] * (neighbours.shape[1] + 2) * 4):
        added = np.einsum("nk,nkd->nd", weights[block], others[neighbours[block]])
        result[block] = (vectors[block] + added) / (1 + weights[block].sum(axis=1))[:, None]
    return result
