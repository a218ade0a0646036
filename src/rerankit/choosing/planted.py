"""A way to measure a pipeline on a bank without labels: how often it finds items again that are made right."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.bank import Bank
from rerankit.choosing.samples import LEAST, found_first, halved, sample_of, with_bank
from rerankit.pipelines.pipeline import Pipeline
from rerankit.problem import Problem
from rerankit.scores import ListScores
from rerankit.stages.hubness.partners import lead_of_rows

_DRAWS = 6
_FOUND = 0.5  # the share of made items that come first as the scores are: where most can be told
_OWN = 2.5  # standard errors by which the bank's queries may be ahead with an item: one bank in a hundred by chance


class Planted:
    """Each query of a bank gets an item that is right for it: one drawn at random, whose score is raised, for all
    queries by so much that it comes first for half of them. A pipeline is worth how often it finds that item first, one
    half of the bank being the bank of the other.

    It is for a bank whose queries have no right item in the gallery, so that what they find is by chance or because of
    hubs. That all items are equally likely to be right is taken for granted; what it says of items that are popular
    is wrong.
    """

    groups: AnyArray | None = None
    compares = False

    def __init__(self, bank: Bank) -> None:
        assert bank.to_gallery is not None, "checked by the caller"
        self._values = sample_of(bank.to_gallery)
        queries, items = self._values.shape
        random = np.random.default_rng(0)
        self._right: list[IntArray] = [np.asarray(random.integers(items, size=queries)) for _ in range(_DRAWS)]
        highest = self._values.max(axis=1, initial=-np.inf)
        behind = np.concatenate([highest - self._values[np.arange(queries), right] for right in self._right])
        self._raise = np.float32(np.quantile(behind, _FOUND)) if queries else np.float32(0)
        self.description = (
            f"{queries} queries of the bank, no labels: how often an item comes first that is drawn and raised"
        )
        self.problem = self._problems(self._right[0])[0][1]

    @property
    def evidence(self) -> str:
        """Why there is too little to go by; nothing where there is enough."""
        if len(self._values) < LEAST:
            return f"the bank has only {len(self._values)} queries, {LEAST} are needed"
        return ""

    def values(self, pipeline: Pipeline) -> AnyArray:
        found = sum(found_first(pipeline, self._problems(right), right) for right in self._right)
        result: AnyArray = np.asarray(found) / _DRAWS
        return result

    def _problems(self, right: IntArray) -> list[tuple[slice, Problem]]:
        """Each half of the bank with its raised items, and the other half, as it is, as its bank."""
        raised: FloatArray = self._values.copy()
        raised[np.arange(len(right)), right] += self._raise
        return [(side, with_bank(raised[side], self._values[others])) for side, others in halved(raised)]


def planted_in(problem: Problem) -> Planted | None:
    """The way to measure on the problem's bank; None where there is none, where it holds lists, which do not say how
    high an item has to be raised, and where its queries show items of their own in the gallery.
    """
    bank = problem.query_bank
    if bank is None or bank.to_gallery is None or isinstance(bank.to_gallery, ListScores):
        return None
    return Planted(bank) if lead_of_rows(bank.to_gallery).errors < _OWN else None
