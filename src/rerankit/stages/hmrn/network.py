"""The similarity network: pooling, reasoning and the three levels in differentiable form.

Shapes use n images, c searches, R regions, T rounds, D the joint width, s the reasoning width. The parameter
names are those of published checkpoints. `fast.py` computes the same numbers without gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from rerankit import settings
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.encoders import RegionEncoder, mask_of, text_encoder, unit

SLOPE = 0.1
"""Slope of the leaky ReLU over raw similarities."""


class LevelScores(NamedTuple):
    """The three levels of similarity; the local one has a table for every round, the others for the last."""

    local: Tensor  # (rounds, searches, images)
    overall: Tensor  # (searches, images)
    reasoning: Tensor  # (searches, images)


class SlotNorm(nn.BatchNorm1d):
    """Batch norm with one channel for each region slot, which also takes fewer regions and padded ones."""

    def forward(self, input: Tensor, counts: Tensor | None = None) -> Tensor:
        size = input.shape[1]
        if counts is None and size == self.num_features:
            return super().forward(input)
        keep = torch.ones(input.shape[:2], device=input.device, dtype=torch.bool)
        keep = keep if counts is None else mask_of(counts, size)
        mean, var = self._statistics(input, keep) if self.training else (self.running_mean, self.running_var)
        assert mean is not None
        assert var is not None
        shape = (1, size, 1)
        spread = (var[:size] + self.eps).rsqrt() * self.weight[:size]
        return (input - mean[:size].view(shape)) * spread.view(shape) + self.bias[:size].view(shape)

    def _statistics(self, values: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of each slot over the images that have it; the running ones move towards them."""
        weight = keep[..., None].to(values.dtype)
        seen = (weight.sum(dim=(0, 2)) * values.shape[2]).clamp_min(1.0)
        mean = (values * weight).sum(dim=(0, 2)) / seen
        var = ((values - mean[:, None]).square() * weight).sum(dim=(0, 2)) / seen
        with torch.no_grad():
            used = keep.any(dim=0)
            for running, now in ((self.running_mean, mean), (self.running_var, var)):
                assert running is not None
                part = running[: len(now)]
                part[used] += (self.momentum or 0.1) * (now.detach() - part)[used]
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return mean, var


class AttentionPool(nn.Module):
    """Pools vectors by attention: tanh(linear(local)) times tanh(linear(mean)), to one weight for each vector.

    With `slots`, batch norm follows both linears: over that many slots for the vectors, over D for the mean.
    """

    def __init__(self, dim: int, dropout: float, slots: int | None = None) -> None:
        super().__init__()
        local: list[nn.Module] = [nn.Linear(dim, dim)]
        overall: list[nn.Module] = [nn.Linear(dim, dim)]
        if slots is not None:
            local.append(SlotNorm(slots))
            overall.append(nn.BatchNorm1d(dim))
        self.embedding_local = nn.Sequential(*local, nn.Tanh(), nn.Dropout(dropout))
        self.embedding_global = nn.Sequential(*overall, nn.Tanh(), nn.Dropout(dropout))
        self.embedding_common = nn.Sequential(nn.Linear(dim, 1))
        _xavier(self)

    def forward(self, vectors: Tensor, counts: Tensor | None = None) -> Tensor:
        """(n, R, D) -> (n, D) of length 1, over the first `counts` vectors of each row."""
        size = vectors.shape[1]
        total = vectors.sum(dim=1)
        mean = total / size if counts is None else total / counts[:, None]
        keys = vectors
        for module in self.embedding_local:
            keys = module(keys, counts) if isinstance(module, SlotNorm) else module(keys)
        logits = self.embedding_common(keys * self.embedding_global(mean)[:, None]).squeeze(2)
        if counts is not None:
            logits = logits.masked_fill(~mask_of(counts, size), -torch.inf)
        return unit(torch.einsum("nr,nrd->nd", logits.softmax(dim=1), vectors))

    def rounds(self, vectors: Tensor) -> Tensor:
        """Pooled over the first t vectors, for every t: (c, T, D) -> (c, T, D)."""
        size = vectors.shape[1]
        steps = torch.arange(1, size + 1, device=vectors.device, dtype=vectors.dtype)
        means = vectors.cumsum(dim=1) / steps[:, None]
        line = self.embedding_common[0]
        assert isinstance(line, nn.Linear)
        keys = self.embedding_local(vectors) * line.weight[0]
        logits = self.embedding_global(means) @ keys.transpose(1, 2) + line.bias  # (c, round, item)
        later = torch.ones(size, size, dtype=torch.bool, device=vectors.device).triu(1)
        return unit(logits.masked_fill(later, -torch.inf).softmax(dim=2) @ vectors)


class ReasoningStep(nn.Module):
    """One step of reasoning over the graph of nodes: (p, N, s) -> (p, N, s)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.graph_query_w = nn.Linear(dim, dim)
        self.graph_key_w = nn.Linear(dim, dim)
        self.sim_graph_w = nn.Linear(dim, dim)
        _xavier(self)
        # It adds the same to every edge of a node, which softmax takes out again: kept for the file format.
        self.graph_key_w.bias.requires_grad_(False)

    def folded(self) -> tuple[Tensor, Tensor]:
        """A (s, s) and a (s,) with which ``softmax((x A + a) xᵀ)`` are the edges.

        What the two projections and their biases add to a whole row of edge logits is dropped, since softmax
        over that row does not see it.
        """
        query, key = self.graph_query_w, self.graph_key_w
        return query.weight.T @ key.weight, query.bias @ key.weight

    def forward(self, nodes: Tensor, keep: Tensor | None = None, first_only: bool = False) -> Tensor:
        product, shift = self.folded()
        asking = nodes[:, :1] if first_only else nodes
        # Keys by asking nodes: softmax down the columns is several times faster than along such short rows.
        logits = nodes @ (asking @ product + shift).transpose(1, 2)
        if keep is not None:
            logits = logits.masked_fill(~keep[:, :, None], -torch.inf)
        moved: Tensor = self.sim_graph_w(logits.softmax(dim=1).transpose(1, 2) @ nodes)
        return moved.relu()


class SimilarityEncoder(nn.Module):
    """Encoded regions and descriptions to the three levels; the differentiable form, used in training."""

    def __init__(self, config: HmrnConfig) -> None:
        super().__init__()
        self.config = config
        self.v_global_w = AttentionPool(config.dim, config.dropout, slots=config.region_slots)
        self.t_global_w = AttentionPool(config.dim, config.dropout)
        self.sim_tranloc_w = nn.Linear(config.dim, config.reasoning_dim)
        self.sim_tranglo_w = nn.Linear(config.dim, config.reasoning_dim)
        self.sim_w = nn.Linear(config.reasoning_dim, 1)
        self.ICR_module = nn.ModuleList([ReasoningStep(config.reasoning_dim) for _ in range(config.steps)])
        for layer in (self.sim_tranloc_w, self.sim_tranglo_w, self.sim_w):
            _xavier_one(layer)

    def forward(
        self, regions: Tensor, queries: Tensor, region_counts: Tensor | None = None, query_counts: Tensor | None = None
    ) -> LevelScores:
        """Regions (n, R, D) against searches (c, T, D), zero where padded, at each search's last round."""
        similar = F.leaky_relu(torch.einsum("ctd,nrd->ctnr", queries, regions), SLOPE)
        local = self.local(similar, region_counts)
        images = self.v_global_w(regions, region_counts)
        searches = self.t_global_w.rounds(queries)
        if query_counts is not None:
            local = hold(local, query_counts)
            searches = searches[torch.arange(len(queries), device=queries.device), query_counts - 1]
        else:
            searches = searches[:, -1]
        keep = None if query_counts is None else mask_of(query_counts, queries.shape[1])
        real = None if region_counts is None else mask_of(region_counts, regions.shape[1])
        reasoning = self._reasoning_in_blocks(similar, regions, images, queries, searches, keep, real)
        return LevelScores(local.transpose(0, 1), searches @ images.T, reasoning)

    def local(self, similar: Tensor, region_counts: Tensor | None = None) -> Tensor:
        """Local similarity after every round from the table of raw ones: (c, T, n, R) -> (c, T, n)."""
        size = similar.shape[3]
        counts = torch.full(similar.shape[2:3], size, device=similar.device) if region_counts is None else region_counts
        if self.config.variant == "I-T":
            weight = (self.config.region_temperature * similar).exp()
            attended = (weight * similar).cumsum(dim=1) / weight.cumsum(dim=1)
            return attended.sum(dim=3) / counts
        weight = (self.config.query_temperature * similar).exp()
        if region_counts is not None:  # a padded region has similarity 0, and would weigh 1
            weight = weight * mask_of(region_counts, size)
        attended = (weight * similar).sum(dim=3) / weight.sum(dim=3)
        rounds = torch.arange(1, similar.shape[1] + 1, device=similar.device)
        return attended.cumsum(dim=1) / rounds[:, None]

    def _reasoning_in_blocks(
        self,
        similar: Tensor,
        regions: Tensor,
        images: Tensor,
        queries: Tensor,
        searches: Tensor,
        keep: Tensor | None,
        real: Tensor | None,
    ) -> Tensor:
        """The reasoning level (c, n); blocks beyond the memory budget are recomputed in the backward pass."""
        nodes = queries.shape[1] + 1
        live = 6 + 4 * self.config.steps  # activations a node keeps for the backward pass, in widths
        row = 4 * len(regions) * nodes * max(self.config.dim, self.config.reasoning_dim) * live
        size = max(1, 4 * settings.memory_budget() // row)
        parts = []
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            inputs = (
                similar[part],
                regions,
                images,
                queries[part],
                searches[part],
                None if keep is None else keep[part],
                real,
            )
            again = torch.is_grad_enabled() and size < len(queries)
            parts.append(checkpoint(self.reason, *inputs, use_reentrant=False) if again else self.reason(*inputs))
        return torch.cat(parts)

    def reason(
        self,
        similar: Tensor,
        regions: Tensor,
        images: Tensor,
        queries: Tensor,
        searches: Tensor,
        keep: Tensor | None,
        real: Tensor | None = None,
    ) -> Tensor:
        """The reasoning level (c, n) from tables (c, T, n, R), vectors and pooled vectors of both sides.

        `keep` (c, T) and `real` (n, R) say which descriptions and regions there are; None: all.
        """
        logits = self.config.query_temperature * unit(similar, dim=1)
        # Softmax, since exp(temperature) squared is beyond float32 from 44 on.
        weight = (logits if real is None else logits.masked_fill(~real, -torch.inf)).softmax(dim=3)
        context = unit(torch.einsum("ctnr,nrd->cntd", weight, regions))
        nodes = unit(self.sim_tranloc_w((context - queries[:, None]).square()))
        first = unit(self.sim_tranglo_w((images - searches[:, None]).square()))
        graph = torch.cat([first[:, :, None], nodes], dim=2).flatten(0, 1)  # (c·n, 1+T, s)
        if keep is not None:
            keep = F.pad(keep, (1, 0), value=True).repeat_interleave(len(regions), dim=0)
        last = len(self.ICR_module) - 1
        for number, step in enumerate(self.ICR_module):
            graph = step(graph, keep, first_only=number == last)
        score: Tensor = self.sim_w(graph[:, 0]).sigmoid()
        return score.view(len(queries), len(regions))


class Hmrn(nn.Module):
    """One whole network of a variant: `image`, `text` and `similarity`."""

    def __init__(self, config: HmrnConfig) -> None:
        super().__init__()
        self.config = config
        self.image = RegionEncoder(config)
        self.text = text_encoder(config)
        self.similarity = SimilarityEncoder(config)


def hold(rounds: Tensor, counts: Tensor) -> Tensor:
    """Values (c, T, …) with every round after a search's last one equal to its last one."""
    steps = torch.arange(rounds.shape[1], device=rounds.device)
    chosen = torch.minimum(steps[None], counts[:, None] - 1)
    return rounds[torch.arange(len(rounds), device=rounds.device)[:, None], chosen]


def _xavier(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            _xavier_one(layer)


def _xavier_one(layer: nn.Linear) -> None:
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
