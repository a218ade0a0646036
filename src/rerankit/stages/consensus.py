"""consensus: a balanced plan of who belongs to whom, refined by what neighbours on one side say."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from scipy import sparse

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores, blocks
from rerankit.stages._candidates import items_of, rows_of
from rerankit.stages._cells import Cells
from rerankit.stages._mixing import vectors_of
from rerankit.stages.base import Stage
from rerankit.stages.dba import others_nearest

C = TypeVar("C", bound="Consensus")

VOTERS = ("larger", "gallery", "query")


class Consensus(Stage):
    """Balance all scores as `sinkhorn` does, let neighbours vote, and balance again.

    Of two sides, the voters are the one several of whose items belong to one item of the other, say captions and
    pictures, whichever way one searches: ``"larger"`` takes the larger side for it (the gallery, where both are equal),
    ``"gallery"`` and ``"query"`` say it. To the balanced plan's logarithm are added, for a voter t and an item i of the
    other side: the vote log(`floor` + Σ w p(i | t')) of the `neighbours` voters t' nearest to t, w their softmax at
    `sharpness`; and `likeness` times the similarity of t to the voters that i most likely has, t itself left out. The
    score is the logarithm of the refined plan.

    All test queries matter, so it is transductive; a bank cannot stand in for them, because the plan gives shares of
    the very items under test to each other. It loses, and much, where only some of the captions are asked for the
    pictures (300 of 2,000 captions cost 16 points of R@1) and with the wrong side as voters; also where each item has
    one partner only and neighbours mean nothing, and where the scores are not cosines and `beta`, `sharpness`,
    `likeness` were not set anew.

    >>> import numpy as np
    >>> from rerankit import Problem, rerank
    >>> captions = np.array([[1, 0.1], [1, 0.3], [0.1, 1], [0.35, 1]])
    >>> problem = Problem.from_embeddings([[1, 0.2], [0.8, 1]], captions)
    >>> rerank(problem, "consensus", k=2, neighbours=1).indices
    array([[1, 0],
           [3, 2]])
    """

    name = "consensus"
    citation = "rerankit: Sinkhorn's balance with votes of neighbours"

    def __init__(
        self,
        voters: str = "larger",
        beta: float = 20.0,
        neighbours: int = 16,
        sharpness: float = 15.0,
        floor: float = 0.03,
        likeness: float = 8.0,
        iterations: int = 10,
        cells_kept: int = 64,
    ) -> None:
        self.voters = checks.choice("voters", voters, VOTERS)
        self.beta = checks.number("beta", beta, above=0)
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.sharpness = checks.number("sharpness", sharpness, least=0)
        self.floor = checks.number("floor", floor, above=0)
        self.likeness = checks.number("likeness", likeness, least=0)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.cells_kept = checks.integer("cells_kept", cells_kept, least=1)

    def reversed(self: C) -> C:
        """The stage for the reversed problem, where the same items vote."""
        other = {"gallery": "query", "query": "gallery"}
        return self.clone(voters=other[self.voters]) if self.voters in other else self

    @property
    def needs(self) -> tuple[str, ...]:
        if self.voters == "larger":  # which of them only the problem tells
            return ("query_scores", "gallery_scores")
        return (f"{self.voters}_scores",)

    @property
    def transductive(self) -> bool:
        return True

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        # Inside, voters are always the columns.
        queries_vote = self._queries_vote(problem)
        facing = problem.reversed() if queries_vote else problem
        items = _by_item(ranking) if queries_vote else ranking.indices
        cells = Cells.best(facing.scores, self.cells_kept, items)
        logits = self.refined(facing, cells)
        rows, columns = rows_of(ranking), items_of(ranking)
        if queries_vote:
            rows, columns = columns, rows
        lowest = float(logits.min()) - 1
        return cells.at(logits, rows, columns, lowest).astype(np.float32)

    def _queries_vote(self, problem: Problem) -> bool:
        larger = "query" if problem.shape[0] > problem.shape[1] else "gallery"
        return (larger if self.voters == "larger" else self.voters) == "query"

    def refined(self, facing: Problem, cells: Cells) -> AnyArray:
        """The refined plan's logarithm for each cell."""
        among = facing.gallery_scores
        assert among is not None, "checked by the stage's needs"
        logits = _balanced(cells, self.beta * cells.scores.astype(np.float64), self.iterations)
        voted = np.log(self.floor + self._votes(among, cells, logits))
        liked = self._likeness(facing, among, cells, logits) if self.likeness else 0.0
        return _balanced(cells, logits + voted + self.likeness * liked, max(1, self.iterations // 2))

    def _votes(self, among: Scores, cells: Cells, logits: AnyArray) -> AnyArray:
        """Σ w p(row | neighbour) for each cell (row, voter), over the voter's nearest others."""
        near, scores = others_nearest(among, np.arange(cells.shape[1]), self.neighbours)
        weights = _softmax(self.sharpness * np.where(near >= 0, scores, -np.inf).astype(np.float64))
        plan = sparse.csr_matrix((cells.column_shares(logits), cells.columns, cells.starts), shape=cells.shape)
        known = near >= 0
        starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
        edges = sparse.csr_matrix((weights[known], near[known], starts), shape=among.shape).T.tocsr()
        votes = np.zeros(len(cells.keys))
        work = blocks(cells.shape[0], cells.shape[1] * 16, share=0.5)
        for block in track(list(work), "votes"):
            here = slice(cells.starts[block.start], cells.starts[block.stop])
            dense = (plan[block] @ edges).toarray()
            votes[here] = dense[cells.rows[here] - block.start, cells.columns[here]]
        return votes

    def _likeness(self, facing: Problem, among: Scores, cells: Cells, logits: AnyArray) -> AnyArray:
        """Similarity of each cell's voter to the voters its row most likely has, itself left out."""
        likely, weights, kept = _first(cells, cells.row_shares(logits), self.neighbours)
        vectors = vectors_of(facing)
        if vectors is None:
            return self._likeness_of_pairs(among, cells, likely, weights)
        itself = kept * np.square(vectors[1]).sum(axis=1)[cells.columns]
        found = np.empty(len(cells.keys))
        for block in track(list(blocks(cells.shape[0], cells.shape[1] * 8, share=0.5)), "likeness"):
            here = slice(cells.starts[block.start], cells.starts[block.stop])
            near = np.einsum("rn,rnd->rd", weights[block], vectors[1][np.maximum(likely[block], 0)])
            dense = near.astype(np.float32) @ vectors[1].T
            found[here] = dense[cells.rows[here] - block.start, cells.columns[here]]
        found -= itself
        return found

    def _likeness_of_pairs(self, among: Scores, cells: Cells, likely: IntArray, weights: AnyArray) -> AnyArray:
        """The same from a matrix of similarities: one look for each cell and likely voter."""
        found = np.empty(len(cells.keys))
        for block in track(list(blocks(len(cells.keys), self.neighbours * 48)), "likeness"):
            rows, columns = cells.rows[block], cells.columns[block, None]
            others = np.where(likely[rows] == columns, 0, weights[rows])
            similar = among.pairs(np.maximum(likely[rows], 0), columns)
            found[block] = (others * np.where(np.isfinite(similar), similar, 0)).sum(axis=1)
        return found


def _balanced(cells: Cells, logits: AnyArray, iterations: int) -> AnyArray:
    row, column = cells.balanced(logits, iterations)
    found: AnyArray = logits + row[cells.rows] + column[cells.columns]
    return found


def _first(cells: Cells, values: AnyArray, k: int) -> tuple[IntArray, AnyArray, AnyArray]:
    """The columns of each row's k highest values and those values, (rows, k), padded with −1 and 0; and for each
    cell its value when it is among them, otherwise 0.
    """
    by_value = np.lexsort((cells.columns, -values, cells.rows))
    place = np.arange(len(values)) - cells.starts[cells.rows]
    columns, first = np.full((cells.shape[0], k), -1), np.zeros((cells.shape[0], k))
    kept = place < k
    rows, places, chosen = cells.rows[kept], place[kept], by_value[kept]
    columns[rows, places], first[rows, places] = cells.columns[chosen], values[chosen]
    of_cell = np.zeros(len(values))
    of_cell[chosen] = values[chosen]
    return columns, first, of_cell


def _softmax(logits: AnyArray) -> AnyArray:
    highest = logits.max(axis=1, keepdims=True) if logits.shape[1] else np.zeros((len(logits), 1))
    powers = np.exp(logits - np.where(np.isfinite(highest), highest, 0))
    shares: AnyArray = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1e-300)
    return shares


def _by_item(ranking: Ranking) -> IntArray:
    """For each gallery item the queries it is a candidate of: (gallery, most), padded with −1."""
    queries, places = np.nonzero(ranking.mask)
    items = ranking.indices[queries, places]
    by_item = np.argsort(items, kind="stable")
    counts = np.bincount(items, minlength=ranking.gallery_size)
    inside = np.arange(len(items)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((ranking.gallery_size, max(1, int(counts.max()))), -1)
    found[items[by_item], inside] = queries[by_item]
    return found
