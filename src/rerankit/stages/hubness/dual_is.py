"""dual-is: inverted softmax against other queries and against other gallery items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.errors import InputError
from rerankit.pipelines.scaling import BY_BOTH
from rerankit.scores import ListScores, Scores
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.balance import against_claims
from rerankit.stages.hubness.claims import Claims, ListClaims, MatrixClaims, claims_of
from rerankit.stages.hubness.inverted_softmax import FLOOR, SHARPNESS
from rerankit.stages.hubness.partners import evenly_asked
from rerankit.stages.hubness.passes import column_softmax_level
from rerankit.stages.hubness.spread import absent_levels, fall_of
from rerankit.stages.hubness.stage import Beta, Correction, HubnessStage, beta_of, check_beta
from rerankit.stages.lone import check_lone

_GALLERY_SHARPNESS = 0.75


class DualIS(HubnessStage):
    """Inverted softmax with two banks: an item is a hub when many queries, or many items, lie near it.

    The score is the logarithm of the product of two inverted softmaxes, one among the queries at `beta` and one among
    gallery items at `gallery_beta`, over the sum of both betas: each level counts by its own beta. `gallery` says which
    items: those of the gallery under test (``"gallery"``, from `gallery_scores`, an item itself left out) or those of
    the problem's `gallery_bank` (``"bank"``). The items' level counts only as far as it agrees with that of the queries
    (the square of their correlation): a dense gallery is no hub where queries do not find it so. It loses where
    `inverted-softmax` does. `beta` "auto" is that of `inverted-softmax`, `gallery_beta` "auto" 0.75 over the spread of
    the items' similarities.

    `published` trusts both levels in full, and takes the published inverted softmax of each. A gallery bank of
    another domain loses then, and so do galleries full of near-duplicates.

    >>> from rerankit import Problem, rerank
    >>> near = [[1, 0.1, 0.9], [0.1, 1, 0.1], [0.9, 0.1, 1]]
    >>> problem = Problem([[0.9, 0.85, 0.3], [0.2, 0.1, 0.2]], gallery_scores=near)
    >>> rerank(problem, "dual-is", gallery_beta=2, k=2).indices[0]
    array([1, 0])
    """

    scaling = replace(HubnessStage.scaling, cut=BY_BOTH)
    name = "dual-is"
    citation = "Wang et al., Balance act: mitigating hubness with query and gallery banks (EMNLP 2023)"

    def __init__(
        self,
        beta: Beta = "auto",
        gallery_beta: Beta = "auto",
        gallery: str = "gallery",
        published: bool = False,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.beta = check_beta("beta", beta)
        self.gallery_beta = check_beta("gallery_beta", gallery_beta)
        self.gallery = checks.choice("gallery", gallery, ("gallery", "bank"))
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    @property
    def needs(self) -> tuple[str, ...]:
        return ("gallery_scores",) if self.gallery == "gallery" else ("gallery_bank:to_gallery",)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        items = self._other_items(gallery)
        fall, apart = fall_of(others), fall_of(items)
        beta = beta_of(self.beta, fall, SHARPNESS)
        of_gallery = beta_of(self.gallery_beta, apart, _GALLERY_SHARPNESS)
        among_queries = among_items = np.zeros(gallery.size)
        if beta:
            evenly = 1.0 if self.published else evenly_asked(others, fall.spread, answered=same)
            among_queries = evenly * self._shift(others, beta, claims_of(others, beta, fall.spread))
        if of_gallery:
            among_items = self._shift(items, of_gallery, self._claims_of_items(items, of_gallery, apart.spread))
        trust = 1.0 if self.published else agreement(among_queries, among_items)
        total = (among_queries + trust * among_items) / (beta + trust * of_gallery or 1.0)
        return Correction(total, beta=beta, gallery_beta=of_gallery, gallery_trust=round(trust, 3))

    def _shift(self, scores: Scores, beta: float, claims: Claims) -> AnyArray:
        if self.published:
            return -beta * column_softmax_level(scores, beta).astype(np.float64)
        return against_claims(claims, FLOOR)

    def _claims_of_items(self, items: Scores, beta: float, spread: float) -> Claims:
        if self.gallery == "bank":
            return claims_of(items, beta, spread)
        if not isinstance(items, ListScores):
            return MatrixClaims(items, beta, without_self=True)
        rows, others = items.row_of_cell, items.row_of_cell != items.columns
        rest = ListScores.from_cells(rows[others], items.columns[others], items.values[others], items.shape)
        return ListClaims(rest, absent_levels(items, spread), beta)

    def _other_items(self, gallery: Side) -> Scores:
        bank = gallery.bank
        of_bank = None if bank is None else bank.to_gallery
        found = gallery.scores if self.gallery == "gallery" else of_bank
        if found is None:
            raise InputError(f"stage '{self.name}' needs '{self.needs[0]}' (got a gallery without)")
        return found


def agreement(one: AnyArray, other: AnyArray) -> float:
    """The square of the correlation of two lists of numbers; 0 where they go against each other or one is constant.

    >>> agreement(np.array([1.0, 2, 3]), np.array([2.0, 4, 6])), agreement(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]))
    (1.0, 0.0)
    """
    one, other = one - one.mean(), other - other.mean()
    size = np.sqrt((one @ one) * (other @ other))
    return float(max(0.0, one @ other / size) ** 2) if size else 0.0
