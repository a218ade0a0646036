"""k-reciprocal: re-ranking by shared reciprocal neighbours, in memory that grows with items × neighbours."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from scipy import sparse

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.gallery import Gallery
from rerankit.pipelines.prepared import Prepared
from rerankit.pipelines.scaling import BY_BOTH, JOINT, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import blocks
from rerankit.scores.searching import Searching
from rerankit.stages.banks import RelationsBankStage, check_relations_bank
from rerankit.stages.candidates import behind, items_of, own_scores
from rerankit.stages.neighbours.both_sides import Map, Neighbours, SideBySide, adjacency, sparse_rows
from rerankit.stages.neighbours.jaccard import jaccard_distances
from rerankit.stages.neighbours.joint import Joint, warn_of_a_gap
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.outside import Outside
from rerankit.stages.neighbours.stage import ByNeighbours, NeighbourStage, check_strength

_CELL_BYTES = 24  # that a cell of a product of sparse matrices takes while it is made
DISTANCES = ("auto", "cosine", "negative")
_COSINES = (2.0**-10, 1.001)  # where the highest of cosines lies: of 1 − s for lower scores, few digits are those of s


class KReciprocal(NeighbourStage, RelationsBankStage):
    """Items are alike when they have the same k-reciprocal nearest neighbours.

    Queries and gallery form one set. R(i) are the items among the first `k1` + 1 of i (i itself is the first) that have
    i among their first `k1` + 1; R(i) takes in the half-size set (round(`k1`/2) + 1 places) of each member that lies
    in it by more than two thirds. Items get weights exp(−d) over that set, averaged over the first `k2` places (the
    item and `k2` − 1 neighbours), and are compared by the Jaccard distance of the weights. The opinion is
    −((1 − `weight`) · Jaccard + `weight` · d), where d is the squared distance over the item's largest; a query that
    shares no neighbour with any candidate keeps the order that came.

    `distance` says how scores become squared distances: ``"cosine"`` 2 − 2 s, ``"negative"`` s² (scores are minus
    distances), ``"auto"`` the second when no score is above zero, otherwise the first (with the highest score
    for 1 when scores exceed 1 or are all below 0.001). With `align`, scores among the queries and among the gallery
    are first given the level and the spread of those across, for two sides of different kinds (pictures and texts).

    `strength` says how much the neighbours count against the order that comes in: 1 is the stage alone, as published
    (with `align` False); ``"auto"`` goes by what the gallery shows and writes it into the ranking's notes. It expects
    several right items per query; with a single one (captions) the stage alone usually loses.

    In the published form the test queries are in each other's sets. With a `bank` (a `Bank` with all three relations,
    or that of the problem) its items are in their place, and the graph is that of bank and gallery: a query has its
    `k1` neighbours there, those that are nearer to it than to the last of their own are reciprocal, but it is in
    no item's set itself. One query's answer does not depend on the others then.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem.from_embeddings([[1, 0.2]], [[1, -0.1], [0.9, 0.6], [0.8, 0.62]])
    >>> rerank(problem, "k-reciprocal", k1=2, k2=1, strength=1).indices
    array([[0, 1, 2]])
    """

    scaling = Scaling(
        "its neighbours and the weights of its reciprocal set, also for the bank",
        JOINT,
        impossible=WITHOUT_A_BANK,
        cut=f"{BY_BOTH}: their neighbours",
    )
    name = "k-reciprocal"
    citation = "Zhong et al., Re-ranking person re-identification with k-reciprocal encoding (CVPR 2017)"

    bank_parts = ("to_gallery", "to_queries", "to_bank")

    def __init__(
        self,
        k1: int = 20,
        k2: int = 6,
        weight: float = 0.3,
        distance: str = "auto",
        align: bool = True,
        bank: Any = None,
        strength: float | str = "auto",
    ) -> None:
        self.k1 = checks.integer("k1", k1, least=1)
        self.k2 = checks.integer("k2", k2, least=1)
        self.weight = checks.number("weight", weight, least=0, most=1)
        self.distance = checks.choice("distance", distance, DISTANCES)
        self.align = checks.boolean("align", align)
        self.bank = check_relations_bank(bank, self.bank_parts)
        self.strength = check_strength(strength)

    def known(self, gallery: Gallery) -> Known:
        bank = self.bank_or(gallery.bank)
        if bank is None:
            return {}
        joint = Joint.of_bank(bank, gallery.side.scores, self.align)
        graph, encoded = self._graph(joint)
        map_of_bank = joint.maps[0]
        onto = {} if map_of_bank is None else {"onto": np.array(map_of_bank, np.float32)}
        return {**graph.known(), **onto, "holders": encoded[joint.queries :].T.tocsr()}

    def started(self, problem: Problem) -> Prepared | None:
        if self.bank_for(problem) is not None or not isinstance(problem.scores, Searching):
            return None
        say = self.say(problem.gallery)
        known = {"own": self._graph(Joint(problem, self.align))} if say.strength > 0 else {}
        return ByNeighbours(self, Gallery.of(problem), say, known)

    def _graph(self, joint: Joint) -> tuple[Graph, Any]:
        """The graph of all items, and their weights averaged."""
        near = joint.neighbours(max(self.k1 + 1, self.k2))
        graph = Graph.of(joint, near, Distances(near, self.distance), self.k1)
        return graph, graph.averaged(self.k2)

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        bank = self.bank_for(problem)
        if bank is None:
            graph, encoded = known["own"] if "own" in known else self._graph(Joint(problem, self.align))
            others = problem.shape[0]
            of_queries, nearest, holders = encoded[:others], graph.near.indices[:others], encoded[others:].T.tocsr()
            distance_of = Distances(graph.near, self.distance)
        else:
            graph, holders, others = Graph.of_known(known, self.k1), known["holders"], bank.size
            outside = Outside(problem, bank, Map(*known["onto"]) if "onto" in known else None)
            outer = outside.neighbours(max(self.k1, self.k2 - 1), graph.near.highest)
            distance_of, nearest = Distances(outer, self.distance), outer.indices
            of_queries = graph.averaged_outside(outside, outer, distance_of, self.k2)
        warn_of_a_gap(nearest, others, self.name)
        items = items_of(ranking)
        scores = jaccard_distances(of_queries, holders, items)
        apart = scores.min(axis=1) >= 1  # queries that share no neighbour with any candidate
        own = distance_of(own_scores(problem.scores, ranking), np.arange(len(ranking))[:, None])
        # In place: with the whole gallery as candidates these two arrays are the largest there are.
        scores *= np.float32(self.weight - 1)
        own *= np.float32(-self.weight)
        scores += own
        if apart.any():
            scores[apart] = behind(np.zeros((int(apart.sum()), scores.shape[1]), np.float32), ranking.take(apart))
        return scores


class Graph:
    """Items and the weights (items, items), sparse, of their expanded reciprocal sets."""

    def __init__(self, near: Neighbours, half: Any, weights: Any, k1: int) -> None:
        self.near, self.half, self.weights, self.k1 = near, half, weights, k1

    @classmethod
    def of(cls, joint: Joint, near: Neighbours, distance_of: Distances, k1: int) -> Graph:
        """From the items' neighbours."""
        places = int(np.around(k1 / 2)) + 1
        half, sets, parts = mutual(near.indices[:, :places]), mutual(near.indices[:, : k1 + 1]), []
        for block in blocks(len(near.indices), places * (k1 + 1) * _CELL_BYTES, share=0.25, least=64):
            parts.append(weighed(expanded(sets[block], half), joint, near, distance_of, block.start))
        return cls(near, half, sparse.vstack(parts, format="csr"), k1)

    def known(self) -> dict[str, Any]:
        """Everything by name."""
        return {**vars(self.near), "half": self.half, "weights": self.weights}

    @classmethod
    def of_known(cls, known: Known, k1: int) -> Graph:
        """What `known` gave."""
        near = Neighbours(*(known[field.name] for field in fields(Neighbours)))
        return cls(near, known["half"], known["weights"], k1)

    def averaged(self, k2: int) -> Any:
        """The items' weights, averaged over their first `k2` places."""
        if k2 == 1:
            return self.weights
        count, parts = len(self.near.indices), []
        each = k2 * self.weights.nnz // max(1, count) + 1
        for block in blocks(count, each * _CELL_BYTES, share=0.25, least=64):
            first = adjacency(self.near.indices[block, :k2], items=count)
            counts = np.diff(first.indptr)
            first.data /= np.repeat(counts, counts).astype(np.float32)
            parts.append((first @ self.weights).tocsr())
        return sparse.vstack(parts, format="csr")

    def averaged_outside(self, outside: Outside, outer: Neighbours, distance_of: Distances, k2: int) -> Any:
        """The same for queries (queries, items) outside the graph, which are in no item's set."""
        last = self.near.scores[:, min(self.k1, self.near.scores.shape[1] - 1)]
        if self.near.scores.shape[1] <= self.k1:  # every item is among everybody's neighbours
            last = np.full(len(last), -np.inf, np.float32)
        first = outer.indices[:, : self.k1]
        reciprocal = np.where(outer.scores[:, : self.k1] > last[first], first, -1)
        items = outside.shape[1]
        weights = weighed(expanded(adjacency(reciprocal, items=items), self.half), outside, outer, distance_of)
        others = adjacency(outer.indices[:, : k2 - 1], items=items)
        # A query without reciprocal neighbours has no weights of its own to average.
        counts = np.maximum((np.diff(weights.indptr) > 0) + np.diff(others.indptr), 1)
        total = (weights + others @ self.weights).tocsr()
        total.data /= np.repeat(counts, np.diff(total.indptr)).astype(np.float32)
        return total


class Distances:
    """Scores to squared distances divided by the largest of their row's item."""

    def __init__(self, near: Neighbours, distance: str) -> None:
        self.square = distance == "negative" or (distance == "auto" and near.highest <= 0)
        limit = 1.0 if distance != "auto" or _COSINES[0] <= near.highest <= _COSINES[1] else near.highest
        self.limit = np.float32(limit)
        farthest = self._squared(near.lowest)
        self.scale: FloatArray = np.where(farthest > 0, farthest, np.float32(1))

    def __call__(self, scores: FloatArray, rows: IntArray) -> FloatArray:
        distances = self._squared(scores)
        distances /= self.scale[rows]
        return distances

    def _squared(self, scores: FloatArray) -> FloatArray:
        if self.square:
            return np.square(scores)
        squared: FloatArray = self.limit - scores
        np.maximum(squared, 0, out=squared)
        squared *= 2
        return squared


def expanded(sets: Any, half: Any) -> Any:
    """Reciprocal sets (rows, items) with the half-size set (items, items) of each member that lies in them by more than
    two thirds: a sparse pattern of ones.
    """
    sizes = np.diff(half.indptr)
    shared = (sets @ half).multiply(sets).tocsr()  # half is symmetric
    taken = shared.data > 2 / 3 * sizes[shared.indices]
    chosen = sparse.csr_matrix(
        (
            np.ones(int(taken.sum()), np.float32),
            shared.indices[taken],
            np.concatenate([[0], np.cumsum(taken)])[shared.indptr],
        ),
        shape=shared.shape,
    )
    found = (sets + chosen @ half).tocsr()
    found.sort_indices()
    found.data = np.ones(found.nnz, np.float32)
    return found


def weighed(
    members: Any, relation: Joint | SideBySide, near: Neighbours, distance_of: Distances, first: int = 0
) -> Any:
    """Sets (rows, items) of the relation's rows from `first` on, with weights exp(−d) that sum to 1 in every row."""
    rows, columns = sparse_rows(members), members.indices.astype(np.int64)
    here = slice(first, first + members.shape[0])
    distances = distance_of(known_pairs(relation, near, here, rows, columns), first + rows)
    if isinstance(relation, Joint):
        distances[first + rows == columns] = 0
    members.data = np.exp(-distances)
    sums = np.bincount(rows, members.data, minlength=members.shape[0])
    members.data /= sums[rows].astype(np.float32)
    return members


def mutual(indices: IntArray) -> Any:
    """Which neighbours have the item among theirs: a sparse pattern (items, items) of ones."""
    listed = adjacency(indices)
    return listed.multiply(listed.T.tocsr()).tocsr()


def known_pairs(
    relation: Joint | SideBySide, near: Neighbours, here: slice, rows: IntArray, columns: IntArray
) -> FloatArray:
    """Scores of pairs of a row, counted from the first that is `here`, and an item: read from the neighbour lists where
    they stand, computed otherwise.
    """
    items = relation.shape[1]
    listed = adjacency(near.indices[here], near.scores[here], items)
    listed.sort_indices()
    keys = sparse_rows(listed) * items + listed.indices
    wanted = rows * items + columns
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: FloatArray = np.where(keys[at] == wanted, listed.data[at], np.float32(np.nan))
    unknown = np.flatnonzero(np.isnan(found))
    lines = here.start + rows[unknown]
    computed = relation.pairs(lines, columns[unknown])
    found[unknown] = np.where(np.isfinite(computed), computed, near.lowest[lines])
    return found
