"""gnn: re-ranking as propagation over the neighbour graph of queries and gallery."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from rerankit import checks, settings
from rerankit.arrays import FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.events import track
from rerankit.extras import require
from rerankit.gallery import Gallery
from rerankit.pipelines.scaling import BY_BOTH, JOINT, WITHOUT_A_BANK, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import blocks
from rerankit.stages.banks import RelationsBankStage, check_relations_bank
from rerankit.stages.candidates import behind, items_of
from rerankit.stages.neighbours.both_sides import Map, Neighbours, adjacency
from rerankit.stages.neighbours.joint import Joint, warn_of_a_gap
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.outside import Outside
from rerankit.stages.neighbours.stage import NeighbourStage, check_strength
from rerankit.threads import in_threads

_FEW = 8  # times so many candidates as there are gallery items: fewer are compared one by one
_TOGETHER = 16  # queries whose descriptions stay in the cache as dense rows


class GNN(NeighbourStage, RelationsBankStage):
    """Describe every item by its neighbourhood, pass descriptions along edges, and compare them by cosine.

    An item's first description marks its `k1` nearest items (itself included). `layers` times the descriptions are
    made symmetric (A + Aᵀ), replaced by the sum over the `k2` nearest items weighted by similarity to the power
    `alpha`, and brought to length 1; with `k2` 1 nothing is passed on. Similarities are taken as shares, 0 for
    unrelated items and 1 for the highest there is. The opinion is the product of the query's and the item's
    description; items that share nothing with the query keep their order behind the others.
    Without `device` it is sparse and runs on the CPU, in memory that grows with items × neighbours; with one
    ("cpu", "cuda", …) it runs dense in torch, in memory that grows with items². With `align`, scores among the queries
    and among the gallery are first given the level and the spread of those across: where the two sides are pictures
    and texts of one network, nearest items are of an item's own kind otherwise, and no query is joined to a candidate
    (a warning says so).

    `strength` says how much the neighbours count against the order that comes in: 1 is the stage alone; ``"auto"``
    goes by what the gallery shows and writes it into the ranking's notes. It expects several right items per query, as
    k-reciprocal does, and alone it loses where there is one.

    In the published form the test queries are nodes of the graph. With a `bank` (a `Bank` with all three relations, or
    that of the problem) its items are in their place: a query is described by its neighbours in the graph of bank and
    gallery, but is in no item's description. One query's answer does not depend on the others then.

    >>> from rerankit import Problem, rerank
    >>> problem = Problem.from_embeddings([[1, 0.2]], [[1, -0.1], [0.9, 0.6], [0.8, 0.62]])
    >>> rerank(problem, "gnn", k1=2, k2=2, strength=1).indices
    array([[0, 1, 2]])
    """

    scaling = Scaling(
        "its weights among neighbours of each pass, also for the bank",
        JOINT,
        impossible=WITHOUT_A_BANK,
        cut=f"{BY_BOTH}: their neighbours",
    )
    name = "gnn"
    citation = "Zhang et al., Understanding image retrieval re-ranking: a graph neural network perspective (2020)"

    bank_parts = ("to_gallery", "to_queries", "to_bank")

    def __init__(
        self,
        k1: int = 26,
        k2: int = 7,
        alpha: float = 2.0,
        layers: int = 2,
        device: str | None = None,
        align: bool = True,
        bank: Any = None,
        strength: float | str = "auto",
    ) -> None:
        self.k1 = checks.integer("k1", k1, least=1)
        self.k2 = checks.integer("k2", k2, least=1)
        self.alpha = checks.number("alpha", alpha, least=0)
        self.layers = checks.integer("layers", layers, least=1)
        self.device = device
        self.align = checks.boolean("align", align)
        self.bank = check_relations_bank(bank, self.bank_parts)
        self.strength = check_strength(strength)

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        bank, items = self.bank_for(problem), items_of(ranking)
        if self.device is not None:
            return behind(self._on_device(problem, bank, items, self.device), ranking)
        if bank is None:
            joint = Joint(problem, self.align)
            near, others = joint.neighbours(max(self.k1, self.k2), level=True), joint.queries
            described, _ = propagated(self._edges(near), self._passes)
            nearest, queries, gallery = near.indices[:others], described[:others], described[others:]
        else:
            onto = Map(*known["onto"]) if "onto" in known else None
            outside, nearest = self._outside(problem, bank, onto, known["highest"])
            layers = [known[f"layer {place}"] for place in range(self._passes)]
            gallery, others = known["gallery"], bank.size
            queries = joined(outside, layers, gallery.shape[1])
        warn_of_a_gap(nearest, others, self.name)
        return behind(candidate_products(queries, gallery, items), ranking)

    def known(self, gallery: Gallery) -> Known:
        bank = self.bank_or(gallery.bank)
        if bank is None or self.device is not None:
            return {}
        joint = Joint.of_bank(bank, gallery.side.scores, self.align)
        near, map_of_bank = joint.neighbours(max(self.k1, self.k2), level=True), joint.maps[0]
        described, layers = propagated(self._edges(near), self._passes)
        onto = {} if map_of_bank is None else {"onto": np.array(map_of_bank, np.float32)}
        kept = {f"layer {place}": both for place, both in enumerate(layers)}
        return {**kept, **onto, "gallery": described[joint.queries :].tocsr(), "highest": near.highest}

    @property
    def _passes(self) -> int:
        """How often descriptions are passed on; an item alone has nothing to pass on."""
        return self.layers if self.k2 > 1 else 0

    def _outside(self, problem: Problem, bank: Bank, onto: Map | None, highest: float) -> tuple[Edges, IntArray]:
        """The edges of queries into the graph of bank and gallery, and their neighbours there."""
        k = max(1, max(self.k1, self.k2) - 1)
        near = Outside(problem, bank, onto).neighbours(k, highest, level=True)
        return self._edges(near, itself=False), near.indices

    def _on_device(self, problem: Problem, bank: Bank | None, items: IntArray, device: str) -> FloatArray:
        require("torch", extra="torch", purpose="stage 'gnn' with a device")
        from rerankit.stages.neighbours.gnn_torch import dense_scores

        joint = Joint(problem, self.align) if bank is None else Joint.of_bank(bank, problem.gallery_scores, self.align)
        near, outside = joint.neighbours(max(self.k1, self.k2), level=True), None
        nearest = near.indices[: joint.queries]
        if bank is not None:
            outside, nearest = self._outside(problem, bank, joint.maps[0], near.highest)
        warn_of_a_gap(nearest, joint.queries, self.name)
        return dense_scores(self._edges(near), outside, self._passes, joint.queries, items, device)

    def _edges(self, near: Neighbours, itself: bool = True) -> Edges:
        """Shares of the way from unrelated items to an item itself, to the power alpha."""
        marks, places = (count - (not itself) for count in (self.k1, self.k2))
        indices = near.indices[:, :places]
        weights = np.where(indices >= 0, near.shares()[:, :places] ** np.float32(self.alpha), np.float32(0))
        return Edges(near.indices[:, :marks], indices, weights.astype(np.float32))


class Edges(NamedTuple):
    """What descriptions are made of: for rows, which are the items themselves or queries outside the graph."""

    marks: IntArray
    """(rows, k1): the items of a row's first description."""
    near: IntArray
    """(rows, k2): the items whose descriptions a row takes over."""
    weights: FloatArray
    """(rows, k2); an item's own weight, and so that of a query outside for its own description, is 1."""


def propagated(graph: Edges, layers: int) -> tuple[Any, list[Any]]:
    """Descriptions of the items (items, items), sparse and of length 1, and for each layer what was passed on."""
    described, edges, passed = adjacency(graph.marks), adjacency(graph.near, graph.weights), []
    for _ in range(layers):
        passed.append((described + described.T.tocsr()).tocsr())
        described = _unit(edges @ passed[-1])
    return described if layers else _unit(described), passed


def joined(outside: Edges, passed: list[Any], items: int) -> Any:
    """Descriptions of queries outside the graph (queries, items), from what its layers passed on."""
    queries, inward = adjacency(outside.marks, items=items), adjacency(outside.near, outside.weights, items)
    for both in passed:  # no item says what a query is to it: the same as it to the query
        queries = _unit(inward @ both + queries * np.float32(2))
    return queries if passed else _unit(queries)


def _unit(described: Any) -> Any:
    """Rows at length 1; a row of zeros stays."""
    described = described.tocsr()
    rows = np.repeat(np.arange(described.shape[0]), np.diff(described.indptr))
    squares = np.bincount(rows, np.square(described.data), minlength=described.shape[0])
    described.data /= np.sqrt(np.where(squares > 0, squares, 1)).astype(np.float32)[rows]
    return described


def candidate_products(queries: Any, gallery: Any, items: IntArray) -> FloatArray:
    """Inner products (queries, K) of sparse rows with each query's candidates, block by block in threads."""
    if items.shape[1] * _FEW < gallery.shape[0]:
        row_bytes = gallery.nnz // gallery.shape[0] * items.shape[1] * 16 + gallery.shape[1] * 4
        work = list(blocks(len(items), max(row_bytes, settings.memory_budget() // _TOGETHER)))
        product = partial(_with_candidates, gallery)
    else:
        work = list(blocks(len(items), gallery.shape[0] * 64))
        product = partial(_with_all, gallery.T.tocsr())
    result = np.empty(items.shape, np.float32)

    def one(block: slice) -> None:
        result[block] = product(queries[block], items[block])

    for at in track(range(0, len(work), 8), "comparing neighbourhoods"):
        in_threads(one, work[at : at + 8])
    return result


def _with_all(across: Any, queries: Any, items: IntArray) -> FloatArray:
    found: FloatArray = np.take_along_axis((queries @ across).toarray(), items, axis=1)
    return found


def _with_candidates(gallery: Any, queries: Any, items: IntArray) -> FloatArray:
    """The same from the candidates' rows alone: each stands in the columns of its own query's description."""
    rows = gallery[items.reshape(-1)]
    dense = queries.toarray()
    first = np.arange(len(items), dtype=rows.indices.dtype) * np.asarray(dense.shape[1], rows.indices.dtype)
    places = rows.indices + np.repeat(first, np.diff(rows.indptr[:: items.shape[1]]))
    stacked = sparse.csr_matrix((rows.data, places, rows.indptr), shape=(items.size, dense.size))
    found: FloatArray = (stacked @ dense.reshape(-1)).reshape(items.shape)
    return found
