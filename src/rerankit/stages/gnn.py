"""gnn: re-ranking as propagation over the neighbour graph of queries and gallery."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.extras import require
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import blocks
from rerankit.stages._candidates import items_of
from rerankit.stages._joint import Joint, Neighbours, adjacency, warn_of_a_gap
from rerankit.stages.base import Stage
from rerankit.threads import in_threads


class GNN(Stage):
    """Describe every item by its neighbourhood, pass descriptions along edges, and compare them by cosine.

    An item's first description marks its `k1` nearest items (itself included). `rounds` times the descriptions are
    made symmetric (A + Aᵀ), replaced by the sum over the `k2` nearest items weighted by similarity to the power
    `alpha`, and brought to length 1. The score is the product of the query's and the item's description.
    Without `device` it is sparse and runs on the CPU, in memory that grows with items × neighbours; with one
    ("cpu", "cuda", …) it runs dense in torch, in memory that grows with items². With `align`, scores among the queries
    and among the gallery are first given the mean and the deviation of those across: where the two sides are pictures
    and texts of one network, nearest items are of an item's own kind otherwise, and no query is joined to a candidate
    (which is told by a warning). It expects several right items per query, as k-reciprocal does, and loses where there
    is one. All items are nodes of one graph, whose descriptions pass through other test queries: so there is no `bank`.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem.from_embeddings([[1, 0.2]], [[1, -0.1], [0.9, 0.6], [0.8, 0.62]])
    >>> rerank(problem, "gnn", k1=2, k2=2).indices
    array([[0, 1, 2]])
    """

    name = "gnn"
    citation = "Zhang et al., Understanding image retrieval re-ranking: a graph neural network perspective (2020)"

    def __init__(
        self,
        k1: int = 26,
        k2: int = 7,
        alpha: float = 2.0,
        rounds: int = 2,
        device: str | None = None,
        align: bool = False,
    ) -> None:
        self.k1 = checks.integer("k1", k1, least=1)
        self.k2 = checks.integer("k2", k2, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)
        self.rounds = checks.integer("rounds", rounds, least=1)
        self.device = device
        self.align = checks.boolean("align", align)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("query_scores", "gallery_scores")

    @property
    def transductive(self) -> bool:
        return True

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        near = Joint(problem, self.align).neighbours(max(self.k1, self.k2))
        warn_of_a_gap(near, len(ranking), self.name)
        weights = edge_weights(near, self.k2, self.alpha)
        if self.device is not None:
            require("torch", extra="torch", purpose="stage 'gnn' with a device")
            from rerankit.stages._gnn_torch import dense_scores

            return dense_scores(near.indices, weights, self.k1, self.rounds, items_of(ranking), self.device)
        described = propagated(near.indices, weights, self.k1, self.rounds)
        return candidate_products(described[: len(ranking)], described[len(ranking) :], items_of(ranking))


def edge_weights(near: Neighbours, k2: int, alpha: float) -> FloatArray:
    """Similarity to the power alpha (items, k2); negative distances (no score above zero) count as exp(score)."""
    scores = near.scores[:, :k2]
    base = np.exp(scores) if near.highest <= 0 else np.maximum(scores, 0)
    weights: FloatArray = np.where(near.indices[:, :k2] >= 0, np.power(base, np.float32(alpha)), np.float32(0))
    return weights


def propagated(indices: IntArray, weights: FloatArray, k1: int, rounds: int) -> Any:
    """Descriptions (items, items), sparse, each of length 1."""
    described = adjacency(indices[:, :k1])
    edges = adjacency(indices[:, : weights.shape[1]], weights)
    for _ in range(rounds):
        described = (edges @ (described + described.T.tocsr())).tocsr()
        squares = np.bincount(_rows(described), np.square(described.data), minlength=len(indices))
        lengths = np.sqrt(np.where(squares > 0, squares, 1)).astype(np.float32)
        described.data /= np.repeat(lengths, np.diff(described.indptr))
    return described


def candidate_products(queries: Any, gallery: Any, items: IntArray) -> FloatArray:
    """Inner products (queries, K) of sparse rows with each query's candidates, block by block in threads."""
    across = gallery.T.tocsr()
    result = np.empty(items.shape, np.float32)

    def one(block: slice) -> None:
        result[block] = np.take_along_axis((queries[block] @ across).toarray(), items[block], axis=1)

    work = list(blocks(len(items), gallery.shape[0] * 64))
    for at in track(range(0, len(work), 4), "comparing neighbourhoods"):
        in_threads(one, work[at : at + 4])
    return result


def _rows(matrix: sparse.csr_matrix) -> IntArray:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
