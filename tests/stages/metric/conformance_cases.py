"""`metric` under the conformance kit: learned from a hundred pairs, on embeddings."""

from __future__ import annotations

from functools import cache

import numpy as np

import rerankit
from rerankit import Bank, Problem, Relevance
from rerankit.testing import StageCase

WIDTH = 8


def vectors(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    shared, noise = random.normal(size=(count, WIDTH)), np.linspace(0.1, 1.5, WIDTH)
    return tuple(shared + noise * random.normal(size=(count, WIDTH)) for _ in range(2))  # type: ignore[return-value]


@cache
def fitted() -> rerankit.Stage:
    return rerankit.stage("metric").fit(
        Problem.from_embeddings(*vectors(100, 1)), Relevance.from_lists([[one] for one in range(100)], 100)
    )


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    one, other = vectors(max(queries, gallery), seed + 2)
    return Problem.from_embeddings(one[:queries], other[:gallery])


MATRICES = "it reads vectors of the width it has learned, and the check gives matrices or other vectors"

CASES = {
    "metric": StageCase(
        lambda: fitted().clone(), problem, dict.fromkeys(("check_ties", "check_forms", "check_inputs"), MATRICES)
    )
}


KNOWN = vectors(60, 1)


@cache
def fitted_on_matrices() -> rerankit.Stage:
    one, other = KNOWN
    known = Problem(one @ other.T, query_scores=one @ one.T, gallery_scores=other @ other.T)
    return rerankit.stage("metric").fit(known, Relevance.from_lists([[each] for each in range(60)], 60))


def matrices(queries: int, gallery: int, seed: int = 0) -> Problem:
    """A problem of matrices, with the pairs that were learned from as its banks."""
    (one, other), known = vectors(max(queries, gallery), seed + 2), KNOWN
    one, other = one[:queries], other[:gallery]
    banks = (Bank(to_gallery=each @ other.T, to_queries=each @ one.T, to_bank=each @ each.T) for each in known)
    return Problem(
        one @ other.T,
        query_scores=one @ one.T,
        gallery_scores=other @ other.T,
        query_bank=next(banks),
        gallery_bank=next(banks),
    )


BANKS = "it reads the pairs it has learned from as banks, which the check does not give"
PAIRS = "its banks must be the pairs it has learned from, all of them and on their scale, and it refuses others"
CASES["metric, from matrices"] = StageCase(
    lambda: fitted_on_matrices().clone(),
    matrices,
    dict.fromkeys(("check_ties", "check_forms", "check_inputs"), BANKS)
    | dict.fromkeys(("check_scale", "check_looks"), PAIRS),
)
