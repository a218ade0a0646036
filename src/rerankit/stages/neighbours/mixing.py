"""Scores of mixtures of items: what query expansion and database augmentation share."""

from __future__ import annotations

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray, float32
from rerankit.gallery import Gallery
from rerankit.pipelines.scaling import Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, blocks, normalised
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.stage import NeighbourStage, check_strength
from rerankit.stages.neighbours.unrelated import shares_of


class Mixing(NeighbourStage):
    """A stage that averages items with their `neighbours` nearest gallery items, by similarity to the power `alpha`."""

    scaling = Scaling("the scale of its similarities: two numbers", "the scores of every item to some 512 others")

    def __init__(self, neighbours: int = 10, alpha: float = 3.0, strength: float | str = "auto") -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)
        self.strength = check_strength(strength)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",)

    def known(self, gallery: Gallery) -> Known:
        assert gallery.side.scores is not None, "checked by the stage's needs"
        return shares_of(gallery.side.scores)._asdict()


def vectors_of(problem: Problem, items: IntArray) -> tuple[FloatArray, FloatArray] | None:
    """Queries (queries, d) and some gallery items (items, d) whose inner products are the problem's scores, or None.

    A mixture's score is then the score of the mixed vector, which costs one product instead of one for each part.
    """
    found: EmbeddingScores | None = problem.embeddings
    if found is None or found.metric == "euclidean":
        return None
    queries, gallery = float32(found.queries, "queries"), float32(found.gallery[items], "gallery")
    return (normalised(queries), normalised(gallery)) if found.metric == "cosine" else (queries, gallery)


def numbered_within(ranking: Ranking, items: IntArray) -> Ranking:
    """The candidates by their places among some items, ascending, that hold them all."""
    places = np.searchsorted(items, ranking.indices).clip(0, len(items) - 1)
    return Ranking(np.where(ranking.mask, places, -1), ranking.scores, gallery_size=len(items))


def mixed_vectors(
    vectors: FloatArray, own: AnyArray, others: FloatArray, neighbours: IntArray, weights: AnyArray
) -> FloatArray:
    """own · vector + Σ weight · neighbour: vectors (n, d), own (n,), `neighbours` (n, k) among the rows of `others`."""
    result = np.empty(vectors.shape, np.float32)
    for block in blocks(len(vectors), vectors.shape[1] * (neighbours.shape[1] + 2) * 4):
        added = np.einsum("nk,nkd->nd", weights[block].astype(np.float32), others[neighbours[block]])
        result[block] = vectors[block] * own[block].astype(np.float32)[:, None] + added
    return result
