"""`metric` under the conformance kit: learned from a hundred pairs, on embeddings."""

from __future__ import annotations

from functools import cache

import numpy as np

import rerankit
from rerankit import Problem, Relevance
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
