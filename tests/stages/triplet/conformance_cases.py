"""`triplet` under the conformance kit: small networks with random weights over token features."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from rerankit import Problem, Stage
from rerankit.testing import StageCase


@cache
def _weights() -> dict:
    import torch

    from rerankit.stages.triplet.bundle import Bundle
    from rerankit.stages.triplet.config import TripletConfig
    from rerankit.stages.triplet.filter import Filter
    from rerankit.stages.triplet.network import DualEncoder

    sizes = TripletConfig(
        vocabulary=30,
        hidden=16,
        layers=3,
        heads=2,
        intermediate=16,
        positions=8,
        width=8,
        vision_heads=2,
        projection=4,
        merge_from=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        dual = DualEncoder(sizes)
        with torch.no_grad():
            for weight in dual.parameters():
                weight.mul_(0.7 if weight.ndim == 2 else 1.0)
        return Bundle(Filter(sizes, images=False), dual, None).to_arrays()


def small(**params: object) -> Stage:
    """A stage with random weights."""
    from rerankit.stages.triplet.stage import Triplet

    stage = Triplet(device="cpu", **params)
    stage.set_weights(_weights())
    return stage


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """Random tokens, and token ids of different length."""
    random = np.random.default_rng(seed)
    ids = random.integers(4, 30, size=(queries, 6))
    ids *= np.arange(6) < random.integers(2, 7, size=(queries, 1))
    query_features = {"text_ids": ids, "reference_tokens": random.normal(size=(queries, 5, 8)).astype(np.float32)}
    gallery_features = {"candidate_tokens": random.normal(size=(gallery, 5, 8)).astype(np.float32)}
    return Problem(
        random.normal(size=(queries, gallery)), query_features=query_features, gallery_features=gallery_features
    )


CASES = {
    "triplet": StageCase(small, problem),
    "triplet: budget": StageCase(
        partial(small, budget="20 pairs"),
        problem,
        skip=dict.fromkeys(
            ("check_permutations", "check_many_queries"), "what of a budget cannot be divided goes to the first queries"
        ),
    ),
}
