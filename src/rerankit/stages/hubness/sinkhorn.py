"""sinkhorn: scores after queries and items have been given to each other."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rerankit import checks
from rerankit.errors import RerankitWarning
from rerankit.pipelines.scaling import BANK_BY_ITEMS, BY_BOTH, WITHOUT_A_BANK, Scaling
from rerankit.scores import Scores
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.balance import balanced, equal_shares, placed
from rerankit.stages.hubness.claims import Claims, claims_for_rounds
from rerankit.stages.hubness.partners import Partners, evenly_asked, partners_of
from rerankit.stages.hubness.spread import Fall, fall_of
from rerankit.stages.hubness.stage import Beta, Correction, HubnessStage, beta_of, check_beta
from rerankit.stages.lone import check_lone

_AMONG_TEST_QUERIES = 3.5
_AMONG_A_BANK = 2.0


class Sinkhorn(HubnessStage):
    """Give every query one vote and every item room for so many, and let the votes find their places.

    `iterations` times each query shares its vote among the items by a softmax of β s plus what the items add, and an
    item that is asked for beyond its room adds less. An item has room for one vote, or, where there are fewer items
    than queries, the queries fill all items alike; where there are fewer queries than items, room for as many votes
    as there are items for each query, so that few queries change little and one alone nothing. Places are given out at
    half of β. As far as the scores show that each item has a query of its own among those that ask (its best one is
    well ahead of the next), all items take in the same instead, as in Sinkhorn's balance, at β; where they show that
    several queries belong to one item, it has room for two. As far as queries that are sure of their item meet on
    a few popular ones, less is taken from those. The score is s plus what the item adds over β. It gains the most of
    all stages that know scores alone, since a query which has found its item no longer speaks for others. It loses
    where queries' right items are none of the gallery's, and where items are popular and no query is sure. The
    ranking's notes say what was seen (`each_item`, `several_queries`, `evenly`, from 0 to 1).

    `beta` "auto" is 3.5 over the spread of the scores (see `spread`), or of the best ones where these lie closer
    together (`fall_of`); with a bank, whose queries only show which items are hubs, 2 over the bank's. `cells_kept`
    best cells of every row and column stand for the matrix, the rest of a row at one level; None takes all of up to 25
    million, and 64 beyond. `published` gives Sinkhorn's own balance, in which every item receives the same total.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "sinkhorn", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    scaling = Scaling(
        "a number",
        f"{BANK_BY_ITEMS}; of many, the best cells of each row and column",
        impossible=WITHOUT_A_BANK,
        cut=BY_BOTH,
    )
    name = "sinkhorn"
    citation = "Cuturi, Sinkhorn distances (NeurIPS 2013)"

    def __init__(
        self,
        beta: Beta = "auto",
        iterations: int = 10,
        cells_kept: int | None = None,
        published: bool = False,
        bank: Any = None,
        lone: str = "raise",
    ) -> None:
        self.beta = check_beta("beta", beta)
        self.iterations = checks.integer("iterations", iterations, least=1)
        self.cells_kept = cells_kept if cells_kept is None else checks.integer("cells_kept", cells_kept, least=1)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        return self.correction_by(fall_of(others), others, same)

    def correction_by(
        self,
        fall: Fall,
        others: Scores,
        same: bool,
        claims: Callable[[float], Claims] | None = None,
        partners: Partners | None = None,
    ) -> Correction:
        """The same, of scores whose fall is known, and perhaps the claims at each β and who belongs to whom."""
        beta = beta_of(self.beta, fall, _AMONG_TEST_QUERIES if same else _AMONG_A_BANK)
        if not beta:
            return Correction(None, beta=0.0)
        claims = claims or claims_for_rounds(others, fall.spread, self.cells_kept)
        if self.published:
            votes = claims(beta)
            self._check_votes(votes)
            return Correction(equal_shares(votes, self.iterations) / beta, beta=beta)
        if not same:
            evenly = evenly_asked(others, fall.spread, answered=False)
            shift = evenly / beta * placed(claims(beta), self.iterations, same_queries=False)
            return Correction(shift, beta=beta, evenly=evenly)
        partners = partners or partners_of(others, fall.spread)
        notes: dict[str, Any] = {"beta": beta, **partners.notes()}
        shift = balanced(lambda share: claims(share * beta), self.iterations, partners) / beta
        return Correction(shift, **notes)

    def _check_votes(self, claims: Claims) -> None:
        """Say so where votes are too small for a number to hold."""
        without = int(np.sum(claims.of() == 0))
        if without:
            warnings.warn(
                f"stage '{self.name}' has beta={self.beta}: the votes for {without} of {claims.shape[1]} items are too "
                "small for a number to hold, so that shares are not equal; give a lower beta, or 'auto'",
                RerankitWarning,
                stacklevel=4,
            )
