"""inverted-softmax: a candidate counts for less when other queries also claim it."""

from __future__ import annotations

from typing import Any

from rerankit import checks
from rerankit.arrays import AnyArray
from rerankit.scores import Scores
from rerankit.sides import Side
from rerankit.stages.banks import check_bank
from rerankit.stages.hubness.balance import against_claims
from rerankit.stages.hubness.claims import claims_of
from rerankit.stages.hubness.partners import evenly_asked
from rerankit.stages.hubness.passes import column_softmax_level
from rerankit.stages.hubness.spread import fall_of
from rerankit.stages.hubness.stage import Beta, Correction, HubnessStage, beta_of, check_beta
from rerankit.stages.lone import check_lone

SHARPNESS = 1.5
FLOOR = 0.1


def softmax_correction(
    others: Scores, beta: Beta, published: bool, same: bool, *, sharpness: float = SHARPNESS, floor: float = FLOOR
) -> Correction:
    """The inverted softmax's correction of items, on the scale of the scores."""
    fall = fall_of(others)
    used = beta_of(beta, fall, sharpness)
    if not used:
        return Correction(None, beta=0.0)
    if published:
        return Correction(-column_softmax_level(others, used), spread=fall.spread, beta=used)
    evenly = evenly_asked(others, fall.spread, answered=same)
    shift: AnyArray = evenly / used * against_claims(claims_of(others, used, fall.spread), floor)
    return Correction(shift, spread=fall.spread, beta=used, evenly=evenly)


class InvertedSoftmax(HubnessStage):
    """Divide exp(β s) by what other queries claim of the item: items that everybody is near to (hubs) fall back.

    Every other query has one vote, shared among the items by a softmax of β s. The score is s − (1/β) log(votes + f):
    f, a tenth of a vote for each item, and more where there are fewer queries than items, stands for queries that
    were not seen, so that few queries change little, and one alone nothing. `beta` ("auto": 1.5 over the spread of the
    scores, see `spread`) looks at fewer, nearer items where it is larger. Votes count as far as items are asked for
    evenly (`evenly` in the notes). It loses a little where one item is right for several queries, none sure of it.

    `published` gives the published form: s − (1/β) log mean exp(β s'), s' the other queries' scores of the item. In it,
    queries whose scores are high as a whole outweigh the rest, and small batches lose.

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.8], [0.9, 0.1], [0.9, 0.2]], "inverted-softmax", k=2).indices
    array([[1, 0],
           [0, 1],
           [0, 1]])
    """

    name = "inverted-softmax"
    citation = "Smith et al., Offline bilingual word vectors and the inverted softmax (ICLR 2017)"

    def __init__(self, beta: Beta = "auto", published: bool = False, bank: Any = None, lone: str = "raise") -> None:
        self.beta = check_beta("beta", beta)
        self.published = checks.boolean("published", published)
        self.bank = check_bank(bank)
        self.lone = check_lone(lone)

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        return softmax_correction(others, self.beta, self.published, same)
