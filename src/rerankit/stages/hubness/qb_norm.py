"""qb-norm: inverted softmax, but only for queries whose first candidate is a hub of the bank."""

from __future__ import annotations

from typing import Any

import numpy as np

from rerankit import checks
from rerankit.scores import Scores
from rerankit.scores.nearest import nearest
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.inverted_softmax import softmax_correction
from rerankit.stages.hubness.stage import Beta, Correction, HubnessStage, check_beta
from rerankit.stages.lone import check_lone


class QBNorm(HubnessStage):
    """Dynamic inverted softmax: correct a query only when its best candidate is among the bank's favourites.

    The favourites are the items that stand among the first `neighbours` of any bank query; all other queries keep
    their scores, so a bank that does not fit does little harm; with one that fits, queries left alone lose
    what `inverted-softmax` would have given them. Against the test queries themselves (no bank) every query's best
    candidate is its own favourite, and the stage equals inverted softmax. `beta` and `published` are those of
    `inverted-softmax`.

    >>> from rerankit import Bank, Problem, rerank
    >>> bank = Bank(to_gallery=[[0.9, 0.1, 0.0], [0.8, 0.2, 0.1]])
    >>> rerank(Problem([[0.5, 0.4, 0.0], [0.1, 0.5, 0.4]], query_bank=bank), "qb-norm", k=3).indices
    array([[1, 2, 0],
           [1, 2, 0]])
    """

    name = "qb-norm"
    citation = "Bogolin et al., Cross modal retrieval with querybank normalisation (CVPR 2022)"

    def __init__(
        self,
        beta: Beta = "auto",
        neighbours: int = 1,
        published: bool = False,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.beta = check_beta("beta", beta)
        self.neighbours = checks.integer("neighbours", neighbours, least=1)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        found = softmax_correction(others, self.beta, self.published, same)
        favourite = np.zeros(gallery.size, bool)
        first = nearest(others, self.neighbours)[0]
        favourite[first[first >= 0]] = True
        return Correction(found.of_items, favourites=favourite, **found.notes)
