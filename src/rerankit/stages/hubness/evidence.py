"""How much of a difference between items is more than chance: levels drawn towards their mean by their own noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray


class TopMeans(NamedTuple):
    """Per item what the mean of its k highest scores among some queries is made of, and how much of it is trusted."""

    total: AnyArray
    """Sum (items,) of the k highest."""
    following: AnyArray
    """The next one (items,)."""
    trust: AnyArray
    """Share (items,), from 0 to 1, of the item's difference from the mean of all items that is kept."""
    mean: float
    """Mean level of all items."""
    real: float
    """The variance of the levels beyond chance."""
    k: int

    def at(self, items: IntArray) -> AnyArray:
        """Levels for items of any shape."""
        return self._drawn(self.total[items] / self.k, items)

    def without(self, own: FloatArray, items: IntArray) -> AnyArray:
        """Levels for candidates (queries, K), each among the queries but the one whose own score is given."""
        others = self.total[items] + self.following[items] - np.maximum(own, self.following[items])
        return self._drawn(others / self.k, items)

    def _drawn(self, levels: AnyArray, items: IntArray) -> AnyArray:
        drawn: AnyArray = self.mean + self.trust[items] * (levels - self.mean)
        return drawn


def trusted_top_means(highest: FloatArray, k: int, queries: int, among: tuple[float, float] | None = None) -> TopMeans:
    """From every item's k + 1 highest scores (items, k + 1) among `queries`.

    The variance of a level under another choice of queries is taken from how it changes when single ones are left out
    (the jackknife), twice that since the highest of few scores vary more than it tells. What the levels differ by
    beyond it is a difference between items. `among` has the mean and that variance where they are known of other items.

    >>> alike = trusted_top_means(np.float32([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]), 1, 2)
    >>> alike.trust.round(2)
    array([0., 0., 0.])
    """
    best = highest[:, :k].astype(np.float64)
    following = highest[:, -1].astype(np.float64)
    levels = best.mean(axis=1)
    changes = (best - following[:, None]) / k
    spare = max(queries - 1, 1)
    noise = spare / queries * (np.square(changes).sum(axis=1) - np.square(changes.sum(axis=1)) / queries)
    noise = 2 * ((queries + 2) / spare) ** 2 * np.maximum(noise, 0)
    if queries < 2:  # one query says nothing of what another would
        noise = np.full(len(levels), np.inf)
    mean, real = among or (float(levels.mean()), max(0.0, float(levels.var() - noise.mean())))
    trust = real / np.maximum(real + noise, 1e-300) if real else np.zeros(len(levels))
    return TopMeans(best.sum(axis=1), following, trust, mean, real, k)
