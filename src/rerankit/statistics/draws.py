"""Drawing samples of queries, and swapping the values of two systems, by adding up what groups of queries hold.

Queries come in groups that are drawn and swapped as a whole; a query on its own is a group of one. A group is a
row of numbers (its values added up and how many they are, or how often each value occurs in it), and a sample's
mean or median follows from the sum of the rows that it drew. Groups with equal rows are alike, so that only how
many of each kind were drawn is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rerankit.errors import rule

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
Totals = Iterator[NDArray[Any]]
_CELLS = 4_000_000
_FEW = 8
"""From this many groups of a kind on, counting kinds is cheaper than drawing groups."""
_NARROW = 16
"""Rows up to this width are compared with each other; wider ones are kept sparse."""
_SIGMAS = 6.0
"""Medians further from the median than this are not expected; should one come, it is found all the same."""


class Groups:
    """Which queries belong together: `of` is the group of each query, from 0 (queries,)."""

    def __init__(self, labels: Any, queries: int) -> None:
        given = range(queries) if labels is None else labels
        names = given.tolist() if isinstance(given, np.ndarray) else list(given)
        if len(names) != queries:
            raise rule("groups", f"must have one label for each of the {queries} queries", f"{len(names)} labels")
        number: dict[Any, int] = {}
        self.of: IntArray = np.array([number.setdefault(name, len(number)) for name in names], np.int64)
        self.count = len(number)
        if self.count < 2 <= queries:
            raise rule("groups", "must hold at least two groups, or there is nothing to draw from", self.count)

    @property
    def sizes(self) -> IntArray:
        """How many queries each group has (groups,)."""
        return np.bincount(self.of, minlength=self.count)

    def sums(self, values: Array) -> Array:
        """The values of each group added up (groups,)."""
        return np.bincount(self.of, weights=values, minlength=self.count).astype(np.float64)


def drawn_means(values: Array, groups: Groups, samples: int, seed: int) -> Array:
    """Means over `samples` sets of groups drawn with replacement (samples,)."""
    rows = np.stack([groups.sums(values), groups.sizes], axis=1)
    return np.concatenate([totals[:, 0] / totals[:, 1] for totals in resampled(rows, samples, seed)])


def flipped_sums(values: Array, groups: Groups, samples: int, seed: int) -> Array:
    """Sums of the values when each group has a random sign (samples,)."""
    # The sign of a group and of its opposite are drawn alike, which makes for fewer kinds.
    rows = np.abs(groups.sums(values))[:, None]
    return np.concatenate([2 * totals[:, 0] - rows.sum() for totals in halves(rows, samples, seed)])


def drawn_medians(systems: list[Array], groups: Groups, samples: int, seed: int) -> list[Array]:
    """Medians of each system over the same `samples` sets of groups drawn with replacement, (samples,) each."""

    def medians(bins: Bins) -> list[Array]:
        width = len(bins.values)
        parts = [
            [bins.medians(totals[:, at * width : (at + 1) * width]) for at in range(len(systems))]
            for totals in resampled(bins.rows(systems, groups), samples, seed)
        ]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    return _in_window(systems, groups, medians)


def swapped_medians(one: Array, two: Array, groups: Groups, samples: int, seed: int) -> Array:
    """Differences of the medians of two systems whose values are swapped in random groups (samples,)."""

    def medians(bins: Bins) -> list[Array]:
        first, second = bins.rows([one], groups), bins.rows([two], groups)
        base, both = second.sum(axis=0), first.sum(axis=0) + second.sum(axis=0)
        drawn: list[tuple[Array, Array]] = []
        for totals in halves(first - second, samples, seed):
            counts = base + totals
            drawn.append((bins.medians(counts), bins.medians(both - counts)))
        return [np.concatenate(each) for each in zip(*drawn, strict=True)]

    here, there = _in_window([one, two], groups, medians)
    return here - there


class Bins:
    """The distinct values between two bounds; what lies outside is counted with the first or the last of them."""

    def __init__(self, systems: list[Array], low: float, high: float) -> None:
        distinct = np.unique(np.concatenate(systems))
        first, last = np.searchsorted(distinct, low, "right") - 1, np.searchsorted(distinct, high, "left")
        self.whole = first <= 0 and last >= len(distinct) - 1
        self.values = distinct[max(first, 0) : last + 1]

    def rows(self, systems: list[Array], groups: Groups) -> Any:
        """How often each value occurs in each group, the systems side by side (groups, systems × values)."""
        width = len(self.values)
        columns = np.concatenate([at * width + self._of(values) for at, values in enumerate(systems)])
        owners = np.tile(groups.of, len(systems))
        shape = (groups.count, len(systems) * width)
        rows = csr_array((np.ones(len(columns), np.int64), (owners, columns)), shape=shape)
        return rows.toarray() if shape[1] <= _NARROW else rows

    def _of(self, values: Array) -> IntArray:
        return np.clip(np.searchsorted(self.values, values), 0, len(self.values) - 1)

    def medians(self, counts: IntArray) -> Array:
        """Medians of the values when they occur so often (samples, values); NaN for one that may lie outside."""
        upto = np.cumsum(counts, axis=1)
        total = upto[:, -1:]
        low, high = (np.argmax(upto > half, axis=1) for half in ((total - 1) // 2, total // 2))
        found: Array = (self.values[low] + self.values[high]) / 2
        inside = self.whole | ((low > 0) & (high < len(self.values) - 1))
        return np.where(inside, found, np.nan)


def _in_window(systems: list[Array], groups: Groups, medians: Callable[[Bins], list[Array]]) -> list[Array]:
    """Medians from the values near the systems' medians, or from all where these turn out to be too few."""
    margin = _SIGMAS * 0.5 / np.sqrt(groups.count)
    low, high = max(0.5 - margin, 0.0), min(0.5 + margin, 1.0)
    bounds = np.quantile(systems, [low, high], axis=1)
    found = medians(Bins(systems, float(bounds[0].min()), float(bounds[1].max())))
    if not np.isnan(found).any():
        return found
    return medians(Bins(systems, -np.inf, np.inf))


def resampled(rows: Any, samples: int, seed: int) -> Totals:
    """Sums of rows over sets of groups drawn with replacement, `samples` in all, each (some, width)."""
    random = np.random.default_rng(seed)
    kinds, counts = _kinds(rows)
    count = rows.shape[0]
    for size in _chunks(kinds.shape[0] + rows.shape[1], samples):
        if kinds is not rows:
            yield random.multinomial(count, counts / count, size) @ kinds
            continue
        drawn = random.integers(0, count, (size, count))
        drawn += np.arange(size)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count) @ rows


def halves(rows: Any, samples: int, seed: int) -> Totals:
    """Sums of rows over sets that have each group with a chance of one half, `samples` in all, each (some, width)."""
    random = np.random.default_rng(seed)
    kinds, counts = _kinds(rows)
    for size in _chunks(kinds.shape[0] + rows.shape[1], samples):
        if kinds is not rows:
            yield random.binomial(counts, 0.5, (size, len(counts))) @ kinds
            continue
        yield random.integers(0, 2, (size, kinds.shape[0])) @ rows


def _kinds(rows: Any) -> tuple[Any, IntArray]:
    """The different rows and how many there are of each; the rows themselves where too few are alike."""
    if isinstance(rows, np.ndarray):
        kinds, counts = np.unique(rows, axis=0, return_counts=True)
        if len(kinds) * _FEW <= len(rows):
            return kinds, counts
    return rows, np.ones(rows.shape[0], np.int64)


def _chunks(width: int, samples: int) -> Iterator[int]:
    """Numbers of samples of some width that fit in memory together."""
    step = max(1, _CELLS // max(width, 1))
    for start in range(0, samples, step):
        yield min(step, samples - start)
