"""The three levels for every round without gradients, as few and as large matrix products as there are.

Everything is computed for one block of images and one block of searches; who calls decides the block sizes.
The numbers are those of `network.SimilarityEncoder`: what changes is the order of the work.

- The local level of all rounds is one pass of running sums, a round's similarities being one product.
- The reasoning level folds its two edge projections into one matrix, computes only node 0 in the last step,
  and runs each linear layer once for the nodes of all rounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from rerankit.stages.hmrn.network import SLOPE, ReasoningStep, SimilarityEncoder

TINY = 1e-8
Line: TypeAlias = tuple[Tensor, Tensor]
"""A bias and a weight, (in, out)."""


@dataclass(frozen=True)
class Images:
    """Encoded images: regions (n, R, D), zero where padded, counts (n,) and pooled vectors (n, D)."""

    regions: Tensor
    counts: Tensor
    pooled: Tensor
    keeper: object = None
    """Whatever must live as long as the tensors, such as the folder of a memory map."""

    def __len__(self) -> int:
        return len(self.regions)

    def __getitem__(self, rows: slice | Tensor) -> Images:
        return Images(self.regions[rows], self.counts[rows], self.pooled[rows], self.keeper)


@dataclass(frozen=True)
class Searches:
    """Encoded searches: descriptions (c, T, D), zero where padded, pooled per round (c, T, D), and counts (c,).

    The counts stay on the CPU, where the loop over searches reads them.
    """

    queries: Tensor
    counts: Tensor
    pooled: Tensor

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, rows: slice | Tensor) -> Searches:
        return Searches(self.queries[rows], self.counts[rows], self.pooled[rows])


def overall(images: Images, searches: Searches) -> Tensor:
    """The global level after every round: (T, c, n)."""
    return searches.pooled.transpose(0, 1) @ images.pooled.T


class Local:
    """The local level after every round, by running sums; and the raw similarities of a block."""

    def __init__(self, encoder: SimilarityEncoder) -> None:
        config = encoder.config
        self.by_region = config.variant == "I-T"
        self.temperature = config.region_temperature if self.by_region else config.query_temperature

    def table(self, images: Images, searches: Searches) -> Tensor:
        """Temperature times raw similarity after the leaky ReLU, (T, c, n, R): one product.

        The temperature rides on the product; the reasoning level, which normalises, does not see it.
        """
        queries = (searches.queries * self.temperature).transpose(0, 1).flatten(0, 1)
        table = queries @ images.regions.flatten(0, 1).T
        torch.nn.functional.leaky_relu_(table, SLOPE)
        return table.view(searches.queries.shape[1], len(searches), len(images), -1)

    def __call__(self, images: Images, searches: Searches) -> Tensor:
        """All rounds of a block, (T, c, n). The block should be small enough for its buffers to stay in the cache."""
        count, rounds, slots = len(searches), searches.queries.shape[1], images.regions.shape[1]
        out = images.regions.new_empty(rounds, count, len(images))
        regions = images.regions.flatten(0, 1).T
        now, weight = (regions.new_empty(count, regions.shape[1]) for _ in range(2))
        sums = _Sums(regions.new_ones(slots), images.counts.to(out.dtype), now)
        add = sums.by_region if self.by_region else sums.by_query
        for queries, result in zip((searches.queries * self.temperature).transpose(0, 1), out, strict=True):
            torch.mm(queries, regions, out=now)
            torch.nn.functional.leaky_relu_(now, SLOPE)
            add(now, torch.exp(now, out=weight), result)
        return out.div_(self.temperature)


class _Sums:
    """The running sums of one block: (c, n·R) tables go in round by round, (c, n) similarities come out."""

    def __init__(self, ones: Tensor, counts: Tensor, now: Tensor) -> None:
        self.ones, self.counts, self.round = ones, counts, 0
        self.top, self.bottom = torch.zeros_like(now), torch.zeros_like(now)
        self.total = now.new_zeros(len(now), len(counts))

    def by_region(self, now: Tensor, weight: Tensor, result: Tensor) -> None:
        """Each region attends over the queries so far: a ratio of two running sums, averaged over the regions."""
        self.bottom.add_(weight)
        self.top.addcmul_(weight, now)
        torch.div(self.top, self.bottom, out=weight)
        torch.div(self._over_regions(weight), self.counts, out=result)

    def by_query(self, now: Tensor, weight: Tensor, result: Tensor) -> None:
        """Each query attends over the regions; then a running mean. A padded region weighs 1 and adds 0."""
        self.round += 1
        bottom = self._over_regions(weight).sub_(len(self.ones) - self.counts)
        self.total.add_(self._over_regions(weight.mul_(now)).div_(bottom))
        torch.div(self.total, self.round, out=result)

    def _over_regions(self, values: Tensor) -> Tensor:
        # A product with ones sums short rows faster than a reduction does.
        return torch.mv(values.view(-1, len(self.ones)), self.ones).view(self.total.shape)


class Reasoning:
    """The reasoning level of one search against many images, for any rounds; weights folded once.

    Nodes of all rounds lie in one flat matrix of rows, round by round, image by image, node by node, so that
    a linear layer is one product for all of them. Buffers are kept between calls: fresh pages for each
    intermediate result would cost as much as the arithmetic on it.
    """

    def __init__(self, encoder: SimilarityEncoder) -> None:
        self.temperature = encoder.config.query_temperature
        self.width = encoder.config.reasoning_dim
        self.local = _line(encoder.sim_tranloc_w)
        self.first = _line(encoder.sim_tranglo_w)
        self.score = _line(encoder.sim_w)
        self.edges, self.moves = [], []
        for step in encoder.ICR_module:
            assert isinstance(step, ReasoningStep)
            product, shift = step.folded()
            self.edges.append((shift, product))
            self.moves.append(_line(step.sim_graph_w))
        self._kept: dict[str, Tensor] = {}

    def __call__(
        self, table: Tensor, regions: Tensor, images: Tensor, queries: Tensor, searches: Tensor, rounds: list[int]
    ) -> Tensor:
        """One search after each of `rounds`: (len(rounds), n).

        `table` (T, n, R) any multiple of the raw similarities, `regions` (n, R, D), `images` (n, D) pooled,
        `queries` (T, D), `searches` (T, D) pooled after every round.
        """
        nodes = self._nodes(table, regions, images, queries, searches, rounds)
        for edge, move in zip(self.edges[:-1], self.moves[:-1], strict=True):
            self._step(nodes, _graphs(nodes, rounds, len(images)), edge, move)
        return self._last(_graphs(nodes, rounds, len(images)))

    def _buffer(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """A kept buffer of at least this many values, seen in this shape; its content is what was left in it."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or len(kept) < size or kept.device != like.device:
            kept = self._kept[name] = like.new_empty(size)
        return kept[:size].view(shape)

    def _nodes(
        self, table: Tensor, regions: Tensor, images: Tensor, queries: Tensor, searches: Tensor, rounds: list[int]
    ) -> Tensor:
        count, total, dim = len(images), sum(rounds), regions.shape[2]
        context = self._buffer("asking", table, count, total, dim)
        torch.bmm(self._weights(table, rounds).transpose(0, 1), regions, out=context)
        context.mul_(_inverse_length(context))
        context.sub_(torch.cat([queries[:t] for t in rounds]))
        context.mul_(context)
        local = self._buffer("local", table, count * total, self.width)
        _linear(context.view(count * total, dim), self.local, local)
        local = local.mul_(_inverse_length(local)).view(count, total, self.width)
        gap = images - searches[[t - 1 for t in rounds]][:, None]
        first = _linear(gap.mul_(gap).view(len(rounds) * count, dim), self.first)
        first.mul_(_inverse_length(first))
        nodes = self._buffer("nodes", table, count * (total + len(rounds)), self.width)
        start = 0
        for t, graph, node in zip(rounds, _graphs(nodes, rounds, count), torch.split(first, count), strict=True):
            graph[:, 0] = node
            graph[:, 1:] = local[:, start : start + t]
            start += t
        return nodes

    def _weights(self, table: Tensor, rounds: list[int]) -> Tensor:
        """Attention of each query over the regions (total, n, R), not summing to 1: contexts are normalised anyway."""
        length = table.square().cumsum_(dim=0).sqrt_().add_(TINY).reciprocal_().mul_(self.temperature)
        weight = self._buffer("weight", table, sum(rounds), *table.shape[1:])
        start = 0
        for t in rounds:
            torch.mul(table[:t], length[t - 1], out=weight[start : start + t])
            start += t
        return weight.exp_()

    def _step(self, nodes: Tensor, graphs: list[Tensor], edge: Line, move: Line) -> None:
        """One step for every node of every round, in place: two products over all rows, edges graph by graph."""
        asking = self._buffer("asking", nodes, *nodes.shape)
        _linear(nodes, edge, asking)
        row = 0
        for graph in graphs:
            rows = graph.shape[0] * graph.shape[1]
            question = asking[row : row + rows].view(graph.shape)
            # Keys by asking nodes, so that softmax runs down the columns, which is the fast direction.
            edges = torch.bmm(graph, question.transpose(1, 2)).softmax(dim=1)
            torch.bmm(edges.transpose(1, 2), graph, out=question)
            row += rows
        _linear(asking, move, nodes).relu_()

    def _last(self, graphs: list[Tensor]) -> Tensor:
        """The last step for node 0 only, and the score: (rounds, n)."""
        count = len(graphs[0])
        asking = _linear(torch.cat([graph[:, 0] for graph in graphs]), self.edges[-1])
        for question, graph in zip(asking.view(len(graphs), count, 1, -1), graphs, strict=True):
            edges = torch.bmm(graph, question.transpose(1, 2)).softmax(dim=1)
            torch.bmm(edges.transpose(1, 2), graph, out=question)
        final = _linear(asking, self.moves[-1]).relu_()
        return _linear(final, self.score).sigmoid_().view(len(graphs), count)


def _line(layer: nn.Linear) -> Line:
    """Bias and transposed weight of a linear layer, laid out for a product from the left."""
    return layer.bias.detach(), layer.weight.detach().T.contiguous()


def _linear(rows: Tensor, line: Line, out: Tensor | None = None) -> Tensor:
    """Rows times weight plus bias; the bias is added afterwards, which costs less than `addmm` laying it out first."""
    return torch.mm(rows, line[1], out=out).add_(line[0])


def _inverse_length(vectors: Tensor) -> Tensor:
    """What to multiply vectors (…, D) by to make them of length 1: (…, 1)."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return length.add_(TINY).reciprocal_()


def _graphs(nodes: Tensor, rounds: list[int], count: int) -> list[Tensor]:
    """The flat rows of nodes as one (n, t + 1, s) view for each round."""
    parts = torch.split(nodes, [count * (t + 1) for t in rounds])
    return [part.view(count, t + 1, -1) for part, t in zip(parts, rounds, strict=True)]
