"""The scale of scores, read off the scores alone."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import EmbeddingScores, ListScores, Scores, blocks

_PLACES = 50  # of a row's highest scores that are looked at, or a quarter of them where there are fewer
_ROWS = 1024  # that are looked at
_MIXING = np.uint64(0x9E3779B97F4A7C15)
_FARTHEST = 6.0  # standard deviations


def spread(scores: Scores) -> float:
    """The standard deviation that normal scores would have whose rows fall off as steeply as these do at their top.

    Median over the rows of (score at place k/4 − score at place k) over the difference of the normal quantiles of these
    places, k = 50 or a quarter of the columns. Only differences at the top of a row enter: nothing that is added to
    a row changes it, nor do cells that are masked or far outside; it is the same for a matrix and for its top-k
    lists. 0 where all scores of a row are alike.

    >>> import numpy as np
    >>> from rerankit import DenseScores
    >>> normal = np.random.default_rng(0).normal(size=(200, 400))
    >>> round(spread(DenseScores(3 * normal)), 1), round(spread(DenseScores(3 * normal + 100)), 1)
    (3.0, 3.0)
    """
    slopes = rows_alone(scores if scores.shape[0] <= _ROWS else scores.take(sampled_rows(scores, _ROWS)))[0]
    slopes = slopes[slopes > 0]
    return float(np.median(slopes)) if len(slopes) else 0.0


def rows_alone(scores: Scores) -> tuple[AnyArray, AnyArray]:
    """Each row by itself: its spread, 0 where its highest scores are alike, and its score at place k; both (rows,)."""
    best = scores.topk(places_looked_at(scores.shape[1]))[1].astype(np.float64)
    known = np.maximum(np.isfinite(best).sum(axis=1), 2)
    places = np.stack([np.minimum(known // 4, known - 2), known - 1], axis=1)
    if best.shape[1] < 2:
        return np.zeros(len(best)), np.where(np.isfinite(best[:, 0]), best[:, 0], 0.0)
    steps, normal = np.take_along_axis(best, places, axis=1), normal_quantiles(places, scores.shape[1])
    with np.errstate(invalid="ignore"):
        slopes: AnyArray = (steps[:, 0] - steps[:, 1]) / (normal[:, 0] - normal[:, 1])
    return np.where(np.isfinite(slopes), slopes, 0.0), np.where(np.isfinite(steps[:, 1]), steps[:, 1], 0.0)


def absent_levels(lists: ListScores, sigma: float) -> AnyArray:
    """For every row the score at which the pairs that its list leaves out stand, (rows,) in float64.

    They lie below the last score of the list: for normal scores of deviation `sigma`, of which the list holds the
    highest, at the mean of the rest. −inf in a row that lists everything, +inf in one that lists nothing.
    """
    counts = np.diff(lists.starts)
    last = np.full(len(counts), np.inf)
    some = np.flatnonzero(counts)
    if len(some):
        last[some] = np.minimum.reduceat(lists.values, lists.starts[some])
    return levels_behind(last, counts, lists.shape[1], sigma)


def levels_behind(last: AnyArray, counts: IntArray, columns: int, sigma: float) -> AnyArray:
    """The same for rows of which the `counts` highest of so many columns are known, down to `last`."""
    return np.where(counts == columns, -np.inf, last - sigma * _below(counts / columns))


def _below(share: AnyArray) -> AnyArray:
    """How far, in standard deviations, the mean of the rest lies below the last of the highest `share`."""
    z = np.clip(ndtri(1 - np.minimum(share, 1)), -_FARTHEST, _FARTHEST)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    distance: AnyArray = density / ndtr(z) + z
    return distance


def places_looked_at(columns: int) -> int:
    """How many of a row's highest scores are looked at."""
    return min(_PLACES, max(2, -(-columns // 4)))


def normal_quantiles(places: IntArray, count: int) -> AnyArray:
    """Where the scores at places from 0 are expected among `count` normal ones, best first."""
    found: AnyArray = ndtri(1 - (places + 0.625) / (count + 0.25))
    return found


def sampled_rows(scores: Scores, most: int) -> IntArray:
    """At most so many rows to look at, chosen by what they hold, so that their order plays no part."""
    count = scores.shape[0]
    if count <= most:
        return np.arange(count)
    mixed = _marks(scores).view(np.uint32).astype(np.uint64) * _MIXING
    return np.sort(np.argsort(mixed, kind="stable")[:most])


def _marks(scores: Scores) -> FloatArray:
    """A number for each row that depends on its content alone."""
    if isinstance(scores, EmbeddingScores):
        return scores.marks_of_rows()
    if isinstance(scores, ListScores):
        return np.ascontiguousarray(scores.topk(1)[1][:, 0])
    marks = np.empty(scores.shape[0], np.float32)
    for block in blocks(len(marks), scores.shape[1] * 4):
        marks[block] = scores.rows(block).max(axis=1)
    return marks
