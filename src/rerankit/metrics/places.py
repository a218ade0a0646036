"""Where each query's relevant items stand: all that any rank metric needs to know.

A *group* is a set of items with one score that holds at least one relevant item. Scores give groups; a tie
rule other than ``expected`` breaks each group up into single items at definite places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rerankit import checks
from rerankit.metrics.counting import Counts
from rerankit.metrics.lists import FloatArray, IntArray, Truth

Ties = Literal["expected", "optimistic", "pessimistic", "index"]
TIES: tuple[Ties, ...] = ("expected", "optimistic", "pessimistic", "index")


@dataclass(frozen=True, eq=False)
class Places:
    """Groups of relevant items per query, best first; the arrays with one entry per group:

    query: the query a group belongs to; above: items ranked ahead of the group; size: items in the group,
    relevant or not; relevant: how many are; gain: their grades summed; earlier: relevant items of the query
    in groups ahead.

    And per query: indptr (queries + 1,) into the groups, totals (queries,) relevant items whether ranked or
    not, ideal: the grades of each query in decreasing order, cut by `ideal_indptr`.
    """

    query: IntArray
    above: IntArray
    size: IntArray
    relevant: IntArray
    gain: FloatArray
    earlier: IntArray
    indptr: IntArray
    totals: IntArray
    ideal: FloatArray
    ideal_indptr: IntArray

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self.totals)

    @property
    def first(self) -> IntArray:
        """The best group of each query that has one."""
        return self.indptr[:-1][np.diff(self.indptr) > 0]

    def within(self, k: int | IntArray | None) -> IntArray:
        """How many places of each group lie in the first k (groups,); k may differ per query."""
        if k is None:
            return self.size
        cut = np.asarray(k)
        return np.clip((cut[self.query] if cut.ndim else cut) - self.above, 0, self.size)

    def per_query(self, values: FloatArray) -> FloatArray:
        """Sums of a value per group over each query's groups (queries,)."""
        sums: FloatArray = np.bincount(self.query, weights=values, minlength=self.queries).astype(np.float64)
        return sums


def check_ties(ties: str) -> Ties:
    """The tie rule, or an error that lists them."""
    return checks.choice("ties", ties, TIES)


def places(truth: Truth, query: IntArray, counts: Counts, grades: FloatArray, ties: Ties = "expected") -> Places:
    """Places from one entry per ranked relevant item; items of `truth` that have no entry are not ranked."""
    above = counts.above + counts.before if ties == "index" else counts.above
    tied = np.ones_like(counts.tied) if ties == "index" else counts.tied
    # Inside a group the grades decide who is first when ties are broken for or against the system.
    order = np.lexsort((grades if ties == "pessimistic" else -grades, above, query))
    query, above, tied, grades = query[order], above[order], tied[order], grades[order]
    if ties in ("optimistic", "pessimistic"):
        above = _spread(query, above, tied, late=ties == "pessimistic")
        tied = np.ones_like(tied)
    starts = _starts(query, above)
    relevant = np.diff(np.append(starts, len(query)))
    return _assemble(truth, query[starts], above[starts], tied[starts], relevant, _sums(grades, starts))


def _starts(query: IntArray, above: IntArray) -> IntArray:
    if not len(query):
        return np.zeros(0, np.int64)
    new = (np.diff(query) != 0) | (np.diff(above) != 0)
    return np.concatenate([[0], np.flatnonzero(new) + 1]).astype(np.int64)


def _sums(values: FloatArray, starts: IntArray) -> FloatArray:
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def _spread(query: IntArray, above: IntArray, tied: IntArray, late: bool) -> IntArray:
    """Definite places for the relevant items of each group: its first ones, or its last."""
    starts = _starts(query, above)
    relevant = np.diff(np.append(starts, len(query)))
    inside = np.arange(len(query)) - np.repeat(starts, relevant)
    if late:
        inside = inside + tied - np.repeat(relevant, relevant)
    return above + inside


def _assemble(
    truth: Truth, query: IntArray, above: IntArray, size: IntArray, relevant: IntArray, gain: FloatArray
) -> Places:
    queries = truth.queries
    indptr = np.searchsorted(query, np.arange(queries + 1)).astype(np.int64)
    seen = np.cumsum(relevant) - relevant
    base = seen[np.minimum(indptr[:-1], max(len(seen) - 1, 0))] if len(seen) else np.zeros(queries, np.int64)
    owner = truth.relevant.queries
    ideal = truth.grades[np.lexsort((-truth.grades, owner))]
    totals = truth.relevant.counts
    earlier = seen - base[query]
    return Places(query, above, size, relevant, gain, earlier, indptr, totals, ideal, truth.relevant.indptr)


def first_at(size: int, relevant: int) -> FloatArray:
    """Chance that the first of `relevant` in a random order of `size` items is at place 1, 2, … ."""
    steps = np.arange(size - relevant)
    later = (size - relevant - steps) / (size - 1.0 - steps)
    return relevant / size * np.concatenate([[1.0], np.cumprod(later)])
