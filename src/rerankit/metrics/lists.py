"""One list of gallery rows per query, in compressed form: what the counting kernels read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerankit.relevance import Relevance

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Lists(NamedTuple):
    """`items[indptr[i]:indptr[i + 1]]` belong to query i."""

    indptr: IntArray
    items: IntArray

    @classmethod
    def empty(cls, queries: int) -> Lists:
        """No items for any query."""
        return cls(np.zeros(queries + 1, np.int64), np.zeros(0, np.int64))

    @property
    def counts(self) -> IntArray:
        """How many items each query has (queries,)."""
        return np.diff(self.indptr)

    @property
    def queries(self) -> IntArray:
        """The query of each item (items,)."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), self.counts)

    def keys(self, gallery: int) -> IntArray:
        """One number per (query, item), in the order of the items."""
        return self.queries * gallery + self.items

    def keep(self, chosen: NDArray[np.bool_]) -> Lists:
        """The lists with only the chosen items."""
        ends = np.concatenate([[0], np.cumsum(chosen)])
        return Lists(ends[self.indptr].astype(np.int64), self.items[chosen])


class Truth(NamedTuple):
    """Relevance as the metrics read it."""

    relevant: Lists
    grades: FloatArray
    excluded: Lists
    gallery: int

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self.relevant.indptr) - 1


def truth_of(relevance: Relevance) -> Truth:
    """The truth in a `Relevance`."""
    relevant = Lists(relevance.indptr, relevance.indices)
    excluded = Lists(relevance.excluded.indptr, relevance.excluded.indices)
    return Truth(relevant, relevance.grades.astype(np.float64), excluded, relevance.shape[1])
