"""Scores of candidates from a pillar space and a network, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.scores import blocks
from rerankit.stages.pillar.graph import neighbour_graph
from rerankit.stages.pillar.network import node_scores
from rerankit.stages.pillar.representation import PillarSpace
from rerankit.training.devices import autocast

# Products run over whole groups of queries: with at least 512 rows a row's result does not depend on how many
# there are or where it stands, so neither shards nor the memory budget change a score.
GROUP = 64


def batch_of(
    space: PillarSpace, queries: IntArray, candidates: IntArray, threshold: float, device: torch.device
) -> tuple[Tensor, Tensor, Tensor | None]:
    """What a network takes for queries (queries,) and candidates (queries, K): X, the graph and the mask."""
    x = torch.from_numpy(space.describe(queries, candidates)).to(device)
    one, other = (torch.from_numpy(lists).to(device) for lists in space.lists(queries, candidates))
    present = np.concatenate([np.ones((len(queries), 1), bool), candidates >= 0], axis=1)
    mask = None if present.all() else torch.from_numpy(present).to(device)
    return x, neighbour_graph((one, other), threshold), mask


def score(
    network: Any, space: PillarSpace, candidates: IntArray, threshold: float, *, precision: str = "float32"
) -> FloatArray:
    """New scores (queries, K) of all queries' candidates; places of −1 get any finite number."""
    device = next(network.parameters()).device
    result = np.empty(candidates.shape, np.float32)
    with torch.inference_mode():
        for block in _query_blocks(network, space, candidates):
            rows = np.arange(block.start, block.stop)
            inputs = batch_of(space, rows, candidates[rows], threshold, device)
            scores = _scored(network, _whole_groups(inputs), autocast(device, precision))
            result[rows] = scores[: len(rows), 1:].cpu().numpy()
    return result


def _scored(
    network: Any, inputs: tuple[Tensor, Tensor, Tensor | None], context: AbstractContextManager[object]
) -> Tensor:
    with context:
        nodes = network(*inputs)
    return node_scores(nodes)


def _query_blocks(network: Any, space: PillarSpace, candidates: IntArray) -> Iterator[slice]:
    queries, nodes = candidates.shape[0], candidates.shape[1] + 1
    width = network.topk_proj.out_features
    # Inputs, then in one layer: the residual, its norm, queries, keys, values and their mix, or the MLP twice.
    row = nodes * 4 * (6 * space.pillars + 12 * width + 2 * nodes) * GROUP
    groups = list(blocks(-(-queries // GROUP), row))
    for group in track(groups, "pillar reasoning"):
        yield slice(group.start * GROUP, min(group.stop * GROUP, queries))


def _whole_groups(inputs: tuple[Tensor, Tensor, Tensor | None]) -> tuple[Tensor, Tensor, Tensor | None]:
    short = -len(inputs[0]) % GROUP
    if not short:
        return inputs
    x, graph, mask = inputs
    # A mask of False everywhere would make a softmax over nothing.
    longer = None if mask is None else F.pad(mask, (0, 0, 0, short), value=True)
    return F.pad(x, (0, 0, 0, 0, 0, short)), F.pad(graph, (0, 0, 0, 0, 0, short)), longer
