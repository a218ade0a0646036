"""csls: cross-domain similarity local scaling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray, FloatArray
from rerankit.pipelines.scaling import BY_ITEMS
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import ListScores, Scores
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.highest import column_top_mean, row_top_mean, top_mean
from rerankit.stages.hubness.nnn import nearest_correction, nearest_of_more
from rerankit.stages.hubness.stage import Correction, HubnessStage
from rerankit.stages.lone import check_lone


class CSLS(HubnessStage):
    """Compare a similarity with how near both its ends are to their neighbours.

    The score is 2 s − r(query) − r(item): r is the mean similarity to the `neighbours` nearest items of the other side.
    The items' part is found as in `nnn`: relative to what is usual for each query, without the query that is answered,
    as far as it is more than chance, and as far as best scores do not crowd (`steepness` in the notes). It helps where
    density differs from place to place; it loses where the number of right items per query differs more than the
    density, because a well-matched item then looks like a hub. r(query), which changes no order, is taken over the
    candidates. `published` takes the plain means over all.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "csls", published=True, k=2).indices[0]
    array([1, 0])
    """

    scaling = replace(HubnessStage.scaling, cut=BY_ITEMS)
    name = "csls"
    weight = 2
    citation = "Conneau et al., Word translation without parallel data (ICLR 2018)"

    def __init__(self, neighbours: int = 10, published: bool = False, bank: Any = None, lone: str = "raise") -> None:
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        if self.published:
            return Correction(-column_top_mean(others, self.neighbours))
        return nearest_correction(others, self.neighbours, 1.0, same)

    def correction_of_more(self, found: Correction, more: Scores) -> Correction | None:
        if self.published:
            return None if isinstance(more, ListScores) else self.correction(Side(more.shape[1]), more, False)
        return nearest_of_more(found, more, self.neighbours, 1.0)

    def of_queries(self, own: FloatArray, found: Correction, problem: Problem, ranking: Ranking) -> AnyArray:
        if self.published:
            return row_top_mean(problem.scores, self.neighbours)[:, None]
        return top_mean(np.where(ranking.mask, own, np.float32(-np.inf)), self.neighbours)[:, None]
