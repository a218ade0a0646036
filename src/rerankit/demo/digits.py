"""Handwritten digits as two views: the upper half of each looks for its own lower half.

Scikit-learn brings the 1,797 images (8 × 8 pixels). Half of them teach two feature spaces what belongs
together; the other half is the test. All settings below were chosen on a third of the teaching half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rerankit.arrays import FloatArray, IntArray
from rerankit.extras import require
from rerankit.problem import Problem
from rerankit.relevance import Relevance

_TEACHING = 897
_OWN, _SAME_DIGIT = 2.0, 1.0  # grades
_WAVES, _WAVE_GAMMA, _RIDGE, _WIDTH = 400, 0.2, 0.05, 40
_PREDICTION_GAMMA, _PREDICTION_RIDGE = 0.4, 0.1


@dataclass(frozen=True)
class DigitHalves:
    """The test problem: uppers (900, 4, 8) look for lowers (900, 4, 8).

    `problem.scores` compares in the space of correlated waves, the query feature "predicted" in the space of
    predicted pixels. `own` has the one right lower half of each upper, `graded` also those of the same digit.
    `queries`, `items` and `known` are the vectors behind these scores: of the uppers (900, 40), the lowers, and the 897
    uppers of the teaching half, whose own lowers are not looked for here.
    """

    problem: Problem
    own: Relevance
    graded: Relevance
    uppers: FloatArray
    lowers: FloatArray
    digits: IntArray
    queries: FloatArray
    items: FloatArray
    known: FloatArray


def halves(seed: int = 0) -> DigitHalves:
    """The digits as a problem with relevance."""
    datasets = require("sklearn.datasets", extra="demo", purpose="the demo")
    pixels, digits = datasets.load_digits(return_X_y=True)
    pixels = pixels.astype(np.float64) / 16
    upper, lower = pixels[:, :32], pixels[:, 32:]
    shuffled = np.random.default_rng(seed).permutation(len(pixels))
    teach, test = shuffled[:_TEACHING], shuffled[_TEACHING:]
    taught = upper[teach], lower[teach]
    whole, items = _correlated(*taught, np.concatenate([upper[test], upper[teach]]), lower[test])
    queries, known = whole[: len(test)], whole[len(test) :]
    waves = Problem.from_embeddings(queries, items, metric="cosine")
    guesses = Problem.from_embeddings(*_predicted(*taught, upper[test], lower[test]), metric="cosine")
    problem = Problem(
        waves.scores.rows(),
        query_scores=waves.query_scores,
        gallery_scores=waves.gallery_scores,
        extra_scores={"predicted": guesses.scores},
    )
    own, graded = _relevance(digits[test])
    tops, bottoms = (half[test].reshape(-1, 4, 8).astype(np.float32) for half in (upper, lower))
    return DigitHalves(problem, own, graded, tops, bottoms, digits[test], queries, items, known)


def _relevance(digits: IntArray) -> tuple[Relevance, Relevance]:
    count = len(digits)
    own = Relevance.from_lists([[row] for row in range(count)], count)
    grades = np.where(digits[:, None] == digits, _SAME_DIGIT, 0.0)
    np.fill_diagonal(grades, _OWN)
    return own, Relevance.from_dense(grades)


def _correlated(upper: Any, lower: Any, queries: Any, gallery: Any) -> tuple[FloatArray, FloatArray]:
    """Both halves in the space where waves over their pixels go together most: kernel CCA by random features."""
    sampler = require("sklearn.kernel_approximation", extra="demo").RBFSampler
    waves = [sampler(gamma=_WAVE_GAMMA, n_components=_WAVES, random_state=side) for side in (0, 1)]
    known = [wave.fit_transform(half) for wave, half in zip(waves, (upper, lower), strict=True)]
    means = [values.mean(axis=0) for values in known]
    centred = [values - mean for values, mean in zip(known, means, strict=True)]
    scale = _WAVES / 2 / len(upper)  # RBFSampler's waves have length 1: bring their spread to that of cosines
    whiten = [_inverse_root(values.T @ values * scale + _RIDGE * np.eye(_WAVES)) for values in centred]
    left, strength, right = np.linalg.svd(whiten[0] @ (centred[0].T @ centred[1] * scale) @ whiten[1])
    maps = [whiten[0] @ left[:, :_WIDTH] * strength[:_WIDTH], whiten[1] @ right.T[:, :_WIDTH] * strength[:_WIDTH]]
    test = [wave.transform(half) - mean for wave, half, mean in zip(waves, (queries, gallery), means, strict=True)]
    return (test[0] @ maps[0]).astype(np.float32), (test[1] @ maps[1]).astype(np.float32)


def _predicted(upper: Any, lower: Any, queries: Any, gallery: Any) -> tuple[FloatArray, FloatArray]:
    """Lower halves as they are, and as kernel ridge regression guesses them from the upper ones."""
    ridge = require("sklearn.kernel_ridge", extra="demo").KernelRidge
    mean = lower.mean(axis=0)
    model = ridge(kernel="rbf", gamma=_PREDICTION_GAMMA, alpha=_PREDICTION_RIDGE).fit(upper, lower - mean)
    return model.predict(queries).astype(np.float32), (gallery - mean).astype(np.float32)


def _inverse_root(matrix: Any) -> Any:
    values, vectors = np.linalg.eigh(matrix)
    return vectors / np.sqrt(values) @ vectors.T
