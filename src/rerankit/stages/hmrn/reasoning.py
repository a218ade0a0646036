"""The reasoning level of one search against many images, without gradients: few and large products.

The two edge projections are folded into one matrix, the last step is computed for node 0 only, and every linear
layer runs once for the nodes of all rounds. Biases move to where they cost nothing: a step ends with
``relu(x + b) = max(x, -b) + b``, and what the second ``b`` does to the edges and to the next step is folded into
their weights.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from rerankit.stages.hmrn.encoders import mask_of
from rerankit.stages.hmrn.fast import Images, table_scale
from rerankit.stages.hmrn.network import ReasoningStep, SimilarityEncoder
from rerankit.threads import OfThread

TINY = 1e-8
LAYOUTS = 32
Line: TypeAlias = tuple[Tensor, Tensor]
"""A bias and a weight, (in, out)."""


class _Step(NamedTuple):
    """One step over nodes of which the last step's bias is still missing."""

    edges: Tensor  # (s, s): asking nodes to what they ask
    shift: Tensor  # (s,): added to that
    move: Tensor  # (s, s)
    floor: Tensor  # (s,): minus the bias after `move`


class Reasoning:
    """The reasoning level; weights folded once, buffers and their views kept between the calls of a thread.

    Nodes of all rounds lie in one flat matrix of rows, round by round, image by image, node by node. Fresh pages for
    each intermediate result would cost as much as the arithmetic on it.
    """

    def __init__(self, encoder: SimilarityEncoder) -> None:
        self.temperature = encoder.config.query_temperature
        self.tiny = TINY * table_scale(encoder.config)
        self.dim, self.width = encoder.config.dim, encoder.config.reasoning_dim
        self.local = _line(encoder.sim_tranloc_w)
        self.first = _line(encoder.sim_tranglo_w)
        self.score = _line(encoder.sim_w)
        self.steps = _folded(encoder)
        self._buffers: OfThread[list[Tensor]] = OfThread([])
        self._layouts: OfThread[dict[tuple[int, int, tuple[int, ...]], _Layout]] = OfThread({})

    def __call__(self, table: Tensor, images: Images, queries: Tensor, searches: Tensor, rounds: list[int]) -> Tensor:
        """One search after each of `rounds`: (len(rounds), n).

        `table` (T, n, R) as the local level makes it, `queries` (T, D), `searches` (T, D) pooled after every round.
        """
        layout = self._layout(table, rounds)
        self._attend(layout, table, images, queries)
        self._nodes(layout, images.pooled, searches)
        for step in self.steps[:-1]:
            self._step(layout, step)
        return self._last(layout, self.steps[-1])

    def _layout(self, table: Tensor, rounds: list[int]) -> _Layout:
        count, slots = table.shape[1:]
        key = (count, slots, tuple(rounds))
        total = sum(rounds)
        size = count * max((total + len(rounds)) * max(self.dim, self.width), 2 * total * slots)
        buffers = self._buffers.value
        if not buffers or len(buffers[0]) < size or buffers[0].device != table.device:
            buffers = self._buffers.value = [table.new_empty(size) for _ in range(2)]
            self._layouts.value = {}
        layouts = self._layouts.value
        if key not in layouts:
            if len(layouts) >= LAYOUTS:
                layouts.pop(next(iter(layouts)))
            layouts[key] = _Layout(count, slots, rounds, (self.dim, self.width), buffers)
        return layouts[key]

    def _attend(self, layout: _Layout, table: Tensor, images: Images, queries: Tensor) -> None:
        """Squared differences of contexts and queries, (n, queries of all rounds, D), into `layout.context`.

        Weights over an image's regions are exp(logit − highest), which no temperature can make too large or too small
        to be squared. They need not sum to 1: contexts are normalised anyway.
        """
        length = table.square().cumsum_(dim=0).sqrt_().add_(self.tiny).reciprocal_().mul_(self.temperature)
        weight = torch.index_select(length, 0, layout.latest, out=layout.weight)
        weight.mul_(torch.index_select(table, 0, layout.position, out=layout.table))
        real = mask_of(images.counts, table.shape[2])
        weight.add_(torch.where(real, 0.0, -torch.inf).to(weight))
        weight.sub_(weight.amax(dim=2, keepdim=True)).exp_()
        context = torch.bmm(weight.transpose(0, 1), images.regions, out=layout.context)
        torch.addcmul(queries.neg()[layout.position], context, _inverse_length(context), out=context)
        context.mul_(context)

    def _nodes(self, layout: _Layout, images: Tensor, searches: Tensor) -> None:
        """Nodes of length 1 in their places, (rows, s), into `layout.nodes`."""
        torch.mm(layout.context.view(-1, self.dim), self.local[1], out=layout.local).add_(self.local[0])
        gap = torch.sub(images, searches[layout.last][:, None], out=layout.gap)
        torch.mm(gap.mul_(gap).view(-1, self.dim), self.first[1], out=layout.first).add_(self.first[0])
        layout.spare.mul_(_inverse_length(layout.spare))
        torch.index_select(layout.spare, 0, layout.places, out=layout.nodes)

    def _step(self, layout: _Layout, step: _Step) -> None:
        """One step for every node of every round, in place: two products over all rows, edges graph by graph."""
        torch.mm(layout.nodes, step.edges, out=layout.spare).add_(step.shift)
        for graph, question, asking in zip(layout.graphs, layout.questions, layout.asking, strict=True):
            # Keys by asking nodes, so that softmax runs down the columns, which is the fast direction.
            edges = torch.bmm(graph, asking).softmax(dim=1)
            torch.bmm(edges.transpose(1, 2), graph, out=question)
        torch.mm(layout.spare, step.move, out=layout.nodes)
        torch.maximum(layout.nodes, step.floor, out=layout.nodes)

    def _last(self, layout: _Layout, step: _Step) -> Tensor:
        """The last step for node 0 only, and the score: (rounds, n)."""
        rounds = len(layout.graphs)
        picked = torch.index_select(layout.nodes, 0, layout.heads, out=layout.picked)
        heads = torch.mm(picked, step.edges, out=layout.final).add_(step.shift)
        for graph, question in zip(layout.graphs, heads.view(rounds, -1, 1, self.width), strict=True):
            edges = torch.bmm(graph, question.transpose(1, 2)).softmax(dim=1)
            torch.bmm(edges.transpose(1, 2), graph, out=question)
        final = torch.mm(heads, step.move, out=picked).sub_(step.floor).relu_()
        return torch.mm(final, self.score[1]).add_(self.score[0]).sigmoid_().view(rounds, -1)


class _Layout:
    """Where everything lies for so many images after some rounds: views of two buffers, and the order of the rows.

    The buffers take turns: weights in the first, contexts and what the first nodes are made of in the second, all nodes
    in the first, the nodes in their places in the second, the last step in the first.
    """

    def __init__(
        self, count: int, slots: int, rounds: list[int], sizes: tuple[int, int], buffers: list[Tensor]
    ) -> None:
        dim, width = sizes
        total, device = sum(rounds), buffers[0].device
        rows = count * (total + len(rounds))
        self.weight, self.table = buffers[0][: 2 * total * count * slots].view(2, total, count, slots)
        self.context = buffers[1][: count * total * dim].view(count, total, dim)
        self.gap = buffers[1][count * total * dim : rows * dim].view(len(rounds), count, dim)
        self.spare, self.nodes = (buffer[: rows * width].view(rows, width) for buffer in buffers)
        self.local, self.first = self.spare[: count * total], self.spare[count * total :]
        self.picked, self.final = self.spare[: 2 * count * len(rounds)].view(2, -1, width)
        self.position = torch.tensor([query for t in rounds for query in range(t)], device=device)
        self.latest = torch.tensor([t - 1 for t in rounds for _ in range(t)], device=device)
        self.last = torch.tensor([t - 1 for t in rounds], device=device)
        self.sizes = [(count, t + 1) for t in rounds]
        self.graphs, self.questions = self.cut(self.nodes), self.cut(self.spare)
        self.asking = [question.transpose(1, 2) for question in self.questions]
        self.places = self._places(count, rounds).to(device)
        starts = torch.cat([part[:, 0, 0] for part in self.cut(torch.arange(rows)[:, None])])
        self.heads = starts.to(device)

    def cut(self, values: Tensor) -> list[Tensor]:
        """Rows of all nodes, as one (n, t + 1, …) view for each round."""
        parts = torch.split(values, [images * nodes for images, nodes in self.sizes])
        return [part.view(*size, -1) for part, size in zip(parts, self.sizes, strict=True)]

    @staticmethod
    def _places(count: int, rounds: list[int]) -> Tensor:
        """For each row of the nodes in their places, its row before: first all queries' nodes, then all first nodes."""
        total, images, start, parts = sum(rounds), torch.arange(count)[:, None], 0, []
        for number, t in enumerate(rounds):
            local = images * total + torch.arange(start, start + t)
            parts.append(torch.cat([count * (total + number) + images, local], dim=1).flatten())
            start += t
        return torch.cat(parts)


def _folded(encoder: SimilarityEncoder) -> list[_Step]:
    """The steps, each taking nodes x where the true nodes are x + b, b being the bias after the step before.

    An edge's logit is ``(x A + a) · y`` over true nodes. What ``b`` adds to y changes all edges of an asking node
    alike, which softmax takes out; what it adds to x joins ``a``. Edges sum to 1, so moved nodes get ``b W`` more.
    """
    made: list[_Step] = []
    bias = torch.zeros(encoder.config.reasoning_dim, device=encoder.sim_w.weight.device)
    for step in encoder.ICR_module:
        assert isinstance(step, ReasoningStep)
        edges, shift = step.folded()
        own, move = _line(step.sim_graph_w)
        after = bias @ move + own
        made.append(_Step(edges.detach(), (bias @ edges + shift).detach(), move, -after))
        bias = after
    return made


def _line(layer: nn.Linear) -> Line:
    """Bias and transposed weight of a linear layer, laid out for a product from the left."""
    return layer.bias.detach(), layer.weight.detach().T.contiguous()


def _inverse_length(vectors: Tensor) -> Tensor:
    """What to multiply vectors (…, D) by to make them of length 1: (…, 1)."""
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return length.add_(TINY).reciprocal_()
