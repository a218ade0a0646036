"""dba: every gallery item is replaced by a weighted mean of itself and its nearest gallery items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.stages.candidates import filled, items_of, own_scores, rows_of
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.mixing import Mixing, mixed_vectors, numbered_within, vectors_of
from rerankit.stages.neighbours.others import others_nearest
from rerankit.stages.neighbours.unrelated import SideScale, unrelated


class DBA(Mixing):
    """Average each gallery item with its `neighbours` nearest ones, weighted by similarity to the power `alpha`.

    The opinion is the same weighted mean of the query's similarities to the item and to its neighbours, divided by the
    length of the mixture (with `normalised` False, by the weights: the raw mean). Similarities among items are taken as
    shares, 0 for unrelated items and 1 for an item and itself, which their rows tell, and the query's from its own
    level: no weight depends on the scale or the shift of the scores. It needs no other queries and could be done once
    for a gallery.

    `strength` says how much the neighbours count against the order that comes in: 1 is the mixtures alone, as
    published; ``"auto"`` goes by what the gallery shows and writes it into the ranking's notes. It helps where the
    gallery shows each thing several times; it loses where near neighbours are different things (captions of other
    pictures, other flats).

    >>> import numpy as np
    >>> from rerankit import Problem, rerank
    >>> alike = np.eye(6)
    >>> alike[1, 2] = alike[2, 1] = 0.9
    >>> problem = Problem([[0.5, 0.45, 0.6, 0, 0, 0]], gallery_scores=alike)
    >>> rerank(problem, "dba", k=3, neighbours=1, strength=1).indices
    array([[2, 1, 0]])
    """

    name = "dba"
    citation = "Arandjelović & Zisserman, Three things everyone should know to improve object retrieval (CVPR 2012)"

    def __init__(
        self, neighbours: int = 10, alpha: float = 3.0, normalised: bool = True, strength: float | str = "auto"
    ) -> None:
        super().__init__(neighbours, alpha, strength)
        self.normalised = checks.boolean("normalised", normalised)

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        gallery = problem.gallery_scores
        assert gallery is not None, "checked by the stage's needs"
        wanted = np.unique(ranking.indices[ranking.mask])
        parts = self._mixtures(gallery, wanted, SideScale(**known))
        items = np.searchsorted(wanted, items_of(ranking)).clip(0, len(wanted) - 1)
        every = np.unique(np.concatenate([wanted, parts.near.ravel()]))
        vectors = vectors_of(problem, every)
        if vectors is not None:
            own, near = np.searchsorted(every, wanted), np.searchsorted(every, parts.near)
            gathered = mixed_vectors(vectors[1][own], np.ones(len(wanted)), vectors[1], near, parts.weights)
            sums = own_scores(EmbeddingScores(vectors[0], gathered, "dot"), numbered_within(ranking, wanted)).astype(
                np.float64
            )
        else:
            sums = _sums(problem.scores, ranking, items, parts)
        level = unrelated(problem.scores).level[:, None]
        whole = 1 + parts.weights.sum(axis=1)
        lengths = parts.lengths if self.normalised else whole
        found: FloatArray = ((sums - level * whole[items]) / lengths[items] + level).astype(np.float32)
        return found

    def _mixtures(self, gallery: Scores, wanted: IntArray, shares: SideScale) -> Mixtures:
        near, scores = others_nearest(gallery, wanted, self.neighbours)
        weights = shares.of(scores, wanted[:, None]) ** self.alpha * (near >= 0)
        near = np.where(near >= 0, near, 0)
        every = np.concatenate([wanted[:, None], near], axis=1)
        heavy = np.concatenate([np.ones((len(wanted), 1)), weights], axis=1)
        level = (heavy * shares.level[every]).sum(axis=1) * heavy.sum(axis=1)
        if not self.normalised:
            return Mixtures(near, weights, np.ones(len(wanted)))
        squares = (_squares(gallery, every, heavy) - level) / shares.unit[wanted]
        # A mixture is at least as long as its own part, whatever its neighbours have to do with each other.
        return Mixtures(near, weights, np.sqrt(np.maximum(squares, 1)))


class Mixtures(NamedTuple):
    """What the wanted items are mixed from."""

    near: IntArray
    """(wanted, neighbours)."""
    weights: AnyArray
    """(wanted, neighbours), where the item itself has 1."""
    lengths: AnyArray
    """(wanted,)."""


def _squares(gallery: Scores, items: IntArray, weights: AnyArray) -> AnyArray:
    """Σ weight · weight · similarity over all pairs of each row's items (rows, n)."""
    found = np.empty(len(items))
    for block in track(list(blocks(len(items), items.shape[1] ** 2 * 32)), "lengths of mixtures"):
        here = filled(gallery.pairs(items[block][:, :, None], items[block][:, None, :]))
        found[block] = np.einsum("na,nb,nab->n", weights[block], weights[block], here)
    return found


def _sums(scores: Scores, ranking: Ranking, items: IntArray, parts: Mixtures) -> AnyArray:
    """A query's similarity to each candidate and its neighbours, weighed: (queries, K)."""
    own = own_scores(scores, ranking)
    result = np.empty(own.shape)
    for block in track(list(blocks(len(own), items.shape[1] * parts.near.shape[1] * 32)), "augmented items"):
        here = items[block]
        found = filled(scores.pairs(rows_of(ranking)[block][:, :, None], parts.near[here]))
        result[block] = own[block] + np.einsum("qkn,qkn->qk", parts.weights[here], found)
    return result
