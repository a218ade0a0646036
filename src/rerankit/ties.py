"""The tie rule of rankings: by score, then in the order in which the candidates came, then by index.

Where a stage gives equal scores to candidates that came with different ones, the order in which they came stands, and
the scores say so: each goes the least step of float32 below the one before it. So whoever reads the scores alone, an
evaluation or a file, finds the same order. Candidates that came with equal scores and leave with equal scores are tied.
"""

from __future__ import annotations

import numpy as np

from rerankit.arrays import BoolArray, FloatArray, IntArray
from rerankit.scores.topk import ascending_bits, float32_of_bits, indices_of, keys_of

_ZERO = 1 << 31  # where 0.0 stands among the ascending bits; −0.0, just before it, is the same number


def reordered(values: FloatArray, came: FloatArray, there: BoolArray) -> tuple[IntArray, FloatArray]:
    """Places of candidates (queries, K) by new scores under the tie rule, −1 behind them, and their scores, −inf there.

    `came` are the scores with which they came, falling along each row; `there` says where there is a candidate.

    >>> came, there = np.float32([[0.9, 0.5, 0.5]]), np.ones((1, 3), bool)
    >>> reordered(np.float32([[1, 1, 1]]), came, there)
    (array([[0, 1, 2]]), array([[1.        , 0.99999994, 0.99999994]], dtype=float32))
    """
    lines = np.arange(len(values))[:, None]
    if len(values) == 1 and there.all():  # of one query every call counts, and its scores mostly differ
        places = np.argsort(-values, axis=1)
        scores = values[lines, places] + np.float32(0)
        if (scores[:, 1:] < scores[:, :-1]).all():
            return places, scores
    places = indices_of(np.sort(keys_of(values, np.where(there, np.arange(values.shape[1]), -1)), axis=1))
    scores = np.where(places >= 0, values[lines, places] + np.float32(0), np.float32(-np.inf))
    equal = (scores[:, 1:] == scores[:, :-1]) & (places[:, 1:] >= 0)
    if equal.any():
        old = came[lines, places]
        scores = falling(scores, ~equal | (old[:, 1:] < old[:, :-1]), places >= 0)
    return places, scores


def falling(scores: FloatArray, lower: BoolArray, there: BoolArray) -> FloatArray:
    """Scores (queries, K) that fall along each row, by a step of float32 at least where `lower` (queries, K − 1) says.

    No score rises; what is not `there` becomes −inf.
    """
    steps = np.zeros(scores.shape, np.int64)
    np.cumsum(lower, axis=1, out=steps[:, 1:])
    # Each place is at least as many numbers below the first as there are steps before it.
    numbers = np.minimum.accumulate(_number_of(np.where(there, scores, np.float32(0))) + steps, axis=1) - steps
    result: FloatArray = np.where(there, _float_of(np.maximum(numbers, _LOWEST)), np.float32(-np.inf))
    return result


def _number_of(scores: FloatArray) -> IntArray:
    """How many float32 numbers lie between 0 and each score, below 0 for those below."""
    bits = ascending_bits(scores).astype(np.int64) - _ZERO
    return np.where(bits < 0, bits + 1, bits)


def _float_of(numbers: IntArray) -> FloatArray:
    return float32_of_bits((np.where(numbers < 0, numbers - 1, numbers) + _ZERO).astype(np.uint32))


_LOWEST = int(_number_of(np.array([np.finfo(np.float32).min]))[0])  # infinities are no scores


def below(scores: FloatArray, there: BoolArray, last: FloatArray) -> FloatArray:
    """Falling scores (queries, K) shifted to lie just below `last` (queries, 1), where they do not already.

    Scores that differ still differ: a shift can round neighbours to one number, and such a tie would be broken by
    the items' numbers when the ranking is read from a file, in place of by the order they have.
    """
    high = np.flatnonzero((scores[:, 0] >= last[:, 0]) & there[:, 0])
    lowered: FloatArray = scores.copy()
    if len(high):
        some, inside, top = scores[high], there[high], last[high]
        with np.errstate(over="ignore"):
            beneath = np.nextafter(top, np.float32(-np.inf), dtype=np.float32)
        kept = np.where(inside, some, some[:, :1])  # no infinities in the arithmetic
        shifted = (kept.astype(np.float64) - (kept[:, :1].astype(np.float64) - beneath)).astype(np.float32)
        lowered[high] = falling(np.minimum(shifted, beneath), kept[:, 1:] < kept[:, :-1], inside)
    return lowered
