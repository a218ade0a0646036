"""Which queries and items show the same thing, as far as relevance tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

from rerankit.arrays import IntArray
from rerankit.relevance import Relevance

_PART = 8  # items of a chain
_PARTS = 32


class Things(NamedTuple):
    """For each query and each item the number of the thing it shows: what is right for each other is one thing.

    −1 stands for what belongs to none.
    """

    queries: IntArray
    items: IntArray
    number: int


def things_of(relevance: Relevance) -> Things:
    """Queries and items joined by what is right.

    >>> things_of(Relevance.from_lists([[0, 1], [2], [1]], 3)).queries.tolist()
    [0, 1, 0]
    """
    queries = relevance.shape[0]
    count, found = connected_components(_joined(relevance), directed=False)
    labels: IntArray = found.astype(np.int64)
    return Things(labels[:queries], labels[queries:], count)


def parted_things(relevance: Relevance, least: int) -> Things:
    """The same, of so many things at least: where neighbours hang together in chains (places along a road), the chains
    are cut across, and queries whose right items come to lie on both sides of a cut belong to none.
    """
    found = things_of(relevance)
    if len(np.intersect1d(found.queries, found.items)) >= least:
        return found
    queries, items = relevance.shape
    along = reverse_cuthill_mckee(_joined(relevance).tocsr(), symmetric_mode=True)
    along = along[along >= queries] - queries
    parts = np.empty(items, np.int64)
    number = max(least, min(items // _PART, _PARTS))
    for place, part in enumerate(np.array_split(along, number)):
        parts[part] = place
    of_pairs = parts[relevance.indices]
    lowest, highest = np.full(queries, number), np.full(queries, -1)
    np.minimum.at(lowest, relevance.rows, of_pairs)
    np.maximum.at(highest, relevance.rows, of_pairs)
    return Things(np.where(lowest == highest, highest, -1), parts, number)


def _joined(relevance: Relevance) -> sparse.coo_matrix:
    queries, items = relevance.shape
    ends = np.concatenate([relevance.rows, relevance.indices + queries])
    others = np.concatenate([relevance.indices + queries, relevance.rows])
    return sparse.coo_matrix((np.ones(len(ends), np.int8), (ends, others)), shape=(queries + items,) * 2)
