"""Stage II, the dual encoder that reads (reference and text, candidate) together.

Two streams of a text's length go through the layers side by side: the first starts from z_t, the text as
stage I saw it with the reference image; the second from the text's own embeddings. Both look at the
same candidate's image tokens. Module names are those of the published checkpoints.

The forward pass here is the plain one, used in training and as the oracle for the packed one in
`rerankit.stages.triplet.packed`.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rerankit.stages.triplet.blip import vision_model
from rerankit.stages.triplet.config import TripletConfig

Streams = tuple[Tensor, Tensor]


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, heads · width) to (B, heads, T, width)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


class Projections(nn.Module):
    """Query, key and value of one attention; keys and values may come from a source of another width."""

    def __init__(self, hidden: int, source: int) -> None:
        super().__init__()
        self.query = nn.Linear(hidden, hidden)
        self.key = nn.Linear(source, hidden)
        self.value = nn.Linear(source, hidden)


class DualAttentionOutput(nn.Module):
    """What follows an attention: a dense layer and a norm per stream, and the merge where there is one."""

    def __init__(self, config: TripletConfig, merge: bool) -> None:
        super().__init__()
        self.LayerNormA = nn.LayerNorm(config.hidden, eps=config.norm_eps)
        self.LayerNormB = nn.LayerNorm(config.hidden, eps=config.norm_eps)
        self.dense0 = nn.Linear(config.hidden, config.hidden)
        self.dense1 = nn.Linear(config.hidden, config.hidden)
        self.merge_layer = nn.Linear(2 * config.hidden, config.hidden) if merge else None


class DualAttention(nn.Module):
    """Attention with separate weights for the two streams."""

    def __init__(self, config: TripletConfig, source: int, merge: bool = False) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.self0 = Projections(config.hidden, source)
        self.self1 = Projections(config.hidden, source)
        self.output = DualAttentionOutput(config, merge)

    def attend(self, weights: Projections, x: Tensor, source: Tensor, mask: Tensor | None) -> Tensor:
        """Context of `x` (B, T, d) over `source` (B, S, width)."""
        query, key, value = (
            split_heads(layer(given), self.heads)
            for layer, given in ((weights.query, x), (weights.key, source), (weights.value, source))
        )
        dropout = self.dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return context.transpose(1, 2).flatten(2)

    def drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)

    def read_self(self, streams: Streams, mask: Tensor, *, first: bool = False) -> Streams:
        """Each stream (B, T, d) over itself; `mask` (B, 1, 1, T) is true on words.

        With `first` only the first tokens look, and come out (B, 1, d).
        """
        zero, one = streams
        zero_asks, one_asks = (zero[:, :1], one[:, :1]) if first else streams
        out = self.output
        new_zero = self.drop(out.dense0(self.attend(self.self0, zero_asks, zero, mask)))
        new_one = self.drop(out.dense1(self.attend(self.self1, one_asks, one, mask)))
        return out.LayerNormA(zero_asks + new_zero), out.LayerNormB(one_asks + new_one)

    def read_image(self, streams: Streams, tokens: Tensor) -> Streams:
        """Both streams (C, n · T, d) over candidate `tokens` (C, P, width), merged and added to each."""
        zero, one = streams
        out = self.output
        read_zero = self.drop(out.dense0(self.attend(self.self0, zero, tokens, None)))
        read_one = self.drop(out.dense1(self.attend(self.self1, one, tokens, None)))
        if out.merge_layer is None:
            merged = (read_zero + read_one) / 2
        else:
            merged = out.merge_layer(torch.cat([read_zero, read_one], dim=-1))
        return out.LayerNormA(zero + merged), out.LayerNormB(one + merged)


class FeedForwardIn(nn.Module):
    """The first half of the feed-forward layer."""

    def __init__(self, config: TripletConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden, config.intermediate)


class FeedForwardOut(nn.Module):
    """The second half, with its norm."""

    def __init__(self, config: TripletConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.intermediate, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.norm_eps)


class DualLayer(nn.Module):
    """Self-attention, attention to the candidate, and a feed-forward that both streams share."""

    def __init__(self, config: TripletConfig, index: int) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.attention = DualAttention(config, config.hidden)
        self.crossattention = DualAttention(config, config.width, merge=index >= config.merge_from)
        self.intermediate = FeedForwardIn(config)
        self.output = FeedForwardOut(config)

    def forward(self, streams: Streams, tokens: Tensor, mask: Tensor, *, first: bool = False) -> Streams:
        """`streams` two of (C · n, T, d), `tokens` (C, P, width), `mask` (C · n, 1, 1, T); see `read_self`."""
        return self.look(self.attention.read_self(streams, mask, first=first), tokens)

    def look(self, streams: Streams, tokens: Tensor) -> Streams:
        """What follows the self-attention."""
        zero, one = streams
        shape, per_candidate = zero.shape, (tokens.shape[0], -1, zero.shape[-1])
        zero, one = self.crossattention.read_image((zero.view(per_candidate), one.view(per_candidate)), tokens)
        return self.feed_forward(zero.view(shape)), self.feed_forward(one.view(shape))

    def feed_forward(self, x: Tensor) -> Tensor:
        inner = F.gelu(self.intermediate.dense(x))
        read = F.dropout(self.output.dense(inner), self.dropout, self.training)
        return cast(Tensor, self.output.LayerNorm(x + read))


class TokenEmbeddings(nn.Module):
    """Word and position embeddings."""

    def __init__(self, config: TripletConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.word_embeddings = nn.Embedding(config.vocabulary, config.hidden, padding_idx=0)
        self.position_embeddings = nn.Embedding(config.positions, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) token ids to (B, T, d)."""
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.LayerNorm(self.word_embeddings(ids) + self.position_embeddings(places))
        return F.dropout(x, self.dropout, self.training)


class DualStack(nn.Module):
    """The layers, under the name the checkpoints give them."""

    def __init__(self, config: TripletConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(DualLayer(config, index) for index in range(config.layers))


class DualTextEncoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, config: TripletConfig) -> None:
        super().__init__()
        self.embeddings = TokenEmbeddings(config)
        self.encoder = DualStack(config)


class DualEncoder(nn.Module):
    """The scorer of (z_t, text, candidate) triplets.

    >>> import torch
    >>> from rerankit.stages.triplet.config import TripletConfig
    >>> sizes = TripletConfig(vocabulary=20, hidden=8, heads=2, layers=2, intermediate=16, width=12)
    >>> network = DualEncoder(sizes).eval()
    >>> ids, mask = torch.tensor([[3, 5, 7]]), torch.ones(1, 3, dtype=torch.long)
    >>> network(torch.zeros(1, 3, 8), ids, mask, torch.zeros(6, 9, 12)).shape  # one query, six candidates
    torch.Size([1, 6])
    """

    def __init__(self, config: TripletConfig, *, images: bool = False) -> None:
        super().__init__()
        self.config = config
        self.text_encoder = DualTextEncoder(config)
        self.cls_head = nn.Sequential(
            nn.Linear(2 * config.hidden, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 2)
        )
        self.apply(partial(_initialise, config.spread(config.hidden)))
        # Only where stage II was trained together with an image encoder of its own.
        self.visual_encoder = vision_model(config) if images else None

    def fuse(self, states: Tensor, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """The two first tokens of every query with every candidate, (C, B, 2d).

        `states` z_t (B, T, d), `ids` and `mask` (B, T), `tokens` (C, P, width). Every candidate's keys and
        values are computed once for all B queries.
        """
        count, length = ids.shape
        candidates = tokens.shape[0]
        own = self.text_encoder.embeddings(ids)
        first, *rest = self._layers()
        visible = mask.bool().view(count, 1, 1, length)
        # Until the first look at a candidate, a query is the same for all of them.
        alone = first.attention.read_self((states, own), visible, first=not rest)
        zero, one = (x.repeat(candidates, 1, 1) for x in alone)
        zero, one = first.look((zero, one), tokens)
        visible = visible.repeat(candidates, 1, 1, 1)
        for layer in rest:
            zero, one = layer((zero, one), tokens, visible, first=layer is rest[-1])
        return torch.cat([zero[:, 0], one[:, 0]], dim=-1).view(candidates, count, -1)

    def _layers(self) -> list[DualLayer]:
        """The layers; of the last one only the first tokens are read."""
        return [cast(DualLayer, layer) for layer in self.text_encoder.encoder.layer]

    def pairs(self, states: Tensor, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """Scores (B,) of each query with the one candidate of its own row of `tokens` (B, P, width)."""
        zero, one = states, self.text_encoder.embeddings(ids)
        layers = self._layers()
        for layer in layers:
            zero, one = layer((zero, one), tokens, mask.bool()[:, None, None, :], first=layer is layers[-1])
        return cast(Tensor, self.cls_head(torch.cat([zero[:, 0], one[:, 0]], dim=-1))[:, 0])

    def forward(self, states: Tensor, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """Scores (B, C) of every query with every candidate; see `fuse`."""
        fused = self.fuse(states, ids, mask, tokens)
        return cast(Tensor, self.cls_head(fused)[..., 0].T)


def _initialise(spread: float, module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=spread)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()
