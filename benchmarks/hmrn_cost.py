"""How many floating-point operations each level takes: two for each multiply-and-add of a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rerankit.stages.hmrn.config import HmrnConfig


@dataclass(frozen=True)
class PairCost:
    """Operations of one pair of a search and an image, after some rounds.

    >>> cost = pair_cost(HmrnConfig(), regions=36, rounds=[10])
    >>> cost
    PairCost(similarities=184320, overall=512, reasoning=7915008)
    """

    similarities: int
    overall: int
    reasoning: int

    @property
    def total(self) -> int:
        """All levels."""
        return self.similarities + self.overall + self.reasoning


def pair_cost(config: HmrnConfig, *, regions: int, rounds: Sequence[int]) -> PairCost:
    """What `fast` computes for one pair after `rounds`; the similarities are shared by all of them."""
    last = max(rounds)
    return PairCost(
        similarities=2 * last * regions * config.dim,
        overall=2 * config.dim * len(rounds),
        reasoning=sum(reasoning_cost(config, regions=regions, queries=t) for t in rounds),
    )


def reasoning_cost(config: HmrnConfig, *, regions: int, queries: int) -> int:
    """The reasoning level of one pair after so many queries, as computed here.

    >>> [round(cost(HmrnConfig(), regions=36, queries=10) / 1e6, 1) for cost in (reasoning_cost, plain_cost)]
    [7.9, 15.2]
    """
    dim, width, nodes = config.dim, config.reasoning_dim, queries + 1
    context = 2 * queries * regions * dim
    made = 2 * nodes * dim * width
    step = 2 * (2 * nodes * width * width + 2 * nodes * nodes * width)
    final = 2 * (2 * width * width + 2 * nodes * width)
    return context + made + (config.steps - 1) * step + final + 2 * width


def plain_cost(config: HmrnConfig, *, regions: int, queries: int) -> int:
    """The same as the definition reads: similarities once more, three projections, every node in every step."""
    dim, width, nodes = config.dim, config.reasoning_dim, queries + 1
    table = 2 * 2 * queries * regions * dim
    made = 2 * nodes * dim * width
    step = 2 * (3 * nodes * width * width + 2 * nodes * nodes * width)
    return table + made + config.steps * step + 2 * width
