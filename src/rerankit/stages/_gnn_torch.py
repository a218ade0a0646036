"""The dense form of `gnn` in plain torch, for a GPU; imported only when a device is asked for."""

from __future__ import annotations

import torch

from rerankit.arrays import FloatArray, IntArray
from rerankit.training.devices import pick


def dense_scores(
    indices: IntArray, weights: FloatArray, k1: int, rounds: int, items: IntArray, device: str
) -> FloatArray:
    """Scores (queries, K) of candidates `items` from neighbour lists (items, k) and edge weights (items, k2)."""
    place = pick(device)
    near, edges, wanted = (torch.from_numpy(array.copy()).to(place) for array in (indices, weights, items))
    described = descriptions(near, edges, k1, rounds)
    products = described[: len(wanted)] @ described[len(wanted) :].T
    found: FloatArray = products.gather(1, wanted).cpu().numpy()
    return found


def descriptions(near: torch.Tensor, edges: torch.Tensor, k1: int, rounds: int) -> torch.Tensor:
    """Descriptions (items, items) of length 1: marks of the k1 nearest, symmetric, passed along the edges."""
    count = len(near)
    described = torch.zeros(count, count, device=near.device)
    first = near[:, :k1]
    described.scatter_add_(1, first.clamp(min=0), (first >= 0).float())
    for _ in range(rounds):
        described += described.T.clone()
        passed = torch.zeros_like(described)
        for place in range(edges.shape[1]):
            passed.addcmul_(edges[:, place, None], described[near[:, place].clamp(min=0)])
        described = passed / passed.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return described
