"""Intervals and tests by resampling queries: nothing is assumed about how values are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rerankit.errors import rule

Array = NDArray[np.float64]
Summary = Literal["mean", "median"]
_CELLS = 4_000_000
_FEW = 8
"""Drawing how often each distinct value occurs is cheaper than drawing queries when values repeat this often."""


def bootstrap(
    values: Any, *, summary: Summary = "mean", level: float = 0.95, samples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of a summary of values (queries,), over resampled sets of queries.

    >>> bootstrap([0.0, 1.0] * 50)
    (0.4, 0.6)
    """
    given = _checked(values, "values")
    _check(level, samples)
    drawn = resampled(given, summary, samples, seed)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_bootstrap(
    first: Any,
    second: Any,
    *,
    summary: Summary = "mean",
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The interval of second − first over resampled sets of queries, and the two-sided p-value of no difference.

    first, second: values of two systems on the same queries (queries,).
    """
    one, two = _pair(first, second)
    _check(level, samples)
    if summary == "mean":
        drawn = resampled(two - one, "mean", samples, seed)
    else:
        drawn = np.concatenate(
            [np.median(two[rows], axis=1) - np.median(one[rows], axis=1) for rows in _draws(len(one), samples, seed)]
        )
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    tail = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return float(low), float(high), min(1.0, 2.0 * (tail + 1) / (samples + 1))


def randomisation(first: Any, second: Any, *, summary: Summary = "mean", samples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value that two systems are exchangeable: their values are swapped at random query by query.

    >>> randomisation([0.0] * 20, [1.0] * 20) < 0.001
    True
    """
    one, two = _pair(first, second)
    _check(0.95, samples)
    random = np.random.default_rng(seed)
    if summary == "mean":
        observed, drawn = abs((two - one).sum()), np.abs(_flipped_sums(two - one, samples, random))
    else:
        observed, drawn = _swapped_medians(one, two, samples, random)
    # Sums of the same numbers in another order differ in their last digits.
    extreme = np.count_nonzero(drawn >= observed - 1e-9 * max(1.0, observed))
    return float((extreme + 1) / (samples + 1))


def student_t(first: Any, second: Any) -> float:
    """Two-sided p-value of the paired t-test, which takes differences to be normal; only where one asks for it."""
    from scipy.stats import ttest_rel

    one, two = _pair(first, second)
    if np.all(one == two):
        return 1.0
    return float(ttest_rel(two, one).pvalue)


def holm(values: Any) -> Array:
    """p-values adjusted for how many there are, by Holm's step-down method.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or (given.size and not (np.all(given >= 0) and np.all(given <= 1))):
        raise rule("values", "must be p-values between 0 and 1", f"{given.tolist()}")
    order = np.argsort(given, kind="stable")
    steps = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def resampled(values: Array, summary: Summary, samples: int, seed: int) -> Array:
    """A summary of `samples` sets of queries drawn with replacement (samples,)."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) * _FEW <= len(values):
        random = np.random.default_rng(seed)
        sizes = [size for size in _sizes(len(distinct), samples)]
        draws = (random.multinomial(len(values), counts / len(values), size) for size in sizes)
        reduce = _mean_of_counts if summary == "mean" else _median_of_counts
        return np.concatenate([reduce(distinct, draw, len(values)) for draw in draws])
    function: Callable[..., Any] = np.mean if summary == "mean" else np.median
    return np.concatenate([function(values[rows], axis=1) for rows in _draws(len(values), samples, seed)])


def _mean_of_counts(distinct: Array, counts: NDArray[np.int64], size: int) -> Array:
    return np.asarray(counts @ distinct / size, np.float64)


def _median_of_counts(distinct: Array, counts: NDArray[np.int64], size: int) -> Array:
    upto = np.cumsum(counts, axis=1)
    low, high = (distinct[(upto <= half).sum(axis=1)] for half in ((size - 1) // 2, size // 2))
    return np.asarray((low + high) / 2, np.float64)


def _sizes(width: int, samples: int) -> Iterator[int]:
    step = max(1, _CELLS // max(width, 1))
    for start in range(0, samples, step):
        yield min(step, samples - start)


def _draws(queries: int, samples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    for size in _sizes(queries, samples):
        yield random.integers(0, queries, (size, queries))


def _flipped_sums(differences: Array, samples: int, random: np.random.Generator) -> Array:
    """Sums of the differences under random signs (samples,)."""
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return np.zeros(samples)
    # Of the differences of one size, a binomial number keeps its sign.
    parts = (random.binomial(counts, 0.5, (size, len(counts))) for size in _sizes(len(counts), samples))
    return np.concatenate([(2 * kept - counts) @ sizes for kept in parts])


def _swapped_medians(one: Array, two: Array, samples: int, random: np.random.Generator) -> tuple[float, Array]:
    drawn = []
    for size in _sizes(len(one), samples):
        swap = random.random((size, len(one))) < 0.5
        drawn.append(np.median(np.where(swap, one, two), axis=1) - np.median(np.where(swap, two, one), axis=1))
    return float(abs(np.median(two) - np.median(one))), np.abs(np.concatenate(drawn))


def _checked(values: Any, argument: str) -> Array:
    given = np.asarray(values, np.float64)
    if given.ndim != 1 or not given.size or not np.isfinite(given).all():
        raise rule(argument, "must be one finite value per query", f"shape {given.shape}")
    return given


def _pair(first: Any, second: Any) -> tuple[Array, Array]:
    one, two = _checked(first, "first"), _checked(second, "second")
    if len(one) != len(two):
        raise rule("second", f"must have a value for each of the {len(one)} queries of 'first'", f"{len(two)} values")
    return one, two


def _check(level: float, samples: int) -> None:
    if not 0 < level < 1:
        raise rule("level", "must lie between 0 and 1", level)
    if samples < 100:
        raise rule("samples", "must be at least 100", samples)
