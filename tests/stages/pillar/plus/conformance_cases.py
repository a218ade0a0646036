"""`pillar-plus` under the conformance kit: untrained but for a random correction."""

from __future__ import annotations

import torch

import rerankit
from rerankit.testing import StageCase
from strategies import asked_again

SIZES = {"cells_seen": (8, 6), "cells_kept": (6, 4), "pillars": 3, "likely": (3, 2), "width": 4}


def random_plus(**params) -> rerankit.Stage:
    stage = rerankit.stage("pillar-plus", **{**SIZES, **params})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = stage.build().state_dict()
        weights = {k: (torch.randn(v.shape) * 0.1) for k, v in state.items() if v.is_floating_point()}
    weights |= {k: torch.ones_like(v) for k, v in state.items() if k.endswith("running_var")}
    stage.set_weights({k: v.numpy() for k, v in weights.items()})
    return stage


CASES = {
    "pillar-plus": StageCase(random_plus),
    "pillar-plus: t2i": StageCase(lambda: random_plus(direction="t2i")),
    "pillar-plus: log": StageCase(lambda: random_plus(direction="t2i"), problem=asked_again),
}
