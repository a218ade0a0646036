"""The hierarchical scorer as its definition reads: round after round, search after search.

Nothing is shared between rounds, the two edge projections stay apart and every node goes through every
step. It is the contender of `hmrn.py` and the oracle of the tests of the fast form.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rerankit.stages.hmrn.network import SimilarityEncoder


def unit(vectors: Tensor, dim: int = -1) -> Tensor:
    """Divided by the length plus 1e-8."""
    return vectors / (vectors.pow(2).sum(dim=dim, keepdim=True).sqrt() + 1e-8)


def local_round(encoder: SimilarityEncoder, regions: Tensor, queries: Tensor) -> Tensor:
    """Local level of one search (t, D) against images (n, R, D) after its t rounds: (n,)."""
    expanded = queries.expand(len(regions), -1, -1)
    similar = F.leaky_relu(torch.bmm(regions, expanded.transpose(1, 2)), 0.1)  # (n, R, t)
    if encoder.config.variant == "I-T":
        weight = F.softmax(encoder.config.region_temperature * similar, dim=2)
        return (weight * similar).sum(dim=2).mean(dim=1)
    weight = F.softmax(encoder.config.query_temperature * similar, dim=1)
    return (weight * similar).sum(dim=1).mean(dim=1)


def reasoning_round(
    encoder: SimilarityEncoder, regions: Tensor, images: Tensor, queries: Tensor, search: Tensor
) -> Tensor:
    """Reasoning level of one search (t, D), pooled (D,), against images (n, R, D), pooled (n, D): (n,)."""
    expanded = queries.expand(len(regions), -1, -1)
    similar = unit(F.leaky_relu(torch.bmm(regions, expanded.transpose(1, 2)), 0.1), dim=2)
    weight = F.softmax(encoder.config.query_temperature * similar, dim=1)
    context = unit(torch.bmm(weight.transpose(1, 2), regions))
    local = unit(encoder.sim_tranloc_w((context - expanded).pow(2)))
    first = unit(encoder.sim_tranglo_w((images - search).pow(2)))
    nodes = torch.cat([first[:, None], local], dim=1)
    for step in encoder.ICR_module:
        asking, answering = step.graph_query_w(nodes), step.graph_key_w(nodes)
        edges = F.softmax(torch.bmm(asking, answering.transpose(1, 2)), dim=2)
        nodes = F.relu(step.sim_graph_w(torch.bmm(edges, nodes)))
    return torch.sigmoid(encoder.sim_w(nodes[:, 0])).squeeze(1)


def local_all_rounds(encoder: SimilarityEncoder, regions: Tensor, queries: Tensor) -> Tensor:
    """(rounds, searches, images), each cell from scratch."""
    rounds = range(1, queries.shape[1] + 1)
    return torch.stack([torch.stack([local_round(encoder, regions, q[:t]) for q in queries]) for t in rounds])


def local_expanded(encoder: SimilarityEncoder, regions: Tensor, queries: Tensor) -> Tensor:
    """The I-T table (rounds, searches, images) as the published code lays it out.

    All regions are copied once for every search, and a round is one batched product over the copies.
    """
    images, size, dim = regions.shape
    copies = regions.expand(len(queries), images, size, dim).reshape(len(queries), images * size, dim)
    tables = []
    for t in range(1, queries.shape[1] + 1):
        similar = F.leaky_relu(torch.bmm(copies, queries[:, :t].transpose(1, 2)), 0.1)
        weight = F.softmax(encoder.config.region_temperature * similar, dim=2)
        tables.append((weight * similar).sum(dim=2).view(len(queries), images, size).mean(dim=2))
    return torch.stack(tables)


def joint_all_rounds(encoder: SimilarityEncoder, regions: Tensor, queries: Tensor) -> Tensor:
    """The joint score after every round, (rounds, searches, images), evaluated round by round."""
    config, tables = encoder.config, []
    for t in range(1, queries.shape[1] + 1):
        images = encoder.v_global_w(regions)
        searches = encoder.t_global_w(queries[:, :t])
        overall = searches @ images.T
        local = torch.stack([local_round(encoder, regions, q[:t]) for q in queries])
        reasoning = torch.stack(
            [reasoning_round(encoder, regions, images, q[:t], s) for q, s in zip(queries, searches, strict=True)]
        )
        tables.append(
            config.local_weight * local
            + config.global_weight * overall
            + config.reasoning_weight * config.round_weight(t) * reasoning
        )
    return torch.stack(tables)
