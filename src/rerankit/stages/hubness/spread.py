"""The scale of scores, read off the scores alone."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import EmbeddingScores, ListScores, Scores, blocks

_PLACES = 50  # of a row's highest scores that are looked at, or a quarter of them where there are fewer
ROWS = 1024  # that are looked at
_MIXING = np.uint64(0x9E3779B97F4A7C15)
_FARTHEST = 6.0  # standard deviations
_TOP = np.array([1, 5])  # places right behind the first, at which a query's own item stands
_BY_CHANCE = 1.2  # times as steep: less is no difference


class Fall(NamedTuple):
    """How rows fall off at their top."""

    spread: float
    """See `spread`."""
    steepness: float
    """How steeply they fall right behind their first place, compared with farther down: 1 as normal scores do or more
    steeply, less where the best candidates crowd together.
    """

    @property
    def resolution(self) -> float:
        """The spread by which the best candidates are told apart."""
        return self.spread * self.steepness


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
    return fall_of(scores).spread


def fall_of(scores: Scores) -> Fall:
    """The spread, and the steepness right behind the first place: the median over the rows of (score at place 2 −
    score at place 6) over the difference of normal quantiles, in spreads.

    Many items that are about as near as the nearest have a small one: points of a line, frames of a video, members of a
    cluster. What is taken from items must be finer there, or it decides alone.

    >>> from rerankit import DenseScores
    >>> normal = np.random.default_rng(0).normal(size=(200, 400))
    >>> crowded = np.minimum(normal, 1.6 + normal / 9)
    >>> fall_of(DenseScores(normal)).steepness, fall_of(DenseScores(crowded)).steepness < 0.5
    (1.0, True)
    """
    best = _best_of(scores if scores.shape[0] <= ROWS else scores.take(sampled_rows(scores, ROWS)))
    slopes = _of_rows(best, scores.shape[1])[0]
    wide, fine = _median(slopes), _median(_slopes(best, _TOP[None], scores.shape[1]))
    return Fall(wide, min(1.0, _BY_CHANCE * fine / wide) if wide and fine else 1.0)


def rows_alone(scores: Scores) -> tuple[AnyArray, AnyArray]:
    """Each row by itself: its spread, 0 where its highest scores are alike, and its score at place k; both (rows,)."""
    return _of_rows(_best_of(scores), scores.shape[1])


def _best_of(scores: Scores) -> AnyArray:
    """The highest scores (rows, places) of each row."""
    best: AnyArray = scores.topk(places_looked_at(scores.shape[1]))[1].astype(np.float64)
    return best


def _of_rows(best: AnyArray, columns: int) -> tuple[AnyArray, AnyArray]:
    """Spread and score at place k (rows,) from each row's highest scores."""
    known = np.maximum(np.isfinite(best).sum(axis=1), 2)
    places = np.stack([np.minimum(known // 4, known - 2), known - 1], axis=1)
    if best.shape[1] < 2:
        return np.zeros(len(best)), np.where(np.isfinite(best[:, 0]), best[:, 0], 0.0)
    last = np.take_along_axis(best, places[:, 1:], axis=1)[:, 0]
    return _slopes(best, places, columns), np.where(np.isfinite(last), last, 0.0)


def _slopes(best: AnyArray, places: IntArray, columns: int) -> AnyArray:
    """How steeply each row falls (rows,) from one place to another, `places` (rows or 1, 2), over the fall of normal
    scores; 0 where that is not known.
    """
    if places.max() >= best.shape[1]:
        return np.zeros(len(best))
    steps, normal = np.take_along_axis(best, places, axis=1), normal_quantiles(places, columns)
    with np.errstate(invalid="ignore"):
        slopes: AnyArray = (steps[:, 0] - steps[:, 1]) / (normal[:, 0] - normal[:, 1])
    return np.where(np.isfinite(slopes), slopes, 0.0)


def _median(slopes: AnyArray) -> float:
    """The median of those that fall, 0 where none does."""
    slopes = slopes[slopes > 0]
    return float(np.median(slopes)) if len(slopes) else 0.0


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
    from scipy.special import ndtr, ndtri  # slow to import, and needed for lists alone

    z = np.clip(ndtri(1 - np.minimum(share, 1)), -_FARTHEST, _FARTHEST)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    distance: AnyArray = density / ndtr(z) + z
    return distance


def places_looked_at(columns: int) -> int:
    """How many of a row's highest scores are looked at."""
    return min(_PLACES, max(2, -(-columns // 4)))


def normal_quantiles(places: IntArray, count: int) -> AnyArray:
    """Where the scores at places (of any shape) from 0 are expected among `count` normal ones, best first.

    >>> normal_quantiles(np.array([[0, 2, 4]]), 5).round(3)
    array([[ 1.18,  0.  , -1.18]])
    """
    several, where = np.unique(np.minimum(places, count - 1), return_inverse=True)
    quantile = NormalDist().inv_cdf  # the same function of SciPy takes longer to import than to use
    found = np.array([quantile(1 - (place + 0.625) / (count + 0.25)) for place in several.tolist()])
    return found[where].reshape(places.shape)


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
