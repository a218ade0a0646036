"""Scores of candidates from a pillar space and a network, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

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
_FEW = 8  # queries that cost less one by one than as a whole group

Inputs = tuple[Tensor, Tensor, Tensor | None]
_tried: WeakKeyDictionary[Any, dict[tuple[Any, ...], bool]] = WeakKeyDictionary()


def batch_of(
    space: PillarSpace, queries: IntArray, candidates: IntArray, threshold: float, device: torch.device
) -> Inputs:
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
            with autocast(device, precision):
                nodes = _nodes(network, inputs)
            result[rows] = node_scores(nodes)[: len(rows), 1:].cpu().numpy()
    return result


def _nodes(network: Any, inputs: Inputs) -> Tensor:
    """Node vectors of the queries, and maybe more behind them: as a whole group or, of a few, one by one."""
    count = len(inputs[0])
    if count > _FEW or not _same_alone(network, inputs):
        return network(*_whole_groups(inputs))  # type: ignore[no-any-return]
    return torch.cat([network(*_one_of(inputs, place)) for place in range(count)])


def _one_of(inputs: Inputs, place: int) -> Inputs:
    x, graph, mask = inputs
    here = slice(place, place + 1)
    return x[here], graph[here], None if mask is None else mask[here]


def _same_alone(network: Any, inputs: Inputs) -> bool:
    """Whether a query gets the same bits alone as in a group. A library adds in an order that may go by the size of a
    product: on this machine and for this size it is tried once, on random numbers.
    """
    x, graph, mask = inputs
    if x.device.type != "cpu":
        return False
    size = (x.shape[1:], x.dtype, mask is None, torch.get_num_threads(), torch.is_autocast_enabled("cpu"))
    known = _tried.setdefault(network, {})
    if size not in known:
        random = torch.Generator().manual_seed(0)
        filled = [torch.randn((GROUP, *one.shape[1:]), generator=random) for one in (x, graph)]
        trial = filled[0], filled[1], None if mask is None else torch.ones((GROUP, *mask.shape[1:]), dtype=torch.bool)
        together, places = network(*trial), (0, GROUP // 2, GROUP - 1)
        known[size] = all(torch.equal(network(*_one_of(trial, at))[0], together[at]) for at in places)
    return known[size]


def _query_blocks(network: Any, space: PillarSpace, candidates: IntArray) -> Iterator[slice]:
    queries, nodes = candidates.shape[0], candidates.shape[1] + 1
    width = network.topk_proj.out_features
    # Inputs, then in one layer: the residual, its norm, queries, keys, values and their mix, or the MLP twice.
    row = nodes * 4 * (6 * space.pillars + 12 * width + 2 * nodes) * GROUP
    groups = list(blocks(-(-queries // GROUP), row))
    for group in track(groups, "pillar reasoning"):
        yield slice(group.start * GROUP, min(group.stop * GROUP, queries))


def _whole_groups(inputs: Inputs) -> Inputs:
    short = -len(inputs[0]) % GROUP
    if not short:
        return inputs
    x, graph, mask = inputs
    # A mask of False everywhere would make a softmax over nothing.
    longer = None if mask is None else F.pad(mask, (0, 0, 0, short), value=True)
    return F.pad(x, (0, 0, 0, 0, 0, short)), F.pad(graph, (0, 0, 0, 0, 0, short)), longer
