"""`pillar` under the conformance kit: small networks with random weights."""

from __future__ import annotations

from functools import cache

import torch

import rerankit
from rerankit.testing import StageCase

SIZES = {"pillars": 4, "neighbours": 3, "width": 8, "heads": 2, "candidates": (6, 4), "threshold": 0.05}


@cache
def _weights(name: str) -> dict:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = rerankit.stage(name, **SIZES).build()
        return {key: tensor.numpy().copy() for key, tensor in network.state_dict().items()}


def random_pillar(name: str = "pillar", **params) -> rerankit.Stage:
    stage = rerankit.stage(name, **{**SIZES, **params})
    stage.set_weights(_weights(name))
    return stage


_RAW = {"check_scale": "as published, it reads the scores as they are: its weights know the scale of their backbone"}

CASES = {
    "pillar": StageCase(random_pillar, skip=_RAW),
    "pillar: graph": StageCase(lambda: random_pillar(form="graph"), skip=_RAW),
    "pillar-small": StageCase(lambda: random_pillar("pillar-small", direction="t2i"), skip=_RAW),
}
