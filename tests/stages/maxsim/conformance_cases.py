"""`maxsim` under the conformance kit: tokens of uneven numbers on both sides."""

from __future__ import annotations

import numpy as np

from rerankit import Problem, Stage, stage
from rerankit.testing import StageCase


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """Random tokens, one to five for each item."""
    random = np.random.default_rng(seed)

    def tokens(count: int) -> list[np.ndarray]:
        return [random.normal(size=(random.integers(1, 6), 4)).astype(np.float32) for _ in range(count)]

    return Problem(
        random.normal(size=(queries, gallery)),
        query_features={"tokens": tokens(queries)},
        gallery_features={"tokens": tokens(gallery)},
    )


def made() -> Stage:
    """The stage as it is without parameters."""
    return stage("maxsim")


CASES = {"maxsim": StageCase(made, problem)}
