"""Similarities as shares: 0 for what two unrelated items have, 1 for what an item has to itself.

Cosines come on such a scale; inner products, minus distances, cosines within one side of a network and whatever else a
backbone hands over do not. The level and the spread of an item's similarities to unrelated items are read off its row,
so that no weight made from a share depends on the scale or the shift of the scores.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray, FloatArray, IntArray
from rerankit.scores import EmbeddingScores, Scores, blocks
from rerankit.stages.hubness.spread import normal_quantiles

_SAMPLE = 512  # vectors that stand for all
_QUARTILES = 1.349  # the distance of a normal distribution's quartiles, in its deviations
_FIRST = 5  # neighbours that stand out or do not


class Unrelated(NamedTuple):
    """What rows have to unrelated columns: each (rows,)."""

    level: AnyArray
    """The median."""
    spread: AnyArray
    """The deviation that the quartiles tell; 0 where lists hold too few cells."""


class SideScale(NamedTuple):
    """The scale of every item of one side: a similarity s is the share (s − level) / unit."""

    level: AnyArray
    """(items,): to unrelated items."""
    unit: AnyArray
    """(items,): from there to the item's similarity to itself."""
    typical: float
    """The unit in deviations of unrelated similarities, typically; 0 when nothing tells."""

    def of(self, scores: FloatArray, items: IntArray) -> AnyArray:
        """Shares in 0…1 of similarities of `items`, which broadcast to them; 0 where a similarity is not known."""
        shares = (np.where(np.isfinite(scores), scores, -np.inf) - self.level[items]) / self.unit[items]
        found: AnyArray = np.clip(shares, 0, 1)
        return found


def unrelated(scores: Scores, sample: IntArray | None = None) -> Unrelated:
    """Level and spread of every row; cells that lists leave out count as the row's last one.

    Of many vectors on the other side only some are looked at: those of `sample`, where it is known.
    """
    rows, some = scores.shape[0], scores
    if isinstance(scores, EmbeddingScores):
        some = scores.take(None, sampled_rows(scores.T) if sample is None else sample)
    level, spread = np.zeros(rows), np.zeros(rows)
    for block in blocks(rows, some.shape[1] * 24, share=0.5):
        level[block], spread[block] = _middle(some.rows(block))
    lost = np.flatnonzero(~np.isfinite(level))
    if len(lost):  # what such a list leaves out is below its last
        last = scores.take(lost).topk(scores.shape[1])[1].astype(np.float64)
        level[lost] = np.where(np.isfinite(last), last, np.inf).min(axis=1)
        level[~np.isfinite(level)] = 0
    return Unrelated(level, spread)


def shares_of(scores: Scores) -> SideScale:
    """The scale of every item of a square relation, from its level to itself.

    An item whose similarity to itself is left out, or is no higher than to any other, has its nearest's instead.
    """
    found = unrelated(scores)
    every = np.arange(scores.shape[0])
    highest = scores.pairs(every, every).astype(np.float64)
    lost = np.flatnonzero(~(highest > found.level))
    if len(lost):
        highest[lost] = scores.take(lost).topk(1)[1][:, 0]
    unit = np.where(np.isfinite(highest), highest, found.level) - found.level
    some = (found.spread > 0) & (unit > 0)
    typical = float(np.median(unit[some] / found.spread[some])) if some.any() else 0.0
    return SideScale(found.level, np.where(unit > 0, unit, 1.0), typical)


def standing_out(scores: Scores) -> float | None:
    """How far items' first neighbours stand out from the crowd, in deviations; None when nothing tells.

    Of a crowd that is normally distributed the first ones lie where its size puts them: that much is 0. Above 0, items
    have few partners of their own; at 0 and below, many items are about as near as the nearest, as within classes.

    >>> from rerankit import DenseScores
    >>> crowd = np.random.default_rng(0).normal(size=(300, 300))
    >>> abs(standing_out(DenseScores(crowd))) < 0.1
    True
    """
    count = scores.shape[0]
    first = max(1, min(_FIRST, (count - 1) // 10))
    if count < 4:
        return None
    expected = normal_quantiles(np.arange(first), count - 1)
    rows, found = sampled_rows(scores), []
    for block in blocks(len(rows), count * 24, share=0.5):
        values = np.array(scores.rows(rows[block]))
        values[np.arange(len(values)), rows[block]] = -np.inf
        nearest = np.sort(np.partition(values, count - first, axis=1)[:, count - first :], axis=1)[:, ::-1]
        level, spread = _middle(values, left_out=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append(((nearest - level[:, None]) / spread[:, None] - expected).mean(axis=1))
    excess = np.concatenate(found)
    known = np.isfinite(excess)
    return float(np.median(excess[known])) if known.any() else None


def sampled_rows(scores: Scores, count: int = _SAMPLE) -> IntArray:
    """All rows; of more than `count` vectors those that a mix of their bits comes out lowest for, so that the same ones
    are taken wherever they stand.
    """
    rows = scores.shape[0]
    if not isinstance(scores, EmbeddingScores) or rows <= count:
        return np.arange(rows)
    return scores.sampled_rows(count)


def _middle(values: AnyArray, left_out: int = 0) -> tuple[AnyArray, AnyArray]:
    """Median and spread of each row but for its lowest cells, which are `left_out`; −inf and 0 where absent cells reach
    that far.
    """
    last = values.shape[1] - left_out - 1
    places = [left_out + int(last * part) for part in (0.25, 0.5, 0.75)]
    low, level, high = np.partition(values, places, axis=1)[:, places].T.astype(np.float64)
    with np.errstate(invalid="ignore"):
        spread = np.where(np.isfinite(low), high - low, 0) / _QUARTILES
    return level, spread
