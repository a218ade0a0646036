"""How much of the learned scores is mixed into the backbone's: by splits inside the pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rerankit.arrays import AnyArray
from rerankit.scores.products import Metric
from rerankit.stages.metric.two_covariance import (
    SHARES,
    SHRINKS,
    Pairs,
    TwoCovariance,
    plain_scores,
    two_covariance,
)

_FOLDS = 3
_LOOKED_AT = 2000  # pairs of a fold
_SURE = 1.65  # standard errors by which a mixture must be better than the backbone alone


class Trust(NamedTuple):
    """What the splits chose: the `shrink` of the noise, the `share` of the learned scores (0: none helps), and the gain
    in mean reciprocal rank of both directions with its standard error.
    """

    shrink: float
    share: float
    gain: float
    error: float


def trust(pairs: Pairs, metric: Metric, seed: int = 0) -> Trust:
    """The shrinkage and the share with the best mean reciprocal rank on folds that the model has not seen."""
    things = np.unique(pairs.things)
    fold = np.random.default_rng(seed).permutation(len(things)) % _FOLDS
    of_pair = fold[np.searchsorted(things, pairs.things)]
    tables = [_gains(pairs.some(of_pair != at), _some(pairs.some(of_pair == at)), metric) for at in range(_FOLDS)]
    gains = np.concatenate(tables, axis=2)  # (shrinks, shares, things)
    mean = gains.mean(axis=2)
    best = np.unravel_index(int(mean.argmax()), mean.shape)
    error = float(gains[best].std(ddof=1) / np.sqrt(gains.shape[2]))
    if not mean[best] > _SURE * error:
        return Trust(SHRINKS[-1], 0.0, 0.0, error)
    return Trust(SHRINKS[best[0]], SHARES[best[1]], float(mean[best]), error)


def scales(pairs: Pairs, model: TwoCovariance, metric: Metric) -> tuple[float, float]:
    """Deviations of the backbone's scores and of the learned ones among pairs that were learned from."""
    some = _some(pairs)
    plain = plain_scores(some.queries, some.gallery, metric)
    learned = model.scores(some.queries, some.gallery)
    return _deviation(plain), _deviation(learned)


def _gains(taught: Pairs, tested: Pairs, metric: Metric) -> AnyArray:
    """Gain in reciprocal rank of each thing over the backbone alone: (shrinks, shares, things)."""
    plain = plain_scores(tested.queries, tested.gallery, metric)
    base = _reciprocal_ranks(plain, tested)
    found = np.zeros((len(SHRINKS), len(SHARES), len(base)))
    for row, shrink in enumerate(SHRINKS):
        learned = two_covariance(taught, shrink).scores(tested.queries, tested.gallery)
        by_size = plain / _deviation(plain), learned / _deviation(learned)
        for column, share in enumerate(SHARES):
            if share:
                found[row, column] = _reciprocal_ranks((1 - share) * by_size[0] + share * by_size[1], tested) - base
    return found


def _reciprocal_ranks(scores: AnyArray, pairs: Pairs) -> AnyArray:
    """Mean of both directions for each thing; what shows the same thing never counts as wrong."""
    wrong = pairs.things[:, None] != pairs.things
    own = scores.diagonal()
    places = 1 + ((scores > own[:, None]) & wrong).sum(axis=1), 1 + ((scores > own) & wrong).sum(axis=0)
    each = (1 / places[0] + 1 / places[1]) / 2
    labels = np.unique(pairs.things, return_inverse=True)[1]
    mean: AnyArray = np.bincount(labels, weights=each) / np.bincount(labels)
    return mean


def _some(pairs: Pairs) -> Pairs:
    """At most so many, spread evenly."""
    count = len(pairs.things)
    return pairs if count <= _LOOKED_AT else pairs.some(np.linspace(0, count - 1, _LOOKED_AT).astype(np.int64))


def _deviation(scores: AnyArray) -> float:
    return float(scores.std()) or 1.0
