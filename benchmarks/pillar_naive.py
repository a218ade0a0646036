"""The pillar reasoner written plainly, query by query: the benchmark's other contender and the tests' oracle.

It reads dense matrices, sorts whole rows, builds every graph with Python sets, and attends head by head.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F


def sorted_items(row: np.ndarray) -> list[int]:
    """Items by score descending, then index ascending."""
    return np.lexsort((np.arange(len(row)), -row)).tolist()


def pillars_of(scores: np.ndarray, query_scores: np.ndarray, query: int, pillars: int) -> tuple[list[int], list[int]]:
    """The query's nearest items of the other side, and of its own without itself."""
    inter = sorted_items(scores[query])[: pillars - 1]
    intra = [item for item in sorted_items(query_scores[query]) if item != query][: pillars - 1]
    return inter, intra


def describe(
    scores: np.ndarray, query_scores: np.ndarray, gallery_scores: np.ndarray, query: int, candidates: int, pillars: int
) -> np.ndarray:
    """Pillar similarities (1 + candidates, 2·pillars) of one query."""
    inter, intra = pillars_of(scores, query_scores, query, pillars)
    rows = []
    for node in [None, *sorted_items(scores[query])[:candidates]]:
        if node is None:
            own = query_scores[query, query]
            rows.append([own, *(scores[query, b] for b in inter), own, *(query_scores[query, a] for a in intra)])
        else:
            own = scores[query, node]
            rows.append([own, *(gallery_scores[node, b] for b in inter), own, *(scores[a, node] for a in intra)])
    return np.array(rows, np.float32)


def graph(
    scores: np.ndarray,
    query_scores: np.ndarray,
    gallery_scores: np.ndarray,
    query: int,
    candidates: int,
    neighbours: int,
    threshold: float,
) -> np.ndarray:
    """The neighbour graph (1 + candidates, 1 + candidates) of one query."""
    a_lists = [set(sorted_items(query_scores[query])[:neighbours])]
    b_lists = [set(sorted_items(scores[query])[:neighbours])]
    for node in sorted_items(scores[query])[:candidates]:
        a_lists.append(set(sorted_items(scores[:, node])[:neighbours]))
        b_lists.append(set(sorted_items(gallery_scores[node])[:neighbours]))
    count = len(a_lists)
    weights = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            weights[i, j] = len(a_lists[i] & a_lists[j]) + len(b_lists[i] & b_lists[j])
    for i in range(count):
        weights[i] /= weights[i].sum()
        weights[i][weights[i] <= threshold] = 0
        weights[i] /= weights[i].sum()
    return weights.astype(np.float32)


def network_scores(
    state: dict[str, torch.Tensor], x: torch.Tensor, adjacency: torch.Tensor, heads: int
) -> torch.Tensor:
    """Cosines of the candidates' nodes with the query's node, for one query's x (nodes, columns)."""
    length = x.shape[1] // 2
    groups = [
        F.layer_norm(x[:, :length], (length,), state["ln.weight"], state["ln.bias"]),
        F.layer_norm(x[:, length:], (length,), state["ln1.weight"], state["ln1.bias"]),
    ]
    nodes = F.linear(torch.cat(groups, dim=1), state["topk_proj.weight"], state["topk_proj.bias"])
    depth = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    for number in range(depth):
        nodes = _block({k.partition(f"blocks.{number}.")[2]: v for k, v in state.items() if f"blocks.{number}." in k},
                       nodes, adjacency, heads)  # fmt: skip
    nodes = F.normalize(nodes, dim=1)
    return nodes[1:] @ nodes[0]


def _block(state: dict[str, torch.Tensor], nodes: torch.Tensor, adjacency: torch.Tensor, heads: int) -> torch.Tensor:
    width = nodes.shape[1]
    normed = F.layer_norm(nodes, (width,), state["norm1.weight"], state["norm1.bias"])
    query, key, value = F.linear(normed, state["attn.qkv.weight"], state.get("attn.qkv.bias")).split(width, dim=1)
    size = width // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        attention = torch.softmax(query[:, part] @ key[:, part].T / size**0.5, dim=1)
        mixed.append((attention + adjacency) / 2 @ value[:, part])
    nodes = nodes + F.linear(torch.cat(mixed, dim=1), state["attn.proj.weight"], state["attn.proj.bias"])
    normed = F.layer_norm(nodes, (width,), state["norm2.weight"], state["norm2.bias"])
    hidden = F.gelu(F.linear(normed, state["mlp.fc1.weight"], state["mlp.fc1.bias"]))
    return nodes + F.linear(hidden, state["mlp.fc2.weight"], state["mlp.fc2.bias"])
