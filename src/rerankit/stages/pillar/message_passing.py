"""The neighbour-aware attention as message passing: for graphs of any size and for sparse ones.

Every graph is a set of nodes with edges j → i that carry the neighbour graph's weight. A node attends to the
nodes that have an edge to it; with all edges of a graph present this is the dense form, to rounding.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rerankit.extras import require


def neighbour_attention(
    query: Tensor, key: Tensor, value: Tensor, graph: Tensor, mask: Tensor | None, heads: int
) -> Tensor:
    """Attention over padded batches (queries, nodes, width) by message passing; absent nodes give zeros."""
    queries, nodes, width = value.shape
    present = torch.ones(queries, nodes, dtype=torch.bool, device=value.device) if mask is None else mask
    edges, weights = edges_of(graph, present)
    flat = [x.reshape(queries * nodes, heads, -1) for x in (query, key, value)]
    return passing()(edges, weights, *flat).reshape(queries, nodes, width)  # type: ignore[no-any-return]


def edges_of(graph: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """All edges (2, edges) among the present nodes of a batch, source then target, with their weights.

    Nodes are numbered through the batch: node n of query q is q·nodes + n.
    """
    nodes = graph.shape[1]
    which, target, source = (present[:, :, None] & present[:, None, :]).nonzero(as_tuple=True)
    edges = torch.stack([which * nodes + source, which * nodes + target])
    return edges, graph[which, target, source]


@lru_cache(maxsize=1)
def passing() -> Any:
    """The message-passing module; it has no parameters, so one serves all."""
    with warnings.catch_warnings():
        # The package scripts some of its own modules when imported, which newer versions of torch deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        base = require("torch_geometric.nn", extra="pillar", purpose="the message-passing form").MessagePassing
        softmax = require("torch_geometric.utils", extra="pillar").softmax

    class NeighbourPassing(base):  # type: ignore[misc, valid-type]
        """Messages v_j · (softmax over a node's sources of q·k/√d + edge weight) / 2, for every head."""

        def __init__(self) -> None:
            super().__init__(aggr="add", node_dim=0)

        def forward(self, edge_index: Tensor, weight: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            """edge_index (2, edges), weight (edges), the rest (nodes, heads, d) -> (nodes, heads, d)."""
            size = (len(value), len(value))
            return self.propagate(  # type: ignore[no-any-return]
                edge_index, weight=weight, query=query, key=key, value=value, size=size
            )

        def message(
            self,
            query_i: Tensor,
            key_j: Tensor,
            value_j: Tensor,
            weight: Tensor,
            index: Tensor,
            size_i: int | None,
        ) -> Tensor:
            logits = (query_i * key_j).sum(dim=-1) / query_i.shape[-1] ** 0.5
            mixed = (softmax(logits, index, num_nodes=size_i) + weight[:, None]) / 2
            weighted: Tensor = value_j * mixed[..., None]
            return weighted

    return NeighbourPassing()
