"""alpha-qe: the query is replaced by a weighted mean of itself and its first candidates."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.stages._candidates import filled, items_of, own_scores
from rerankit.stages._mixing import Mixing, mixed_vectors, neighbour_weights, vectors_of


class AlphaQE(Mixing):
    """Average the query with its first `neighbours` candidates, weighted by similarity to the power `alpha`.

    The score is the same weighted mean of the query's and the neighbours' similarities to the item. The
    neighbours are the first of the ranking that comes in, so a stage before this one chooses them;
    similarities below zero weigh nothing. `alpha` 0 is average query expansion. It helps where a query has several
    right items that lie together, and loses where there is one: a wrong neighbour pulls the query away.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem.from_embeddings([[1, 0.0]], [[0.9, 0.3], [0.9, -0.31], [0.8, 0.45]])
    >>> rerank(problem, "alpha-qe", neighbours=1).indices
    array([[0, 2, 1]])
    """

    name = "alpha-qe"
    citation = "Radenović et al., Fine-tuning CNN image retrieval with no human annotation (TPAMI 2019)"

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        own = own_scores(problem.scores, ranking)
        first = slice(0, self.neighbours)
        near = items_of(ranking)[:, first]
        weights = neighbour_weights(own[:, first], self.alpha, ranking.mask[:, first])
        vectors = vectors_of(problem)
        if vectors is not None:
            queries = mixed_vectors(vectors[0], vectors[1], near, weights)
            return own_scores(EmbeddingScores(queries, vectors[1], "dot"), ranking)
        others = weighted_sums(problem.gallery_scores, near, weights, items_of(ranking))
        scores: FloatArray = (own + others) / (1 + weights.sum(axis=1, keepdims=True))
        return scores


def weighted_sums(scores: Scores | None, near: IntArray, weights: FloatArray, items: IntArray) -> FloatArray:
    """Σ over neighbours n of weight · scores[n, item]: (queries, K) from neighbours (queries, n)."""
    assert scores is not None, "checked by the stage's needs"
    result = np.empty(items.shape, np.float32)
    work = list(blocks(len(items), near.shape[1] * items.shape[1] * 24))
    for block in track(work, "neighbours' scores"):
        found = filled(scores.pairs(near[block][:, :, None], items[block][:, None, :]))
        result[block] = np.einsum("qn,qnk->qk", weights[block], found)
    return result
