"""dba: every gallery item is replaced by a weighted mean of itself and its nearest gallery items."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.stages._candidates import filled, items_of, own_scores, rows_of
from rerankit.stages._mixing import Mixing, mixed_vectors, neighbour_weights, vectors_of


class DBA(Mixing):
    """Average each gallery item with its `neighbours` nearest ones, weighted by similarity to the power `alpha`.

    The score is the same weighted mean of the query's similarities to the item and to its neighbours. It
    needs no other queries and could be done once for a gallery. It helps where the gallery shows each thing several
    times; it loses where near neighbours are different things (captions of other pictures, other flats).

    >>> from rerankit import Problem, rerank
    >>> problem = Problem([[0.5, 0.45, 0.6]], gallery_scores=[[1, 0, 0], [0, 1, 0.9], [0, 0.9, 1]])
    >>> rerank(problem, "dba", neighbours=1).indices
    array([[2, 1, 0]])
    """

    name = "dba"
    citation = "Arandjelović & Zisserman, Three things everyone should know to improve object retrieval (CVPR 2012)"

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        gallery = problem.gallery_scores
        assert gallery is not None, "checked by the stage's needs"
        wanted = np.unique(ranking.indices[ranking.mask])
        near, scores = others_nearest(gallery, wanted, self.neighbours)
        weights = neighbour_weights(scores, self.alpha, near >= 0)
        near = np.where(near >= 0, near, 0)
        vectors = vectors_of(problem)
        items = np.searchsorted(wanted, items_of(ranking)).clip(0, len(wanted) - 1)
        if vectors is not None:
            gathered = mixed_vectors(vectors[1][wanted], vectors[1], near, weights)
            places = Ranking(np.where(ranking.mask, items, -1), ranking.scores, gallery_size=len(wanted))
            return own_scores(EmbeddingScores(vectors[0], gathered, "dot"), places)
        own = own_scores(problem.scores, ranking)
        result = np.empty(own.shape, np.float32)
        for block in track(list(blocks(len(own), items.shape[1] * near.shape[1] * 32)), "augmented items"):
            here = items[block]
            found = problem.scores.pairs(rows_of(ranking)[block][:, :, None], near[here])
            added = np.einsum("qkn,qkn->qk", weights[here], filled(found))
            result[block] = (own[block] + added) / (1 + weights[here].sum(axis=2))
        return result


def others_nearest(scores: Scores, rows: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k nearest other items (rows, k) of some items of a square relation, padded with −1, −inf."""
    part: AnyArray = rows
    indices, values = scores.take(part).topk(k + 1)
    is_own = indices == rows[:, None]
    # Where an item is not among its own nearest, the last one goes instead.
    drop = np.where(is_own.any(axis=1), is_own.argmax(axis=1), indices.shape[1] - 1)
    kept = np.arange(indices.shape[1]) != drop[:, None]
    shape = (len(rows), indices.shape[1] - 1)
    return indices[kept].reshape(shape), values[kept].reshape(shape)
