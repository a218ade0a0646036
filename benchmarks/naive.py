"""The published methods the plain way, with dense matrices and Python loops: contenders and oracles.

They are written from the papers' algorithms, and follow them step for step rather than fast.
"""

from __future__ import annotations

import numpy as np


def level(scores: np.ndarray, beta: float, axis: int) -> np.ndarray:
    """(1/β) log mean exp(β s) along an axis."""
    return np.log(np.exp(beta * scores).mean(axis=axis)) / beta


def nearest(scores: np.ndarray, k: int, axis: int) -> np.ndarray:
    """Mean of the k highest scores along an axis."""
    return -np.partition(-scores, k - 1, axis=axis).take(range(k), axis=axis).mean(axis=axis)


def inverted_softmax(scores: np.ndarray, beta: float = 20.0) -> np.ndarray:
    """Scores (queries, gallery) less their column's level (Smith et al. 2017)."""
    return scores - level(scores, beta, 0)


def qb_norm(scores: np.ndarray, beta: float = 20.0) -> np.ndarray:
    """The same for queries whose best item is some query's best (Bogolin et al. 2022): here for all."""
    best = scores.argmax(axis=1)
    return np.where(np.isin(best, best)[:, None], inverted_softmax(scores, beta), scores)


def dual_softmax(scores: np.ndarray, beta: float = 20.0) -> np.ndarray:
    """Scores less half the level of their column and of their row (Cheng et al. 2021)."""
    return scores - level(scores, beta, 0) / 2 - level(scores, beta, 1)[:, None] / 2


def csls(scores: np.ndarray, k: int = 10) -> np.ndarray:
    """Twice the score less the mean of the column's and of the row's nearest (Conneau et al. 2018)."""
    return 2 * scores - nearest(scores, k, 0) - nearest(scores, k, 1)[:, None]


def nnn(scores: np.ndarray, k: int = 16, alpha: float = 0.75) -> np.ndarray:
    """Scores less α times the mean of the column's nearest (Chowdhury et al. 2024)."""
    return scores - alpha * nearest(scores, k, 0)


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


def gnn(scores: np.ndarray, queries: int, k1: int = 26, k2: int = 7, alpha: float = 2.0, rounds: int = 2) -> np.ndarray:
    """Scores (queries, gallery) after propagation over joint similarities (items, items) (Zhang et al. 2020)."""
    ranks = np.argsort(-scores, axis=1, kind="stable")
    level = np.sort(scores, axis=1)[:, (len(scores) - 1) // 2][:, None]
    shares = np.clip((scores - level) / (scores.max() - level), 0, 1)
    described = np.zeros(scores.shape, np.float32)
    for item, near in enumerate(ranks):
        described[item, near[:k1]] = 1
    for _ in range(rounds if k2 > 1 else 0):
        described = described + described.T
        passed = np.zeros_like(described)
        for item, near in enumerate(ranks):
            for other in near[:k2]:
                passed[item] += shares[item, other] ** alpha * described[other]
        described = passed / np.linalg.norm(passed, axis=1, keepdims=True)
    described = described / np.linalg.norm(described, axis=1, keepdims=True)
    return described[:queries] @ described[queries:].T


def diffusion(
    scores: np.ndarray,
    gallery: np.ndarray,
    neighbours: int = 50,
    query_neighbours: int = 10,
    gamma: float = 3.0,
    alpha: float = 0.99,
) -> np.ndarray:
    """What reaches each item (queries, gallery), by solving the whole system (Iscen et al. 2017)."""
    graph = mutual_graph(gallery, neighbours, gamma)
    degree = graph.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    inverse = np.linalg.inv(np.eye(len(graph)) - alpha * scale[:, None] * graph * scale)
    sources = np.zeros(scores.shape)
    for query, row in enumerate(scores):
        near = np.argsort(-row, kind="stable")[:query_neighbours]
        level = np.sort(row)[(len(row) - 1) // 2]
        sources[query, near] = np.clip((row[near] - level) / (row.max() - level), 0, 1) ** gamma
    return sources @ inverse.T


def mutual_graph(gallery: np.ndarray, neighbours: int, gamma: float) -> np.ndarray:
    """Shares (power gamma) between items that are among each other's nearest, 0 elsewhere: a similarity counts from the
    item's median, 0, to its similarity to itself, 1, and the lower of both items' shares is taken.
    """
    others = np.where(np.eye(len(gallery), dtype=bool), -np.inf, gallery)
    listed = np.zeros(gallery.shape, bool)
    for item, row in enumerate(others):
        listed[item, np.argsort(-row, kind="stable")[: min(neighbours, len(row) - 1)]] = True
    level = np.sort(gallery, axis=1)[:, (len(gallery) - 1) // 2][:, None]
    shares = np.clip((gallery - level) / (gallery.diagonal()[:, None] - level), 0, 1) ** gamma
    return np.where(listed & listed.T, np.minimum(shares, shares.T), 0)
