"""Where items stand in ranked lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rerankit.metrics.counting import Counts
from rerankit.metrics.lists import IntArray, Lists
from rerankit.ranking import Ranking
from rerankit.scores import blocks


def positions(ranking: Ranking, wanted: Lists) -> IntArray:
    """The place of each wanted item in its query's list, from 0; −1 when it is not listed (items,)."""
    depth = ranking.shape[1]
    found = np.full(len(wanted.items), -1, np.int64)
    stride = (ranking.gallery_size + 1) * depth
    for rows in blocks(len(ranking), depth * 32):
        listed = ranking.indices[rows]
        number = np.arange(len(listed))[:, None]
        # One number holds row, item and place: sorted, it is looked up by row and item. Padding is item 0.
        keys = np.sort((listed + 1) * depth + np.arange(depth), axis=1)
        keys += number * stride
        flat = keys.reshape(-1)
        span = slice(wanted.indptr[rows.start], wanted.indptr[rows.stop])
        look = (wanted.queries[span] - rows.start) * stride + (wanted.items[span] + 1) * depth
        spot = np.minimum(np.searchsorted(flat, look), len(flat) - 1)
        place = flat[spot] - look
        found[span] = np.where((place >= 0) & (place < depth), place, -1)
    return found


def list_counts(ranking: Ranking, wanted: Lists, removed: Lists) -> tuple[Counts, NDArray[np.bool_]]:
    """Counts of wanted items among the listed ones, and which are listed at all.

    Items with one score are tied, whatever their order in the list; `removed` items count for nothing.
    """
    place, gone = positions(ranking, wanted), positions(ranking, removed)
    listed = place >= 0
    start, size = _groups(ranking, wanted.queries, place, listed)
    stride = ranking.shape[1] + 1
    taken = np.sort((removed.queries * stride + gone)[gone >= 0])
    base = wanted.queries * stride

    def ahead(places: IntArray) -> IntArray:
        return np.searchsorted(taken, base + places) - np.searchsorted(taken, base)

    lost = ahead(start)
    above = start - lost
    tied = size - (ahead(start + size) - lost)
    before = np.maximum(place, 0) - start - (ahead(np.maximum(place, 0)) - lost)
    return Counts(above, tied, before), listed


def _groups(ranking: Ranking, query: IntArray, place: IntArray, listed: NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """First place and size of the run of equal scores each listed item is in."""
    start, size = np.zeros(len(place), np.int64), np.ones(len(place), np.int64)
    depth = ranking.shape[1]
    bounds = np.searchsorted(query, np.arange(len(ranking) + 1))
    for rows in blocks(len(ranking), depth * 32):
        scores = ranking.scores[rows]
        new = np.ones(scores.shape, np.bool_)
        np.not_equal(scores[:, 1:], scores[:, :-1], out=new[:, 1:])
        edges = np.append(np.flatnonzero(new), new.size)
        span = np.arange(bounds[rows.start], bounds[rows.stop])
        span = span[listed[span]]
        flat = (query[span] - rows.start) * depth + place[span]
        run = np.searchsorted(edges, flat, "right") - 1
        start[span] = edges[run] % depth
        size[span] = edges[run + 1] - edges[run]
    return start, size
