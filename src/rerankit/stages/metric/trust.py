"""How much of the learned scores is mixed into the backbone's, in each direction: by splits inside the pairs."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from rerankit.arrays import AnyArray, IntArray
from rerankit.stages.metric.two_covariance import SHARES, SHRINKS, VectorPairs, two_covariance

_FOLDS = 3
_LOOKED_AT = 2000  # pairs of a fold
_LEAST = 2 * _FOLDS  # things to split
_SURE = 1.65  # standard errors by which a mixture must be better than the backbone alone


class Known(Protocol):
    """Labelled pairs whose vectors are known, or follow from similarities to pairs that are learned from."""

    @property
    def things(self) -> IntArray:
        """For each pair the number of what it shows; those of −1 show what belongs to none, and are left out."""

    def and_more(self, more: Known) -> Known:
        """These pairs and others, which show other things."""

    def plain(self, some: IntArray) -> AnyArray:
        """The backbone's own scores between the queries and the items of some pairs."""

    def split(self, taught: IntArray, tested: IntArray) -> Split:
        """Some pairs to learn from, and others as those would see them."""

    def learned(self) -> tuple[VectorPairs, dict[str, AnyArray]]:
        """All pairs, and what a stage keeps besides the model to compare others with them."""


class Split(NamedTuple):
    """Pairs that are learned from, others, and the backbone's own scores between the others (queries, items)."""

    taught: VectorPairs
    tested: VectorPairs
    plain: AnyArray


class Share(NamedTuple):
    """The share of the learned scores in one direction (0: none helps), and what it gains in mean reciprocal rank with
    its standard error.
    """

    share: float
    gain: float
    error: float


class Trust(NamedTuple):
    """What the splits chose: the `shrink` of the noise, and the share from queries to items and back."""

    shrink: float
    forward: Share
    reverse: Share


def trust(known: Known, seed: int = 0) -> Trust:
    """The shrinkage and the shares with the best mean reciprocal rank on folds that the model has not seen: those that
    are surely better than the backbone alone, for each direction.
    """
    belonging = known.things >= 0
    things, of_pair = np.unique(known.things[belonging], return_inverse=True)
    if len(things) < _LEAST:
        none = Share(0.0, 0.0, float("inf"))
        return Trust(SHRINKS[-1], none, none)
    fold = np.full(len(belonging), -1)
    fold[belonging] = (np.random.default_rng(seed).permutation(len(things)) % _FOLDS)[of_pair]
    gains = np.concatenate(
        [
            _gains(known.split(np.flatnonzero(belonging & (fold != at)), spread_evenly(np.flatnonzero(fold == at))))
            for at in range(_FOLDS)
        ],
        axis=3,
    )
    chosen = [[_best(of_shares) for of_shares in of_shrink] for of_shrink in gains]
    best = int(np.argmax([one.gain + back.gain for one, back in chosen]))
    return Trust(SHRINKS[best] if any(one.share for one in chosen[best]) else SHRINKS[-1], *chosen[best])


def spread_evenly(numbers: IntArray, most: int = _LOOKED_AT) -> IntArray:
    """At most so many of some numbers, spread evenly."""
    count = len(numbers)
    return numbers if count <= most else numbers[np.linspace(0, count - 1, most).astype(np.int64)]


def deviation(scores: AnyArray) -> float:
    """How far scores lie apart; 1 where they do not."""
    return float(scores.std()) or 1.0


def _best(gains: AnyArray) -> Share:
    """The share that gains most of (shares, things), or none where that may be chance."""
    mean = gains.mean(axis=1)
    best = int(mean.argmax())
    error = float(gains[best].std(ddof=1) / np.sqrt(gains.shape[1]))
    return Share(SHARES[best], float(mean[best]), error) if mean[best] > _SURE * error else Share(0.0, 0.0, error)


def _gains(split: Split) -> AnyArray:
    """Gain in reciprocal rank of each thing over the backbone alone: (shrinks, directions, shares, things)."""
    plain = split.plain / deviation(split.plain)
    base = _reciprocal_ranks(plain, split.tested)
    found = np.zeros((len(SHRINKS), 2, len(SHARES), base.shape[1]))
    for row, shrink in enumerate(SHRINKS):
        learned = two_covariance(split.taught, shrink).scores(split.tested.queries, split.tested.gallery)
        learned /= deviation(learned)
        for column, share in enumerate(SHARES):
            if share:
                found[row, :, column] = _reciprocal_ranks((1 - share) * plain + share * learned, split.tested) - base
    return found


def _reciprocal_ranks(scores: AnyArray, pairs: VectorPairs) -> AnyArray:
    """Mean for each thing, from queries to items and back (2, things); what shows the same thing is never wrong."""
    wrong = pairs.things[:, None] != pairs.things
    own = scores.diagonal()
    places = 1 + ((scores > own[:, None]) & wrong).sum(axis=1), 1 + ((scores > own) & wrong).sum(axis=0)
    labels = np.unique(pairs.things, return_inverse=True)[1]
    mean: AnyArray = np.stack([np.bincount(labels, weights=1 / each) for each in places]) / np.bincount(labels)
    return mean
