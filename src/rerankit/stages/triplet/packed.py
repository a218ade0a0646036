"""Candidate-major scoring: the dual encoder over packs of pairs without a padded token in any product.

The keys and values of a candidate depend on the candidate alone, and make up most of the arithmetic of one
pair. A pack holds a few candidates, each with all of its queries laid end to end, so keys and values are
computed once per candidate, and every product runs on the tokens that exist. Scores are those of
`rerankit.stages.triplet.network.DualEncoder`, whatever the packs.

Three more savings that leave the scores as they are: the two cross-attention outputs and their merge are one
product; the three projections of a self-attention are one; and the last layer computes first tokens only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rerankit.stages.triplet.linear import Linear, make_linear
from rerankit.stages.triplet.network import DualAttention, DualEncoder, DualLayer, split_heads

Keys = tuple[Tensor, Tensor, Tensor, Tensor]
"""Keys and values of the two streams for some candidates, each (C, heads, P, width of a head)."""


class TokenPlaces(NamedTuple):
    """Where the items of ragged groups lie when every group is padded to the longest."""

    padded: Tensor
    """(groups, longest) position in the flat list, zero where padded."""
    visible: Tensor | None
    """(groups, 1, 1, longest) true on items that exist; None when no group is padded."""
    flat: Tensor
    """(items,) position of each item in the flattened padded form."""


def token_places(lengths: Tensor) -> TokenPlaces:
    """The places of groups of these lengths.

    >>> import torch
    >>> token_places(torch.tensor([2, 1])).padded
    tensor([[0, 1],
            [2, 0]])
    """
    longest = int(lengths.max())
    steps = torch.arange(longest, device=lengths.device)
    exists = steps < lengths[:, None]
    starts = lengths.cumsum(0) - lengths
    padded = torch.where(exists, starts[:, None] + steps, 0)
    visible = None if bool(exists.all()) else exists[:, None, None, :]
    return TokenPlaces(padded, visible, exists.flatten().nonzero()[:, 0])


@dataclass
class Pack:
    """Pairs laid end to end, ordered by candidate.

    `lengths` (pairs,) tokens of each pair, `counts` (candidates,) pairs of each candidate,
    `streams` (2, tokens, hidden).
    """

    streams: Tensor
    lengths: Tensor
    counts: Tensor

    def __post_init__(self) -> None:
        owner = torch.arange(len(self.counts), device=self.counts.device).repeat_interleave(self.counts)
        per_candidate = torch.zeros_like(self.counts).index_add_(0, owner, self.lengths)
        self.words = token_places(self.lengths)
        self.tokens = token_places(per_candidate)
        self.pairs = token_places(self.counts)
        self.first = self.lengths.cumsum(0) - self.lengths


class PackedLayer:
    """One layer of the dual encoder with its weights folded for scoring."""

    def __init__(self, layer: DualLayer, precision: str) -> None:
        own, cross = layer.attention, layer.crossattention
        self.heads = own.heads
        self.qkv = [_joined([w.query, w.key, w.value], precision) for w in (own.self0, own.self1)]
        self.dense = [_joined([w], precision) for w in (own.output.dense0, own.output.dense1)]
        self.own_norms = _norms(own)
        self.ask = [_joined([w.query], precision) for w in (cross.self0, cross.self1)]
        parts: list[nn.Linear] = [cross.self0.key, cross.self0.value, cross.self1.key, cross.self1.value]
        self.answer = _joined(parts, precision)
        self.merged = _folded(cross, precision)
        self.cross_norms = _norms(cross)
        self.up = _joined([layer.intermediate.dense], precision)
        self.down = _joined([layer.output.dense], precision)
        self.norm = layer.output.LayerNorm

    def keys(self, tokens: Tensor) -> Keys:
        """Keys and values of candidate `tokens` (C, P, width)."""
        parts = self.answer(tokens).chunk(4, dim=-1)
        return cast(Keys, tuple(split_heads(part, self.heads) for part in parts))

    def run(self, pack: Pack, x: Tensor, keys: Keys, *, last: bool = False) -> Tensor:
        """`x` (2, tokens, d) to the same shape, or to (2, pairs, d), first tokens only, where `last`."""
        x = self._read_self(pack, x, last)
        x = self._read_image(pack.pairs if last else pack.tokens, x, keys)
        return cast(Tensor, self.norm(x + self.down(F.gelu(self.up(x))).to(x.dtype)))

    def _read_self(self, pack: Pack, x: Tensor, last: bool) -> Tensor:
        words = pack.words
        out = []
        for stream, (qkv, dense, norm) in enumerate(zip(self.qkv, self.dense, self.own_norms, strict=True)):
            mixed = qkv(x[stream])[words.padded]
            query, key, value = (split_heads(part, self.heads) for part in mixed.chunk(3, dim=-1))
            if last:
                query = query[:, :, :1]
            context = F.scaled_dot_product_attention(query, key, value, attn_mask=words.visible)
            flat = context.transpose(1, 2).flatten(2).flatten(0, 1)
            flat, residual = (flat, x[stream][pack.first]) if last else (flat[words.flat], x[stream])
            out.append(norm(residual + dense(flat).to(x.dtype)))
        return torch.stack(out)

    def _read_image(self, where: TokenPlaces, x: Tensor, keys: Keys) -> Tensor:
        contexts = []
        for stream, ask in enumerate(self.ask):
            # Padded places of a candidate ask too, and their answers are dropped.
            query = split_heads(ask(x[stream])[where.padded], self.heads)
            key, value = keys[2 * stream], keys[2 * stream + 1]
            context = F.scaled_dot_product_attention(query, key, value)
            contexts.append(context.transpose(1, 2).flatten(2).flatten(0, 1)[where.flat])
        merged = self.merged(torch.cat(contexts, dim=-1)).to(x.dtype)
        return torch.stack([norm(x[stream] + merged) for stream, norm in enumerate(self.cross_norms)])


class PackedScorer:
    """The dual encoder prepared for scoring packs; `precision` is float32, bf16, fp16 or int8.

    The residual stream, norms and the head stay in float32 in every precision.
    """

    def __init__(self, network: DualEncoder, precision: str = "float32") -> None:
        self.config = network.config
        self.precision = precision
        self.device: torch.device = next(network.parameters()).device
        self.embeddings = network.text_encoder.embeddings
        with torch.no_grad():
            self.layers = [
                PackedLayer(cast(DualLayer, layer), precision) for layer in network.text_encoder.encoder.layer
            ]
        self.head = network.cls_head

    @torch.inference_mode()
    def keys(self, tokens: Tensor) -> list[Keys]:
        """Keys and values of every layer for candidate `tokens` (C, P, width)."""
        tokens = tokens.to(self.device).float()
        return [layer.keys(tokens) for layer in self.layers]

    @torch.inference_mode()
    def score(self, pack: Pack, tokens: Tensor, keys: list[Keys] | None = None) -> Tensor:
        """Scores (pairs,) in the pack's order, for candidate `tokens` (C, P, width) or their `keys`."""
        tokens = tokens.to(self.device).float()
        x = pack.streams
        for index, layer in enumerate(self.layers):
            mine = layer.keys(tokens) if keys is None else keys[index]
            x = layer.run(pack, x, mine, last=index == len(self.layers) - 1)
        return cast(Tensor, self.head(torch.cat([x[0], x[1]], dim=-1))[:, 0])

    @torch.inference_mode()
    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """The second stream's start (tokens, hidden) of token `ids` at `positions`, both (tokens,)."""
        own = self.embeddings
        return cast(Tensor, own.LayerNorm(own.word_embeddings(ids) + own.position_embeddings(positions)))


def _joined(layers: list[nn.Linear], precision: str) -> Linear:
    weight = torch.cat([layer.weight for layer in layers]).detach()
    bias = torch.cat([layer.bias for layer in layers]).detach()
    return make_linear(weight, bias, precision)


def _folded(cross: DualAttention, precision: str) -> Linear:
    """Both dense layers and the merge as one layer on the two contexts side by side."""
    out = cross.output
    zero, one = out.dense0, out.dense1
    if out.merge_layer is None:
        weight = torch.cat([zero.weight, one.weight], dim=1) / 2
        bias = (zero.bias + one.bias) / 2
    else:
        # In float64, so that folding costs no accuracy.
        left, right = out.merge_layer.weight.double().chunk(2, dim=1)
        weight = torch.cat([left @ zero.weight.double(), right @ one.weight.double()], dim=1).float()
        bias = (left @ zero.bias.double() + right @ one.bias.double()).float() + out.merge_layer.bias
    return make_linear(weight.detach(), bias.detach(), precision)


def _norms(attention: DualAttention) -> tuple[nn.LayerNorm, nn.LayerNorm]:
    return attention.output.LayerNormA, attention.output.LayerNormB
