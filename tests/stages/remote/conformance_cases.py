"""`remote` under the conformance kit: a service in a thread of this process."""

from __future__ import annotations

import threading
from functools import lru_cache

import numpy as np

from fake_service import Service
from rerankit import Problem, Stage
from rerankit.testing import StageCase


@lru_cache(maxsize=1)
def listening() -> Service:
    """One service for all checks, which ends with the process."""
    made = Service()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made


def remote() -> Stage:
    """The stage, asking that service."""
    from rerankit.stages.remote.stage import Remote

    return Remote(listening().url, batch_size=5)


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """Random words."""
    random = np.random.default_rng(seed)

    def words(count: int) -> list[str]:
        return ["".join(random.choice([*"abcdefgh"], size=random.integers(1, 9))) for _ in range(count)]

    features = {"query_features": {"text": words(queries)}, "gallery_features": {"text": words(gallery)}}
    return Problem(random.normal(size=(queries, gallery)), **features)


CASES = {"remote": StageCase(remote, problem, skip={"check_save": "a saved stage that names a service needs trust"})}
