"""Rank aggregation: rules that read places only, besides those in `rerankit.fusion`.

Values are (sources, queries, K); NaN stands where a source has no opinion on an item.
"""

from __future__ import annotations

import numpy as np

from rerankit.arrays import BoolArray, FloatArray
from rerankit.ranks import shared_ranks
from rerankit.scores import blocks


def inverse_squares(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Σ weight / place² times the number of sources that know the item (Mourão et al. 2013).

    >>> inverse_squares(np.float32([[[3, 1]], [[2, 4]]]), np.float32([1, 2]))
    array([[3. , 4.5]], dtype=float32)
    """
    known = np.sum(~np.isnan(values), axis=0)
    points = np.nansum(weights[:, None, None] / np.square(shared_ranks(values)), axis=0)
    total: FloatArray = (points * known).astype(np.float32)
    return total


def majorities(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Copeland's rule: how many items of the query it beats minus how many beat it, by weight of the sources.

    A source prefers what it knows to what it does not, and says nothing of two items that it does not know.

    >>> majorities(np.float32([[[3, 2, 1]], [[3, 1, 2]], [[1, 3, 2]]]), np.ones(3, np.float32))
    array([[ 2.,  0., -2.]], dtype=float32)
    """
    sources, queries, size = values.shape
    places = shared_ranks(values)
    there: BoolArray = np.any(~np.isnan(places), axis=0)  # padding beats nothing and is beaten by nothing
    places = np.where(np.isnan(places), np.float32(size + 1), places)
    total = np.empty((queries, size), np.float32)
    for block in blocks(queries, size * size * 12):
        balance = np.zeros((block.stop - block.start, size, size), np.float32)
        for source in range(sources):
            here = places[source, block]
            balance += weights[source] * np.sign(here[:, None, :] - here[:, :, None])
        total[block] = np.sign(balance).sum(axis=2, where=there[block][:, None, :])
    return total
