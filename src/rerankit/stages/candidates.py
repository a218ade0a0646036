"""What stages share about candidates: their own scores, and columns' statistics turned to their shape."""

from __future__ import annotations

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.ranking import Ranking
from rerankit.scores import DenseScores, EmbeddingScores, Scores, Searching, blocks
from rerankit.threads import in_threads

_ROWS = 512  # queries whose candidates a thread reads at once
_PAIR_COST = 50  # how many cells of a matrix product take the time of one pair of gathered vectors


def items_of(ranking: Ranking) -> IntArray:
    """The candidates (queries, K), with item 0 where padding stands."""
    return ranking.indices if ranking.indices.min() >= 0 else np.where(ranking.mask, ranking.indices, 0)


def rows_of(ranking: Ranking) -> IntArray:
    """Query numbers (queries, 1) that broadcast against candidates."""
    return np.arange(len(ranking))[:, None]


def own_scores(scores: Scores, ranking: Ranking) -> FloatArray:
    """The scores (queries, K) of every query's candidates; a pair that lists leave out gets the query's lowest.

    >>> from rerankit import ListScores, Ranking
    >>> own_scores(ListScores([[0, 1]], [[0.9, 0.2]], 3), Ranking([[2, 0, 1]], [[3, 2, 1]]))
    array([[0.2, 0.9, 0.2]], dtype=float32)
    """
    items = items_of(ranking)
    known = scores.of_found(slice(None), items) if isinstance(scores, Searching) else None
    if known is not None:
        return known
    if isinstance(scores, DenseScores):  # single cells of a matrix: threads wait for memory side by side
        parts = [slice(at, at + _ROWS) for at in range(0, len(items), _ROWS)]
        read = in_threads(lambda part: scores.pairs(rows_of(ranking)[part], items[part]), parts)
        return filled(np.concatenate(read), ranking.mask)
    # Reading all columns costs about as much as a pair for each, however few the rows.
    whole = scores.shape[1] * (1 + len(items) / _PAIR_COST)
    if not isinstance(scores, EmbeddingScores) or items.size < whole:
        return filled(scores.pairs(rows_of(ranking), items), ranking.mask)
    # So many candidates that whole rows, which are matrix products, cost less than single pairs.
    found = np.empty(items.shape, np.float32)
    for block in blocks(len(items), scores.shape[1] * 8, least=64):
        found[block] = np.take_along_axis(scores.rows(block), items[block], axis=1)
    return found


def filled(values: FloatArray, mask: AnyArray | None = None) -> FloatArray:
    """Absent values (−inf) replaced by the row's lowest present one (0 in a row that has none)."""
    known = np.isfinite(values) if mask is None else np.isfinite(values) & mask
    if known.all():
        return values
    axes = tuple(range(1, values.ndim))
    lowest = np.where(known, values, np.inf).min(axis=axes, keepdims=True)
    result: FloatArray = np.where(known, values, np.where(np.isfinite(lowest), lowest, np.float32(0)))
    return result


def behind(reached: FloatArray, ranking: Ranking) -> FloatArray:
    """What reaches candidates (queries, K), and below 0 for those that nothing reaches, in the order that came in.

    >>> from rerankit import Ranking
    >>> behind(np.float32([[0, 0.3, 0]]), Ranking([[2, 0, 1]], [[9, 8, 8]]))
    array([[-0.33333334,  0.3       , -0.6666667 ]], dtype=float32)
    """
    later = ranking.scores[:, 1:] < ranking.scores[:, :-1]
    place = np.concatenate([np.ones((len(ranking), 1)), 1 + np.cumsum(later, axis=1)], axis=1)
    place /= np.maximum(ranking.mask.sum(axis=1, keepdims=True), 1)
    found: FloatArray = np.where(reached > 0, reached, -place).astype(np.float32)
    return found
