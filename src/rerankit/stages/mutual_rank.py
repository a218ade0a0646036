"""mutual-rank: an item is good when the query ranks it high and it ranks the query high."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import FloatArray, IntArray
from rerankit.events import track
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores, blocks
from rerankit.stages._banks import BankStage, check_bank


class MutualRank(BankStage):
    """Order candidates by the rank of the item for the query and of the query for the item.

    The score is −(log r + `weight` · log r'), r the item's place in the query's ranking, r' the query's place among
    all queries (or those of a bank) by the item's scores, both from 1 and tied places shared. It needs
    nothing but scores. It loses where several queries rightly want one item: each pushes the others down.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.95, 0.1], [0.99, 0.2]], "mutual-rank", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "mutual-rank"
    citation = "Wang et al., Matching images and text with multi-modal tensor fusion and re-ranking (MM 2019)"

    def __init__(self, weight: float = 1.0, bank: Any = None) -> None:
        self.weight = checks.number("weight", weight, least=0)
        self.bank = check_bank(bank)

    def rescore(self, problem: Problem, ranking: Ranking) -> FloatArray:
        indices = np.where(ranking.mask, ranking.indices, 0)
        own = problem.scores.pairs(np.arange(len(ranking))[:, None], indices)
        forward = shared_ranks(np.where(ranking.mask, own, -np.inf))
        others = self.other_queries(problem)
        backward = ranks_among(others, indices, own)
        scores: FloatArray = -(np.log(forward) + np.float32(self.weight) * np.log(backward))
        return scores


def shared_ranks(scores: FloatArray) -> FloatArray:
    """Ranks (rows, K) from 1 of each row's scores, tied ones sharing the mean of their places.

    >>> shared_ranks(np.float32([[3, 1, 3]]))
    array([[1.5, 3. , 1.5]], dtype=float32)
    """
    ascending = np.sort(scores, axis=1)
    ranks = np.empty(scores.shape, np.float32)
    for row, (levels, values) in enumerate(zip(ascending, scores, strict=True)):
        ranks[row] = _ranks_below(levels, values)
    return ranks


def ranks_among(others: Scores, items: IntArray, scores: FloatArray) -> FloatArray:
    """For each candidate (queries, K): the rank, from 1, its score would have among the item's `others`.

    `scores` are those of the pairs (query, item). Column after column of `others` is sorted once, in blocks.
    """
    flat_items, flat_scores = items.reshape(-1), scores.reshape(-1)
    by_item = np.argsort(flat_items, kind="stable")
    starts = np.searchsorted(flat_items[by_item], np.arange(others.shape[1] + 1))
    ranks = np.empty(len(flat_items), np.float32)
    columns = others.T
    wanted = np.flatnonzero(np.diff(starts))
    work = list(blocks(len(wanted), others.shape[0] * 8, share=0.5))
    for block in track(work, "ranks among the queries"):
        ascending = np.sort(columns.rows(wanted[block]), axis=1)
        for levels, item in zip(ascending, wanted[block], strict=True):
            cells = by_item[starts[item] : starts[item + 1]]
            ranks[cells] = _ranks_below(levels, flat_scores[cells])
    return ranks.reshape(items.shape)


def _ranks_below(ascending: FloatArray, values: FloatArray) -> FloatArray:
    """Ranks of values among ascending levels; equal levels share their places."""
    above = len(ascending) - np.searchsorted(ascending, values, "right")
    equal = np.searchsorted(ascending, values, "right") - np.searchsorted(ascending, values, "left")
    ranks: FloatArray = (1 + above + np.maximum(equal - 1, 0) / 2).astype(np.float32)
    return ranks
