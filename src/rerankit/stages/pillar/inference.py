"""Scores of candidates from a pillar space and a network, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rerankit.arrays import BoolArray, FloatArray, IntArray
from rerankit.events import track
from rerankit.scores import blocks
from rerankit.stages.pillar.graph import neighbour_graph
from rerankit.stages.pillar.network import PillarNetwork, node_scores
from rerankit.stages.pillar.representation import PillarSpace
from rerankit.training.devices import autocast, in_lone_threads

# Products run over whole groups of queries: with at least 512 rows a row's result does not depend on how many
# there are or where it stands, so neither shards nor the memory budget change a score.
GROUP = 64
_FEW = 8  # queries that cost less one by one than as a whole group

Inputs = tuple[Tensor, Tensor, Tensor | None]
_tried: WeakKeyDictionary[Any, dict[tuple[Any, ...], bool]] = WeakKeyDictionary()


class Described(NamedTuple):
    """What is read of queries with their candidates."""

    x: FloatArray
    """Pillar similarities (queries, 1 + K, 2·pillars)."""
    lists: tuple[IntArray, IntArray]
    """Every node's nearest items of both sides (queries, 1 + K, neighbours)."""
    present: BoolArray | None
    """Which nodes there are (queries, 1 + K), where some are absent."""

    @classmethod
    def of(cls, space: PillarSpace, queries: IntArray, candidates: IntArray) -> Described:
        """Of queries (queries,) and candidates (queries, K)."""
        present = np.concatenate([np.ones((len(queries), 1), bool), candidates >= 0], axis=1)
        lists = space.lists(queries, candidates)
        return cls(space.describe(queries, candidates), lists, None if present.all() else present)

    def inputs(self, part: slice, threshold: float, device: torch.device) -> Inputs:
        """What a network takes for some of the queries: X, the graph and the mask."""
        one, other = (torch.from_numpy(lists[part]).to(device) for lists in self.lists)
        mask = None if self.present is None else torch.from_numpy(self.present[part]).to(device)
        return torch.from_numpy(self.x[part]).to(device), neighbour_graph((one, other), threshold), mask


def batch_of(
    space: PillarSpace, queries: IntArray, candidates: IntArray, threshold: float, device: torch.device
) -> Inputs:
    """What a network takes for queries (queries,) and candidates (queries, K): X, the graph and the mask."""
    return Described.of(space, queries, candidates).inputs(slice(None), threshold, device)


def score(
    network: Any, space: PillarSpace, candidates: IntArray, threshold: float, *, precision: str = "float32"
) -> FloatArray:
    """New scores (queries, K) of all queries' candidates; places of −1 get any finite number."""
    device = next(network.parameters()).device
    result = np.empty(candidates.shape, np.float32)
    for block in _query_blocks(network, space, candidates):
        described = Described.of(space, np.arange(block.start, block.stop), candidates[block])
        found = result[block]

        def one(part: slice, described: Described = described, found: FloatArray = found) -> None:
            with torch.inference_mode():
                inputs = described.inputs(part, threshold, device)
                with autocast(device, precision):
                    nodes = _nodes(network, inputs)
                found[part] = node_scores(nodes)[: len(inputs[0]), 1:].cpu().numpy()

        whole = not _in_lone_threads(network, device)
        if not whole and len(found) <= GROUP:
            with torch.inference_mode(), autocast(device, precision):
                whole = _same_whole(network, described.inputs(slice(0, len(found)), threshold, device))
        if whole:
            one(slice(0, len(found)))
        else:  # all of a group stays in a thread's cache
            in_lone_threads(one, [slice(at, at + GROUP) for at in range(0, len(found), GROUP)])
    return result


def _in_lone_threads(network: Any, device: torch.device) -> bool:
    """Whether a network's groups are made in one thread each: nothing then depends on how many torch uses."""
    return device.type == "cpu" and isinstance(network, PillarNetwork) and network.form == "dense"


def _same_whole(network: Any, inputs: Inputs) -> bool:
    """Whether all of torch's threads together give a few queries, or one group, the same bits: tried as below."""
    if len(inputs[0]) <= _FEW:
        return _same_alone(network, inputs)
    return _try(network, "whole", inputs, lambda trial, group: torch.equal(network(*trial), group))


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

    def same(trial: Inputs, group: Tensor) -> bool:
        places = 0, GROUP // 2, GROUP - 1
        return all(torch.equal(network(*_one_of(trial, at))[0], group[at]) for at in places)

    return inputs[0].device.type == "cpu" and _try(network, "alone", inputs, same)


def _try(network: Any, what: str, inputs: Inputs, same: Callable[[Inputs, Tensor], bool]) -> bool:
    """What `same` tells of a group of random queries, of the inputs' size, and its node vectors; asked once."""
    x, graph, mask = inputs
    size = (what, x.shape[1:], x.dtype, mask is None, torch.get_num_threads(), torch.is_autocast_enabled("cpu"))
    known = _tried.setdefault(network, {})
    if size not in known:
        random = torch.Generator().manual_seed(0)
        filled = [torch.randn((GROUP, *one.shape[1:]), generator=random) for one in (x, graph)]
        trial = filled[0], filled[1], None if mask is None else torch.ones((GROUP, *mask.shape[1:]), dtype=torch.bool)
        lone = _in_lone_threads(network, x.device)
        known[size] = same(trial, in_lone_threads(lambda each: network(*each), [trial])[0] if lone else network(*trial))
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
