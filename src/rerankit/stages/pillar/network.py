"""The reasoner's network: pillar similarities in, one vector for each node out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rerankit.errors import rule
from rerankit.stages.pillar.message_passing import neighbour_attention


class Attention(nn.Module):
    """Self-attention whose weights are the mean of the softmax and of the neighbour graph.

    The graph is the same for every head, so its half is one product with all heads' values side by side.
    """

    def __init__(self, width: int, heads: int, bias: bool, form: str) -> None:
        super().__init__()
        self.heads = heads
        self.form = form
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, graph: Tensor, mask: Tensor | None) -> Tensor:
        """x (queries, nodes, width), graph (queries, nodes, nodes), mask (queries, nodes) -> as x."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        mix = neighbour_attention if self.form == "graph" else _dense_attention
        return self.proj(mix(query, key, value, graph.to(value.dtype), mask, self.heads))  # type: ignore[no-any-return]


def _dense_attention(
    query: Tensor, key: Tensor, value: Tensor, graph: Tensor, mask: Tensor | None, heads: int
) -> Tensor:
    def split(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)

    keys = None if mask is None else mask[:, None, None, :]
    attended = F.scaled_dot_product_attention(split(query), split(key), split(value), attn_mask=keys)
    mixed: Tensor = (attended.transpose(1, 2).flatten(2) + graph @ value) / 2
    return mixed


class MLP(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))  # type: ignore[no-any-return]


class TransformerBlock(nn.Module):
    """A pre-norm transformer block with neighbour-aware attention."""

    def __init__(self, width: int, heads: int, expansion: int, bias: bool, form: str) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, bias, form)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, expansion * width)

    def forward(self, x: Tensor, graph: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attn(self.norm1(x), graph, mask)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class FeatureAlign(nn.Module):
    """From a node back to its pillar similarities; used in training only."""

    def __init__(self, width: int, columns: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, columns)])

    def forward(self, nodes: Tensor) -> Tensor:
        return self.layers[0](nodes)  # type: ignore[no-any-return]


class PillarNetwork(nn.Module):
    """One direction's reasoner. Module names are those of the published checkpoints."""

    def __init__(
        self,
        pillars: int = 64,
        width: int = 768,
        layers: int = 2,
        heads: int = 24,
        *,
        expansion: int = 4,
        bias: bool = True,
        form: str = "dense",
    ) -> None:
        super().__init__()
        if width % heads:
            raise rule("heads", f"must divide the width, {width}", heads)
        self.pillars, self.form = pillars, form
        self.ln = nn.LayerNorm(pillars)
        self.ln1 = nn.LayerNorm(pillars)
        self.topk_proj = nn.Linear(2 * pillars, width)
        self.feature_align = FeatureAlign(width, 2 * pillars)
        self.blocks = nn.ModuleList([TransformerBlock(width, heads, expansion, bias, form) for _ in range(layers)])

    def forward(self, x: Tensor, graph: Tensor, mask: Tensor | None = None) -> Tensor:
        """Node vectors (queries, nodes, width), not yet of length 1.

        `x` (queries, nodes, 2·pillars) are the pillar similarities with the query as node 0, `graph`
        (queries, nodes, nodes) the neighbour graph; `mask` (queries, nodes) is False for absent nodes.
        """
        inter, intra = x.split(self.pillars, dim=-1)  # type: ignore[no-untyped-call]
        nodes = self.topk_proj(torch.cat([self.ln(inter), self.ln1(intra)], dim=-1))
        for block in self.blocks:
            nodes = block(nodes, graph, mask)
        return nodes  # type: ignore[no-any-return]

    def reconstruct(self, nodes: Tensor) -> Tensor:
        """Pillar similarities (queries, nodes, 2·pillars) guessed back from node vectors."""
        return self.feature_align(nodes)  # type: ignore[no-any-return]


def node_scores(nodes: Tensor) -> Tensor:
    """The cosine of every node (queries, nodes) with its query, which is node 0."""
    nodes = F.normalize(nodes.float(), dim=-1)
    # No matrix product, which mixed precision would round to two or three digits.
    return (nodes * nodes[:, :1]).sum(dim=-1)


class PillarPair(nn.Module):
    """The networks of both directions, or of one."""

    def __init__(self, networks: dict[str, PillarNetwork]) -> None:
        super().__init__()
        for direction, network in networks.items():
            self.add_module(f"model_{direction}", network)

    def __getitem__(self, direction: str) -> PillarNetwork:
        network = getattr(self, f"model_{direction}")
        assert isinstance(network, PillarNetwork)
        return network
