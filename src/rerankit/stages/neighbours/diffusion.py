"""diffusion: similarity spreads from the query's neighbours over the gallery's neighbour graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.gallery import Gallery
from rerankit.pipelines.scaling import AMONG_ITEMS, BY_ITEMS, Scaling
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.stages.candidates import behind, items_of
from rerankit.stages.neighbours.known import Known
from rerankit.stages.neighbours.others import others_nearest
from rerankit.stages.neighbours.stage import NeighbourStage, check_strength
from rerankit.stages.neighbours.unrelated import sampled_rows, shares_of, unrelated
from rerankit.threads import in_threads

_SOLVED = 4096  # items whose solutions are found together
_COLUMNS = 16  # queries solved together: their vectors stay in the cache
_ENOUGH = 1e-18  # a residual so much smaller than its source, squared, changes no score in float32


class Diffusion(NeighbourStage):
    """Solve (I − α S) f = y: y is the query's similarity to its nearest items, f what reaches every item.

    S is the normalised graph of the gallery: edges between mutual `neighbours` nearest items, weighted by similarity to
    the power `gamma`. y has the `query_neighbours` nearest items. Similarities are taken as shares, 0 for unrelated
    items and 1 for an item and itself (for the query, its first item), so that nothing depends on the scale or the
    shift of the scores. Without `truncation` the system is solved over the whole gallery by conjugate gradients. With
    it, each item's own solution is found among its `truncation` nearest items only, and a query adds up those of its
    neighbours; a gallery that stands ready keeps them, 12 bytes for each of so many items. Items that nothing reaches
    keep their order behind the others.

    `strength` says how much the neighbours count against the order that comes in: 1 is the diffusion alone, as
    published; ``"auto"`` goes by what the gallery shows and writes it into the ranking's notes. It helps where right
    items form manifolds (views of one place); it loses where each item is its own thing, and with a graph that joins
    different things.

    >>> import numpy as np
    >>> from rerankit import Problem, rerank
    >>> alike = np.eye(5)
    >>> alike[0, 1] = alike[1, 0] = 0.8
    >>> problem = Problem([[0.9, 0.5, 0.52, 0, 0]], gallery_scores=alike)
    >>> rerank(problem, "diffusion", k=3, query_neighbours=1, neighbours=1, strength=1).indices
    array([[0, 1, 2]])
    """

    scaling = Scaling("its edges in the graph of items", AMONG_ITEMS, cut=BY_ITEMS)
    name = "diffusion"
    citation = "Iscen et al., Efficient diffusion on region manifolds (CVPR 2017); Yang et al., offline (AAAI 2019)"

    def __init__(
        self,
        neighbours: int = 50,
        query_neighbours: int = 10,
        gamma: float = 3.0,
        alpha: float = 0.99,
        iterations: int = 200,
        truncation: int | None = None,
        strength: float | str = "auto",
    ) -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.query_neighbours = checks.integer("query_neighbours", query_neighbours, least=1)
        self.gamma = checks.number("gamma", gamma, above=0)
        self.alpha = checks.number("alpha", alpha, least=0, most=0.9999)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.truncation = truncation if truncation is None else checks.integer("truncation", truncation, least=1)
        self.strength = check_strength(strength)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",)

    def known(self, gallery: Gallery) -> Known:
        assert gallery.side.scores is not None, "checked by the stage's needs"
        sample = {"sample": sampled_rows(gallery.side.scores)} if gallery.embeddings is not None else {}
        return {"graph": normalised_graph(gallery.side.scores, self.neighbours, self.gamma), **sample}

    def known_standing(self, gallery: Gallery) -> Known:
        """With `truncation`, every item's own solution; nothing of the graph is then read for a query."""
        known, scores = self.known(gallery), gallery.side.scores
        if self.truncation is None or scores is None:
            return known
        parts = []
        for at in range(0, gallery.size, _SOLVED):
            starts = np.arange(at, min(at + _SOLVED, gallery.size))
            parts.append(self._columns(known["graph"], starts, scores.take(starts).topk(self.truncation)[0]))
        return {
            **{name: one for name, one in known.items() if name != "graph"},
            "solutions": sparse.vstack(parts, format="csr"),
        }

    def opinion(self, problem: Problem, ranking: Ranking, known: Known) -> FloatArray:
        sources = self._sources(problem, known.get("sample"))
        items = items_of(ranking)
        if self.truncation is None:
            reached = self._solved(known["graph"], sources, items)
        else:
            reached = self._offline(known, problem.gallery_scores, sources, items)
        return behind(reached, ranking)

    def _sources(self, problem: Problem, sample: IntArray | None) -> Any:
        """y (queries, gallery), sparse: the nearest items' shares of the first one's similarity, power gamma."""
        indices, scores = problem.scores.topk(self.query_neighbours)
        rows, places = np.nonzero(indices >= 0)
        level = unrelated(problem.scores, sample).level
        unit = scores[:, 0].astype(np.float64) - level
        shares = (scores[rows, places] - level[rows]) / np.where(unit > 0, unit, 1)[rows]
        values = np.where(places == 0, 1, np.clip(shares, 0, 1) ** self.gamma)
        return sparse.csr_matrix((values, (rows, indices[rows, places])), shape=problem.shape)

    def _solved(self, graph: Any, sources: Any, items: IntArray) -> FloatArray:
        result = np.empty(items.shape, np.float32)
        parts = [slice(at, min(at + _COLUMNS, len(items))) for at in range(0, len(items), _COLUMNS)]

        def one(part: slice) -> None:
            flow = conjugate_gradients(graph, self.alpha, sources[part].T.toarray(), self.iterations)
            result[part] = np.take_along_axis(flow.T, items[part], axis=1)

        for at in track(range(0, len(parts), 8), "diffusion"):
            in_threads(one, parts[at : at + 8])
        return result

    def _offline(self, known: Known, gallery: Scores | None, sources: Any, items: IntArray) -> FloatArray:
        """Sums of single items' solutions, each among its nearest items."""
        starts = np.unique(sources.indices).astype(np.int64)
        if "solutions" in known:
            found = known["solutions"][starts]
        else:
            assert self.truncation is not None, "checked by the caller"
            assert gallery is not None, "checked by the stage's needs"
            found = self._columns(known["graph"], starts, gallery.take(starts).topk(self.truncation)[0])
        place = np.full(sources.shape[1], -1)
        place[starts] = np.arange(len(starts))
        chosen = sparse.csr_matrix((sources.data, place[sources.indices], sources.indptr), (len(items), len(starts)))
        result = np.empty(items.shape, np.float32)
        for at in range(0, len(items), 256):
            part = slice(at, at + 256)
            result[part] = np.take_along_axis((chosen[part] @ found).toarray(), items[part], axis=1)
        return result

    def _columns(self, graph: Any, starts: IntArray, near: IntArray) -> Any:
        """The solution for each start (starts, gallery), sparse."""

        def one(row: int) -> tuple[IntArray, AnyArray]:
            inside = np.union1d(near[row][near[row] >= 0], starts[row])
            source = (inside == starts[row]).astype(np.float64)[:, None]
            local = graph[inside][:, inside]
            return inside, conjugate_gradients(local, self.alpha, source, self.iterations)[:, 0]

        solved: list[tuple[IntArray, AnyArray]] = []
        for at in track(range(0, len(starts), 64), "offline diffusion"):
            solved += in_threads(one, range(at, min(at + 64, len(starts))))
        return _stacked(solved, graph.shape[0])


def normalised_graph(gallery: Scores, neighbours: int, gamma: float) -> Any:
    """D^−½ A D^−½ (gallery, gallery), A the shares (power gamma) of mutual nearest items, without loops."""
    count = gallery.shape[0]
    indices, scores = others_nearest(gallery, np.arange(count), neighbours)
    rows, places = np.nonzero(indices >= 0)
    columns = indices[rows, places]
    values = shares_of(gallery).of(scores[rows, places], rows) ** gamma
    listed = sparse.csr_matrix((values, (rows, columns)), shape=(count, count))
    graph = listed.minimum(listed.T.tocsr()).tocsr()
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    graph.data *= np.repeat(scale, np.diff(graph.indptr)) * scale[graph.indices]
    return graph


def conjugate_gradients(graph: Any, alpha: float, sources: AnyArray, iterations: int) -> AnyArray:
    """f (items, n) with (I − α S) f = sources, every column by itself, until nothing changes any more.

    All in float64: for an α near 1 the error of float32 grows a hundredfold, and differs from machine to machine.
    """
    flow = np.zeros_like(sources)
    rest = sources.copy()
    step = rest.copy()
    size = np.einsum("ij,ij->j", rest, rest)
    enough = size * _ENOUGH
    for _ in range(iterations):
        going = size > enough
        if not going.any():
            break
        moved = step - alpha * (graph @ step)
        # A column that is done stays as it is, so that no query's answer depends on its block.
        share = _ratio(size, np.einsum("ij,ij->j", step, moved)) * going
        flow += share * step
        rest -= share * moved
        before, size = size, np.einsum("ij,ij->j", rest, rest)
        step *= _ratio(size, before)
        step += rest
    return flow


def _ratio(above: AnyArray, below: AnyArray) -> AnyArray:
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _stacked(rows: Sequence[tuple[IntArray, AnyArray]], width: int) -> Any:
    lengths = [len(columns) for columns, _ in rows]
    return sparse.csr_matrix(
        (
            np.concatenate([values for _, values in rows]),
            np.concatenate([columns for columns, _ in rows]),
            np.concatenate([[0], np.cumsum(lengths)]),
        ),
        shape=(len(rows), width),
    )
