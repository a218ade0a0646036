"""The dense form of `gnn` in plain torch, for a GPU; imported only when a device is asked for."""

from __future__ import annotations

import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.stages.neighbours.gnn import Edges
from rerankit.training.devices import pick


def dense_scores(
    graph: Edges, outside: Edges | None, layers: int, border: int, items: IntArray, device: str
) -> FloatArray:
    """Scores (queries, K) of candidates `items`: the graph's items from `border` on are the gallery; the queries are
    those before it, or outside.
    """
    place = pick(device)
    edges, inward = _on(place, graph), None if outside is None else _on(place, outside)
    count = len(graph.marks)
    described = _marked(edges[0], count)
    queries = described if inward is None else _marked(inward[0], count)
    if not layers:
        described, queries = _unit(described), _unit(queries)
    for _ in range(layers):
        described += described.T.clone()
        if inward is not None and outside is not None:
            queries = _unit(_passed(*inward[1:], described) + 2 * queries)
        described = _unit(_passed(*edges[1:], described))
    products = (described[:border] if inward is None else queries) @ described[border:].T
    found: FloatArray = products.gather(1, torch.from_numpy(items.copy()).to(place)).cpu().numpy()
    return found


def _on(place: torch.device, edges: Edges) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    marks, near, weights = (torch.from_numpy(array.copy()).to(place) for array in edges[:3])
    return marks, near, weights


def _marked(marks: torch.Tensor, items: int) -> torch.Tensor:
    """1 at every marked item (rows, items)."""
    found = torch.zeros(len(marks), items, device=marks.device)
    return found.scatter_add_(1, marks.clamp(min=0), (marks >= 0).float())


def _passed(near: torch.Tensor, weights: torch.Tensor, described: torch.Tensor) -> torch.Tensor:
    """Σ weight · description over each row's edges, (rows, items)."""
    found = described.new_zeros(len(near), described.shape[1])
    for place in range(weights.shape[1]):
        found.addcmul_(weights[:, place, None], described[near[:, place].clamp(min=0)])
    return found


def _unit(described: torch.Tensor) -> torch.Tensor:
    """Rows at length 1; a row of zeros stays."""
    lengths = torch.linalg.vector_norm(described, dim=1, keepdim=True)
    found: torch.Tensor = described / lengths.clamp(min=1e-12)
    return found
