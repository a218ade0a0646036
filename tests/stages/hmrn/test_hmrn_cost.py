"""The counted operations against torch's own counter."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from hmrn_cost import pair_cost, plain_cost, reasoning_cost
from rerankit.stages.hmrn.config import HmrnConfig
from rerankit.stages.hmrn.fast import Images as EncodedImages
from rerankit.stages.hmrn.fast import LocalLevel, Searches
from rerankit.stages.hmrn.network import Hmrn
from rerankit.stages.hmrn.reasoning import Reasoning

CONFIG = HmrnConfig(dim=16, reasoning_dim=12, region_slots=5, region_dim=4, vocabulary_size=9)


@torch.no_grad()
def test_counts_are_those_of_the_products(naive: Any) -> None:
    encoder = Hmrn(CONFIG).eval().similarity
    regions, queries = torch.randn(3, 5, 16), torch.randn(1, 4, 16)
    images = EncodedImages(regions, torch.full((3,), 5), encoder.v_global_w(regions))
    searches = Searches(queries, torch.tensor([4]), encoder.t_global_w.rounds(queries))
    level, reasoner, rounds = LocalLevel(encoder), Reasoning(encoder), [1, 3, 4]
    cost = pair_cost(CONFIG, regions=5, rounds=rounds)
    with FlopCounterMode(display=False) as table_counter:
        table = level.table(images, searches)
    assert table_counter.get_total_flops() == 3 * cost.similarities
    with FlopCounterMode(display=False) as counter:
        reasoner(table[:, 0], images, queries[0], searches.pooled[0], rounds)
    assert counter.get_total_flops() == 3 * cost.reasoning
    with FlopCounterMode(display=False) as counter:
        naive.reasoning_round(encoder, regions, images.pooled, queries[0], searches.pooled[0, -1])
    assert counter.get_total_flops() == 3 * plain_cost(CONFIG, regions=5, queries=4)


def test_the_published_size_stays_under_its_bound() -> None:
    costs = [reasoning_cost(HmrnConfig(), regions=36, queries=t) for t in range(1, 11)]
    assert max(costs) <= 8_000_000
    assert pair_cost(HmrnConfig(), regions=36, rounds=[10]).total > costs[-1]
