"""Problems from approximate search, with the share of what it misses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit import Problem, Ranking, checks
from rerankit.adapters.faiss import neighbours_of, problem_of
from rerankit.errors import rule
from rerankit_faiss.indexes import built, check_metric, set_up, size_of, vectors_of


@dataclass(frozen=True, eq=False)
class Approximate:
    """What a search has found, and what it cost."""

    problem: Problem
    """Lists of candidates, with the vectors as features and, if asked for, a graph of neighbours."""
    index: Any
    missed: float
    """The share of the true first k that its lists lack, by the queries that were looked up exactly."""
    looked_up: int
    """How many queries that were."""
    bytes_per_item: float
    """What the index takes, its graph and tables included, divided among the items."""

    def __str__(self) -> str:
        whole = 4 * self.index.d
        return (
            f"{self.problem}: {100 * self.missed:.2g} % of the first candidates are missed ({self.looked_up} queries "
            f"looked up exactly); the index takes {self.bytes_per_item:.0f} bytes for each item, a vector {whole}"
        )


def approximate(
    queries: Any,
    gallery: Any,
    k: int = 100,
    *,
    metric: str = "cosine",
    index: str | None = None,
    settings: str = "",
    neighbours: int = 0,
    sample: int = 200,
    **rest: Any,
) -> Approximate:
    """The first k items (gallery, d) for every query (queries, d), found by an index of FAISS, as a problem of lists.

    `metric`: cosine, dot or euclidean (scores are minus the squared distance). `index` is a text of FAISS's factory:
    ``"HNSW32"``, ``"IVF1024,Flat"``, or compressed, ``"IVF1024,PQ32"``; by itself all items are compared up to 50,000,
    and HNSW32 is used beyond. `settings` says how thoroughly it searches: ``"nprobe=16"``, ``"efSearch=128"``.
    `neighbours` of each item become the problem's `gallery_scores`. `sample` queries, evenly spaced, are looked up
    exactly to say what is missed. `rest` goes to `Problem`: ids, further features.

    >>> import numpy as np
    >>> vectors = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
    >>> found = approximate(vectors[:20], vectors, k=10, index="IVF10,Flat", settings="nprobe=10")
    >>> found.problem, found.missed
    (Problem(20 queries × 300 items, ListScores, with query_features, gallery_features), 0.0)
    """
    check_metric(metric)
    vectors, items = vectors_of(queries, "queries", metric), vectors_of(gallery, "gallery", metric)
    if vectors.shape[1] != items.shape[1]:
        raise rule("queries", f"must have the gallery's width, {items.shape[1]}", f"shape {vectors.shape}")
    made = built(items, metric, index)
    set_up(made, settings)
    features = {side: {"vectors": given, **rest.pop(side, {})} for side, given in
                (("query_features", queries), ("gallery_features", gallery))}  # fmt: skip
    if checks.integer("neighbours", neighbours, least=0):
        rest["gallery_scores"] = neighbours_of(made, neighbours)
    problem = problem_of(made, vectors, k, **features, **rest)
    rows = np.unique(np.linspace(0, len(vectors) - 1, checks.integer("sample", sample, least=1)).astype(np.int64))
    share = missed(problem.ranking(k).take(rows), np.asarray(queries)[rows], gallery, metric=metric)
    return Approximate(problem, made, share, len(rows), size_of(made) / made.ntotal)


def missed(ranking: Ranking, queries: Any, gallery: Any, *, metric: str = "cosine") -> float:
    """The share of the true first candidates of queries (queries, d) that lists lack; they are as long as the lists.

    >>> import numpy as np
    >>> found = Ranking([[0, 2]], [[2.0, 1.0]], gallery_size=3)
    >>> missed(found, np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    0.5
    """
    exact = Problem.from_embeddings(np.asarray(queries), np.asarray(gallery), metric=check_metric(metric))
    true = exact.ranking(ranking.shape[1])
    both = zip(true.indices, ranking.indices, strict=True)
    there = sum(len(np.intersect1d(right[right >= 0], listed[listed >= 0])) for right, listed in both)
    return 1 - there / max(1, int(true.mask.sum()))
