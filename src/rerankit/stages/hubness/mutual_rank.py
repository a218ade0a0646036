"""mutual-rank: an item is good when the query ranks it high and it ranks the query high."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.ranks import shared_ranks
from rerankit.stages.banks import check_bank
from rerankit.stages.candidates import items_of, rows_of
from rerankit.stages.hubness.mutual import MutualStage, PlacesBack
from rerankit.stages.lone import check_lone

_CHANCE = 3.0  # places by which an item near the top may be higher or lower by chance


class MutualRank(MutualStage):
    """Order candidates by the rank of the item for the query and of the query for the item.

    The score is −(log(r + 3) + `weight` · log(r' + 3)), r the item's place in the query's ranking, r' the query's place
    among all queries (or those of a bank) by the item's scores, both from 1 and tied places shared. Every query's
    scores are first taken relative to what is usual for it; where there are more queries than items, as many times 3 is
    added to r'. The 3 keeps chance among the first places from deciding. It needs nothing but scores. It loses where
    several queries rightly want one item, each pushing the others down; places back count less as far as sure queries
    meet on a few items. Places among a bank's queries behind the first 64 are read off some of them, within 6 %.
    `published` takes log r + `weight` · log r' of the scores as they are.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.95, 0.1], [0.99, 0.2]], "mutual-rank", published=True, k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "mutual-rank"
    citation = "Wang et al., Matching images and text with multi-modal tensor fusion and re-ranking (MM 2019)"

    def __init__(self, weight: float = 1.0, published: bool = False, bank: Any = None, lone: str = "raise") -> None:
        self.weight = checks.number("weight", weight, least=0)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def placed(self, back: PlacesBack, problem: Problem, ranking: Ranking) -> FloatArray:
        items, queries = items_of(ranking), rows_of(ranking)
        own = problem.scores.pairs(queries, items)
        forward = shared_ranks(np.where(ranking.mask & np.isfinite(own), own, np.float32(np.nan)))
        # A candidate the problem has no score for (top-k lists after another stage) comes behind the others.
        forward = np.where(np.isnan(forward), ranking.shape[1] + 1, forward)
        backward = back.of(items, own, queries, back.usual(problem.scores))
        here = np.float32(0 if self.published else _CHANCE)
        there = here * np.float32(back.crowding)
        weight = np.float32(self.weight) * back.weight
        scores: FloatArray = -(np.log(forward + here) + weight * np.log(backward + there))
        return scores
