"""dual-softmax: the product of two probabilities, of the item given the query and of the query given the item."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray
from rerankit.problem import Problem
from rerankit.ranking import Ranking
from rerankit.scores import Scores
from rerankit.sides import Side
from rerankit.stages.hubness.inverted_softmax import InvertedSoftmax, softmax_correction
from rerankit.stages.hubness.passes import listed_softmax_level, row_softmax_level
from rerankit.stages.hubness.stage import Correction

_SHARPNESS = 3.0
_FLOOR = 0.01


class DualSoftmax(InvertedSoftmax):
    """Multiply the probability of the item given the query by that of the query given the item.

    The first is a softmax of β s over the gallery, of which what is no candidate stands at one level below them (it
    changes no order). The second divides exp(β s) by what other queries claim of the item,
    as `inverted-softmax` does, with a hundredth of a vote for queries that were not seen. The score is the logarithm of
    the product over 2 β, so that it stays on the scale of s. For the order within a query it is an inverted softmax
    of half strength: it loses less, but in the same places (few queries, items that are right for many),
    and gains less where hubs are strong. `beta` "auto" is 3 over the spread of the scores.

    `published` gives the product of the two softmaxes as published, over the gallery and over the queries, with means
    in the place of sums. (Another form multiplies β s itself with the second probability: `inverted-softmax`.)

    >>> from rerankit import rerank
    >>> rerank([[0.9, 0.85], [0.9, 0.1], [0.9, 0.2]], "dual-softmax", k=2).indices[0]
    array([1, 0])
    """

    name = "dual-softmax"
    citation = "Cheng et al., Video-text retrieval by multi-stream corpus alignment and dual softmax loss (2021)"

    def correction(self, gallery: Side, others: Scores, same: bool) -> Correction:
        found = softmax_correction(others, self.beta, self.published, same, sharpness=_SHARPNESS, floor=_FLOOR)
        return Correction(None if found.of_items is None else found.of_items / 2, spread=found.spread, **found.notes)

    def of_queries(self, own: FloatArray, found: Correction, problem: Problem, ranking: Ranking) -> AnyArray:
        used = float(found.notes["beta"])
        if not used:
            return np.zeros((len(own), 1), np.float32)
        if self.published:
            return row_softmax_level(problem.scores, used, found.spread)[:, None] / 2
        return listed_softmax_level(own, ranking.mask, problem.shape[1], used, found.spread)[:, None] / 2
