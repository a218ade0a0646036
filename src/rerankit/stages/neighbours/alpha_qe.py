"""alpha-qe: the query is replaced by a weighted mean of itself and its first candidates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.stages.candidates import filled, items_of, own_scores
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.mixing import Mixing, mixed_vectors, numbered_within, vectors_of
from rerankit.stages.neighbours.unrelated import SideScale, unrelated


class AlphaQE(Mixing):
    """Average the query with its first `neighbours` candidates, weighted by similarity to the power `alpha`.

    The opinion is the same weighted mean of the query's and the neighbours' similarities to the item. The neighbours
    are the first of the ranking that comes in, so a stage before this one chooses them. Every similarity is taken as a
    share, 0 for unrelated items and 1 for an item and itself, which its row tells (for the query, by the spread of its
    scores): cosines are near that, and no weight depends on the scale or the shift of the scores. `alpha` 0 is average
    query expansion.

    `strength` says how much the neighbours count against the order that comes in: 1 is the expansion alone, as
    published; ``"auto"`` goes by what the gallery shows and writes it into the ranking's notes. It helps where a query
    has several right items that lie together, and loses where there is one: a wrong neighbour pulls the query away.

    >>> from rerankit import Problem, rerank
    >>> gallery = [[0.9, 0.3], [0.9, -0.31], [0.8, 0.45], [-1, 0], [0, -1], [-1, 0.2]]
    >>> problem = Problem.from_embeddings([[1, 0]], gallery)
    >>> rerank(problem, "alpha-qe", k=3, neighbours=1, alpha=0, strength=1).indices
    array([[0, 2, 1]])
    """

    name = "alpha-qe"
    citation = "Radenović et al., Fine-tuning CNN image retrieval with no human annotation (TPAMI 2019)"

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        gallery = problem.gallery_scores
        assert gallery is not None, "checked by the stage's needs"
        own, first = own_scores(problem.scores, ranking), slice(0, self.neighbours)
        near, shares = items_of(ranking)[:, first], SideScale(**known)
        queries = query_scale(problem.scores, shares, own, ranking)
        weights = np.clip((own[:, first] - queries.level[:, None]) / queries.unit[:, None], 0, 1) ** self.alpha
        weights *= ranking.mask[:, first]
        parts = weights / shares.unit[near]
        wanted = np.unique(items_of(ranking))
        vectors = vectors_of(problem, wanted)
        if vectors is not None:
            mixed = mixed_vectors(vectors[0], 1 / queries.unit, vectors[1], np.searchsorted(wanted, near), parts)
            sums = own_scores(EmbeddingScores(mixed, vectors[1], "dot"), numbered_within(ranking, wanted)).astype(
                np.float64
            )
        else:
            sums = own / queries.unit[:, None] + weighted_sums(gallery, near, parts, items_of(ranking))
        unrelated_part = queries.level / queries.unit + (parts * shares.level[near]).sum(axis=1)
        found: AnyArray = (sums - unrelated_part[:, None]) / (1 + weights.sum(axis=1, keepdims=True))
        return found.astype(np.float32)


class QueryScale(NamedTuple):
    """The scale of every query's scores: s is the share (s − level) / unit; each (queries,)."""

    level: AnyArray
    unit: AnyArray


def query_scale(scores: Scores, shares: SideScale, own: FloatArray, ranking: Ranking) -> QueryScale:
    """A query is to itself what gallery items are to themselves, in spreads of unrelated scores.

    Where lists hide that spread, its first candidate is taken for the query itself.
    """
    found = unrelated(scores)
    known = np.where(ranking.mask, own, -np.inf).max(axis=1).astype(np.float64)
    first = np.where(np.isfinite(known), known, found.level) - found.level
    unit = np.where(found.spread > 0, shares.typical * found.spread, first)
    return QueryScale(found.level, np.where(unit > 0, unit, 1.0))


def weighted_sums(scores: Scores, near: IntArray, weights: AnyArray, items: IntArray) -> FloatArray:
    """Σ over neighbours n of weight · scores[n, item]: (queries, K) from neighbours (queries, n)."""
    result = np.empty(items.shape, np.float32)
    work = list(blocks(len(items), near.shape[1] * items.shape[1] * 24))
    for block in track(work, "neighbours' scores"):
        found = filled(scores.pairs(near[block][:, :, None], items[block][:, None, :]))
        result[block] = np.einsum("qn,qnk->qk", weights[block], found)
    return result
