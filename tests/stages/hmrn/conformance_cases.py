"""The hierarchical scorer under the conformance kit: a small random network of each kind, and what it reads."""

from __future__ import annotations

import copy
from functools import cache, partial

import numpy as np

from rerankit import Problem
from rerankit.testing import StageCase

SIZES = {"dim": 8, "reasoning_dim": 6, "region_slots": 5, "steps": 2, "word_dim": 4, "full_rounds": 4, "device": "cpu"}


def small(variant: str = "I-T", **params: object) -> object:
    """A stage with random weights."""
    from rerankit.stages.hmrn.stage import HmrnStage

    stage = HmrnStage(variant, **{**SIZES, **params})
    return stage.with_networks([copy.deepcopy(network) for network in _networks(variant)])


@cache
def _networks(variant: str) -> list[object]:
    import torch

    from rerankit.stages.hmrn.network import Hmrn
    from rerankit.stages.hmrn.stage import HmrnStage

    stage = HmrnStage(variant, **SIZES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return [Hmrn(stage.config_for(one, region_dim=7, vocabulary_size=30)).eval() for one in stage.variants]


def problem(queries: int, gallery: int, seed: int = 0) -> Problem:
    """Random regions, of different number, and token ids of different length."""
    from rerankit.features import Regions
    from rerankit.stages.hmrn.representation import Descriptions

    random = np.random.default_rng(seed)
    counts = random.integers(1, 6, size=gallery)
    regions = Regions(random.normal(size=(gallery, 5, 7)).astype(np.float32), counts=counts)
    lengths = random.integers(1, 5, size=(queries, 4))
    lengths[::2, 3:] = 0
    ids = random.integers(4, 30, size=(queries, 4, 4)) * (np.arange(4) < lengths[..., None])
    searches = Descriptions(ids, lengths=lengths)
    scores = random.normal(size=(queries, gallery))
    query_features = {"text": searches}
    gallery_features = {"regions": regions}
    return Problem(scores, query_features=query_features, gallery_features=gallery_features)


CASES = {
    "hmrn": StageCase(small, problem),
    "hmrn: ensemble, cascade of 2, round 2": StageCase(partial(small, "ensemble", cascade=2, rounds=2), problem),
}
