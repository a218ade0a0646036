"""The published methods the plain way, with dense matrices and Python loops: contenders and oracles.

They are written from the papers' algorithms, and follow them step for step rather than fast.
"""

from __future__ import annotations

import numpy as np


def k_reciprocal(
    query_gallery: np.ndarray,
    query_query: np.ndarray,
    gallery_gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> np.ndarray:
    """Distances (queries, gallery) after k-reciprocal re-ranking of distances (Zhong et al. 2017)."""
    queries = len(query_query)
    distances = np.block([[query_query, query_gallery], [query_gallery.T, gallery_gallery]]).astype(np.float32) ** 2
    distances /= distances.max(axis=1, keepdims=True)
    ranks = np.argsort(distances, axis=1, kind="stable")
    weights = np.zeros_like(distances)
    for item in range(len(distances)):
        members = _reciprocal(ranks, item, k1 + 1)
        expanded = members
        for member in members:
            near = _reciprocal(ranks, member, int(np.around(k1 / 2)) + 1)
            if len(np.intersect1d(near, members)) > 2 / 3 * len(near):
                expanded = np.append(expanded, near)
        expanded = np.unique(expanded)
        powers = np.exp(-distances[item, expanded])
        weights[item, expanded] = powers / powers.sum()
    if k2 > 1:
        weights = np.stack([weights[ranks[item, :k2]].mean(axis=0) for item in range(len(weights))])
    holders = [np.flatnonzero(weights[:, item]) for item in range(len(weights))]
    jaccard = np.zeros((queries, len(distances)), np.float32)
    for query in range(queries):
        shared = np.zeros(len(distances), np.float32)
        for item in np.flatnonzero(weights[query]):
            shared[holders[item]] += np.minimum(weights[query, item], weights[holders[item], item])
        jaccard[query] = 1 - shared / (2 - shared)
    return ((1 - weight) * jaccard + weight * distances[:queries])[:, queries:]


def _reciprocal(ranks: np.ndarray, item: int, count: int) -> np.ndarray:
    forward = ranks[item, :count]
    return forward[(ranks[forward, :count] == item).any(axis=1)]
